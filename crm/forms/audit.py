"""The filter of the audit log."""

from datetime import date, timedelta
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator

from crm.models import ApiKey, AuditAction, AuditEntry, Company, Membership
from crm.models.audit import ActorKind, AuditEntryQuerySet
from crm.models.company import start_of

# For any database.
VALID_DATES: Final = [
    MinValueValidator(date(2000, 1, 1)),
    MaxValueValidator(date(2199, 12, 31)),
]


class AuditFilterForm(forms.Form):
    """The filters in the URL. An invalid value filters nothing."""

    FILTERS: Final = ("who", "action", "since", "until")

    who = forms.ChoiceField(label="Who", required=False)
    action = forms.ChoiceField(
        label="What", required=False, choices=[("", "Any action"), *AuditAction.choices]
    )
    since = forms.DateField(
        label="From",
        required=False,
        validators=VALID_DATES,
        widget=forms.DateInput({"type": "date"}),
    )
    until = forms.DateField(
        label="Until",
        required=False,
        validators=VALID_DATES,
        widget=forms.DateInput({"type": "date"}),
    )
    before = forms.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput
    )

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.company = company
        who = self.fields["who"]
        assert isinstance(who, forms.ChoiceField)
        who.choices = [
            ("", "Anyone"),
            *_people(company),
            *_keys(company),
            (ActorKind.SYSTEM, ActorKind.SYSTEM.label),
        ]

    def clean(self) -> None:
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and until < since:
            raise ValidationError("The end date is before the start date.")

    def entries(self) -> AuditEntryQuerySet:
        """The entries that match, newest first."""
        self.is_valid()
        filters, entries = (
            self.cleaned_data,
            AuditEntry.objects.for_company(self.company),
        )
        if filters.get("who"):
            kind, _, pk = filters["who"].partition("-")
            entries = entries.filter(
                actor_kind=kind, **({"actor_id": pk} if pk else {})
            )
        if filters.get("action"):
            entries = entries.filter(action=filters["action"])
        if filters.get("since"):
            entries = entries.filter(at__gte=start_of(filters["since"]))
        if filters.get("until"):
            entries = entries.filter(
                at__lt=start_of(filters["until"] + timedelta(days=1))
            )
        return entries.order_by("-pk")

    @property
    def asked(self) -> dict[str, str]:
        """The filters in use, as given."""
        return {name: self.data[name] for name in self.FILTERS if self.data.get(name)}


def _people(company: Company) -> list[tuple[str, str]]:
    members = Membership.objects.for_company(company).select_related("user")
    return [
        (f"{ActorKind.USER}-{member.user_id}", str(member.user)) for member in members
    ]


def _keys(company: Company) -> list[tuple[str, str]]:
    return [
        (f"{ActorKind.API_KEY}-{key.pk}", f"Key {key}")
        for key in ApiKey.objects.for_company(company)
    ]
