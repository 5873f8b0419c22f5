"""The forms for importing rules: the ad account, and the CRM event for each of LinkedIn's rules."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.forms import BoundField

from capi import services
from capi.forms.rules import ID_WITH_PREFIX_MAX_LENGTH
from capi.models import CrmEventName
from capi.selectors.rule_import import ImportableRule
from capi.services.rule_import import ChosenRule
from crm.forms.changes import ChangesMixin

PREFIX: Final = "event_"
NOT_IMPORTED: Final = ("", "Don't import")


class AdAccountForm(ChangesMixin, forms.Form):
    """The ad account to read rules from."""

    ad_account_id = forms.CharField(
        label="Ad account id",
        max_length=ID_WITH_PREFIX_MAX_LENGTH,
        help_text="The digits next to the account's name in Campaign Manager.",
        widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off"}),
        error_messages={
            "required": "Enter the ad account id.",
            "max_length": "An ad account id has at most 19 digits.",
        },
    )

    def clean_ad_account_id(self) -> str:
        return services.clean_ad_account_id(self.cleaned_data["ad_account_id"])


class ImportForm(forms.Form):
    """One field per importable rule: the CRM event to send to it, or none."""

    def __init__(
        self, *args: Any, offers: Sequence[ImportableRule], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.offers = {f"{PREFIX}{offer.rule.id}": offer for offer in offers}
        self.fields.update({name: _field(offer) for name, offer in self.offers.items()})

    def clean(self) -> None:
        selected = {
            name
            for name, event in self.data.items()
            if name.startswith(PREFIX) and event
        }
        if selected - self.offers.keys():
            raise ValidationError(
                "LinkedIn no longer lists one of the rules you chose. Choose from this list."
            )
        if not selected:
            raise ValidationError("Choose a CRM event for at least one rule.")

    def chosen(self) -> list[ChosenRule]:
        """The rules with a chosen CRM event."""
        return [
            ChosenRule(self.offers[name].rule, event)
            for name, event in self.cleaned_data.items()
            if event
        ]

    def rows(self) -> Iterator[tuple[ImportableRule, BoundField]]:
        """Each importable rule with its field."""
        for name, offer in self.offers.items():
            yield offer, self[name]


def _field(offer: ImportableRule) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=offer.rule.name or offer.rule.id,
        required=False,
        initial=offer.preset,
        choices=[
            NOT_IMPORTED,
            *(
                (event.value, f"{event.label} ({event.value})")
                for event in CrmEventName
            ),
        ],
        error_messages={
            "invalid_choice": "Choose one of the CRM events, or “Don't import”."
        },
    )
