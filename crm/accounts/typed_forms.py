"""The values of a form that was submitted after its session had ended, kept until the same user has signed in again.

Fields for secrets are left out: docs/decisions/search.md.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from typing import Final, TypedDict, cast

from django import forms
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.urls import get_resolver, reverse
from django.utils.module_loading import import_string

from crm.models import AuditAction, AuditEntry, Company, Membership, TypedForm
from crm.models.crypto import Unreadable, seal, unseal

TYPED: Final = "typed"  # session key: the key of a `TypedForm`
LONGEST_FORM: Final = 100_000  # characters
KEPT_FOR: Final = timedelta(days=7)  # the maximum length of a session
# Header of an htmx form whose values a whole page can be filled in with again.
KEEP: Final = "X-Keep-Typed"
CSRF_TOKEN: Final = "csrfmiddlewaretoken"  # noqa: S105 - the name of Django's field
# HTML's words for what fields expect.
SECRET_WORDS: Final = frozenset(
    {"current-password", "new-password", "one-time-code", "webauthn"}
)


class TypedValues(TypedDict):
    """The address of a form that was submitted too late, and its values by name."""

    action: str
    values: dict[str, list[str]]


def is_secret(field: forms.Field) -> bool:
    """True if no page may show the field's value again: a password, a token, a code, or a passkey's answer."""
    return (
        isinstance(field.widget, forms.PasswordInput)
        or field.widget.attrs.get("autocomplete") in SECRET_WORDS
    )


def secret_names() -> set[str]:
    """The names of all fields for secrets, of all forms: those of our views, and those that allauth loads later."""
    get_resolver().url_patterns  # noqa: B018 - loads the views, and with them their forms
    for form in (*settings.ACCOUNT_FORMS.values(), *settings.MFA_FORMS.values()):
        import_string(form)
    names = {CSRF_TOKEN}
    for kind in _subclasses(forms.BaseForm):
        fields: dict[str, forms.Field] = getattr(kind, "base_fields", {})
        names.update(name for name, field in fields.items() if is_secret(field))
    return names


def _subclasses(of: type[forms.BaseForm]) -> Iterator[type[forms.BaseForm]]:
    for each in of.__subclasses__():
        yield each
        yield from _subclasses(each)


def keep_typed(
    request: HttpRequest, *, user_id: int, company_id: int | None, since: int
) -> None:
    """Keep the values of the submitted form, except secrets: a part of a page only if it asks for that.

    The session began at `since`, in seconds since 1970. If someone in its company has been erased meanwhile, nothing is
    kept: the form may be about them. Nor is a form of the operator's pages, which are not filled in again.
    """
    is_part = "HX-Request" in request.headers and KEEP not in request.headers
    if (
        request.method != "POST"
        or is_part
        or request.path.startswith(reverse("admin:index"))
    ):
        return
    secrets = secret_names()
    # A form in a row of several has a prefix, such as "form-0-".
    values = {
        name: given
        for name, given in request.POST.lists()
        if name.rpartition("-")[2] not in secrets
    }
    text = json.dumps(TypedValues(action=request.path, values=values))
    member = (
        Membership.objects.active().filter(user=user_id, company=company_id).first()
    )
    if values and len(text) <= LONGEST_FORM and member is not None:
        _store(request, member, text, began=datetime.fromtimestamp(since, UTC))


def _store(
    request: HttpRequest, member: Membership, text: str, *, began: datetime
) -> None:
    with transaction.atomic():
        Company.objects.hold(member.company_id)  # as an erasure does
        erasures = AuditEntry.objects.for_company(member.company_id).filter(
            action=AuditAction.ERASURE, at__gte=began
        )
        if erasures.exists():
            return
        key = request.session[TYPED] = token_urlsafe(16)
        TypedForm.objects.create(
            company_id=member.company_id,
            user_id=member.user_id,
            key=key,
            sealed=seal(text),
        )


def is_typed_kept(request: HttpRequest) -> bool:
    """True if this browser has submitted a form too late, and its values are still there."""
    return (
        TYPED in request.session
        and TypedForm.objects.filter(key=request.session[TYPED]).exists()
    )


def recall_typed(request: HttpRequest) -> TypedValues | None:
    """The form that this user submitted after their session had ended, if any. It is returned only once."""
    kept = TypedForm.objects.filter(key=request.session.pop(TYPED, "")).first()
    if kept is None:
        return None
    kept.delete()
    try:
        if kept.user_id == request.user.pk:
            return cast(TypedValues, json.loads(unseal(kept.sealed)))
        return None
    except Unreadable:
        return None
