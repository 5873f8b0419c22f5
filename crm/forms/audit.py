"""How the audit log is narrowed down."""

from datetime import date, datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone

from crm.models import ApiKey, AuditAction, AuditEntry, Company, Membership
from crm.models.audit import ActorKind, AuditEntryQuerySet

SANE: Final = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2199, 12, 31))]  # no database trips over it

NEVER_YET: Final = (AuditAction.RETRY, AuditAction.CANCEL, AuditAction.IMPORT)  # nothing does these so far
ACTIONS: Final = [(action.value, action.label) for action in AuditAction if action not in NEVER_YET]


class AuditFilterForm(forms.Form):
    """From the address. A value that makes no sense narrows nothing."""

    who = forms.ChoiceField(label="Who", required=False)
    action = forms.ChoiceField(label="What", required=False, choices=[("", "Anything"), *ACTIONS])
    since = forms.DateField(label="From", required=False, validators=SANE, widget=forms.DateInput({"type": "date"}))
    until = forms.DateField(label="Until", required=False, validators=SANE, widget=forms.DateInput({"type": "date"}))
    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput)

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.company = company
        who = self.fields["who"]
        assert isinstance(who, forms.ChoiceField)
        who.choices = [("", "Anyone"), *_people(company), *_keys(company), (ActorKind.SYSTEM, ActorKind.SYSTEM.label)]

    def clean(self) -> None:
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and until < since:
            raise ValidationError("The period ends before it begins.")

    def entries(self) -> AuditEntryQuerySet:
        """What is asked for, newest first."""
        self.is_valid()
        asked, entries = self.cleaned_data, AuditEntry.objects.for_company(self.company)
        if asked.get("who"):
            kind, _, pk = asked["who"].partition("-")
            entries = entries.filter(actor_kind=kind, **({"actor_id": pk} if pk else {}))
        if asked.get("action"):
            entries = entries.filter(action=asked["action"])
        if asked.get("since"):
            entries = entries.filter(at__gte=_start_of(asked["since"]))
        if asked.get("until"):
            entries = entries.filter(at__lt=_start_of(asked["until"] + timedelta(days=1)))
        return entries.order_by("-pk")

    @property
    def asked(self) -> dict[str, str]:
        """What the log is narrowed down by, as it came."""
        return {name: self.data[name] for name in ("who", "action", "since", "until") if self.data.get(name)}


def _people(company: Company) -> list[tuple[str, str]]:
    members = Membership.objects.for_company(company).select_related("user")
    return [(f"{ActorKind.USER}-{member.user_id}", str(member.user)) for member in members]


def _keys(company: Company) -> list[tuple[str, str]]:
    return [(f"{ActorKind.API_KEY}-{key.pk}", f"Key {key}") for key in ApiKey.objects.for_company(company)]


def _start_of(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
