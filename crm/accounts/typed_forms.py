"""The values of a form that was submitted after its session had ended, kept until the same user has signed in again.

Fields for secrets are left out: docs/decisions/typed-forms-outlive-their-session.md.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django import forms
from django.conf import settings
from django.http import HttpRequest
from django.urls import get_resolver
from django.utils.module_loading import import_string

from crm.models.crypto import Unreadable, seal, unseal

TYPED: Final = "typed"  # session key: the user's id, the form's address, and its encrypted values
LONGEST_FORM: Final = 100_000  # characters
KEEP: Final = "X-Keep-Typed"  # header of an htmx form whose values a whole page can be filled in with again
CSRF_TOKEN: Final = "csrfmiddlewaretoken"  # noqa: S105 - the name of Django's field
# HTML's words for what fields expect.
SECRET_WORDS: Final = frozenset({"current-password", "new-password", "one-time-code", "webauthn"})


@dataclass(frozen=True, slots=True)
class TypedForm:
    """The values of a form that was submitted too late, by name."""

    action: str
    values: dict[str, list[str]]


def is_secret(field: forms.Field) -> bool:
    """True if no page may show the field's value again: a password, a token, a code, or a passkey's answer."""
    return isinstance(field.widget, forms.PasswordInput) or field.widget.attrs.get("autocomplete") in SECRET_WORDS


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


def keep_typed(request: HttpRequest, user_id: int | None) -> None:
    """Keep the values of the submitted form, except secrets: a part of a page only if it asks for that."""
    if request.method != "POST" or ("HX-Request" in request.headers and KEEP not in request.headers):
        return
    secrets = secret_names()
    # A form in a row of several has a prefix, such as "form-0-".
    values = {name: given for name, given in request.POST.lists() if name.rpartition("-")[2] not in secrets}
    text = json.dumps(values)
    if values and len(text) <= LONGEST_FORM:
        request.session[TYPED] = [user_id, request.path, seal(text)]


def recall_typed(request: HttpRequest) -> TypedForm | None:
    """The form that this user submitted after their session had ended, if any. It is returned only once."""
    user_id, action, sealed = request.session.pop(TYPED, (None, "", ""))
    if user_id is None or user_id != request.user.pk:
        return None
    try:
        return TypedForm(action, json.loads(unseal(sealed)))
    except Unreadable:
        return None
