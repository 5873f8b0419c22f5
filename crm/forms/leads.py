"""The lead form."""

from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from crm.forms.custom_fields import WithCustomFields
from crm.forms.organisations import OrganisationInput
from crm.forms.picklists import Suggestions
from crm.models import (
    Company,
    FieldSubject,
    Lead,
    LeadMeaning,
    LeadSource,
    LeadStatus,
    LeadType,
)
from crm.models.addresses import PersonAddressField
from crm.models.organisation_figures import organisation_by_domain
from crm.models.people import company_people
from crm.selectors.erasure import Namesake

BACKGROUND: Final = (
    "Lasting facts about the person. What happens belongs in the history, as a note."
)
BY_DOMAIN: Final = "If empty, the one with the domain of the address."


class LeadForm(WithCustomFields):
    """A lead of the given company, which is not a field."""

    type = forms.ChoiceField(
        error_messages={"invalid_choice": "Choose one of your company's types."}
    )

    class Meta:
        model = Lead
        fields = (
            "first_name",
            "last_name",
            "email",
            "phone",
            "organisation",
            "title",
            "source",
            "type",
            "status",
            "owner",
            "share_with_ad_platforms",
            "notes",
        )
        field_classes = {"email": PersonAddressField}
        help_texts = {
            "email": "LinkedIn only ever receives a hash of it.",
            "source": "Where the lead came from.",
            "notes": BACKGROUND,
        }
        widgets = {
            "notes": forms.Textarea({"rows": 4}),
            "source": Suggestions,
            "organisation": OrganisationInput,
        }
        error_messages = {
            "email": {
                "invalid": "Enter an e-mail address such as ada@example.com.",
                "max_length": "Enter at most %(limit_value)d characters. This address has %(show_value)d.",
            },
            "status": {"invalid_choice": "Choose one of your company's statuses."},
            "owner": {"invalid_choice": "Choose one of your colleagues."},
        }

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.company = company
        limit_to_company(
            self,
            "status",
            LeadStatus.objects.for_company(company).offered(self.instance.status_id),
        )
        limit_to_company(self, "owner", company_people(company))
        types = [
            each for each in LeadType.objects.for_company(company) if self._offers(each)
        ]
        choices = [(each.code, str(each)) for each in types] or [
            (self.instance.type, self.instance.type)
        ]
        self.fields["type"].choices = choices  # type: ignore[attr-defined]
        sources = LeadSource.objects.for_company(company).offered()
        self.fields["source"].widget.suggestions = sources.values_list(
            "name", flat=True
        )
        if self.instance._state.adding:
            self.fields["organisation"].help_text = BY_DOMAIN
            self.initial.setdefault(
                "status", LeadStatus.objects.first_for(company, LeadMeaning.NEW)
            )
        self.add_custom_fields(company, FieldSubject.LEAD)

    def clean(self) -> None:
        """Fill in the organisation of a new lead, if none is given and the domain of the address tells it."""
        super().clean()
        is_new, given = self.instance._state.adding, self.cleaned_data
        if is_new and given.get("email") and not given.get("organisation"):
            company = self.instance.company
            found = organisation_by_domain(company, given["email"])
            self.cleaned_data["organisation"] = found

    def _offers(self, each: LeadType) -> bool:
        return each.archived_at is None or each.code == self.instance.type


class ErasureForm(forms.Form):
    """Requires the lead's name, so that no one erases the wrong person by mistake. `also` are others like it."""

    also = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "invalid_choice": "These leads have changed since you opened the page. Check them again."
        },
    )
    name = forms.CharField(
        label="Type the lead's name", widget=forms.TextInput({"autocomplete": "off"})
    )

    def __init__(
        self, *args: Any, lead: Lead, namesakes: Sequence[Namesake], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.lead, self.namesakes = lead, namesakes
        self.fields["name"].help_text = str(lead)
        also = self.fields["also"]
        assert isinstance(also, forms.MultipleChoiceField)
        also.choices = [(str(each.lead.pk), str(each.lead)) for each in namesakes]

    @property
    def chosen(self) -> list[Lead]:
        """The lead, and the others that were selected."""
        return [
            self.lead,
            *(
                each.lead
                for each in self.namesakes
                if str(each.lead.pk) in self.cleaned_data["also"]
            ),
        ]

    @property
    def rows(self) -> list[tuple[Any, Namesake]]:
        """The checkbox of each of the others, for the page."""
        return [*zip(self["also"], self.namesakes, strict=True)]

    def clean_name(self) -> str:
        """Raise ValidationError unless it is the lead's name, ignoring case."""
        name: str = self.cleaned_data["name"]
        if name.casefold() != " ".join(str(self.lead).split()).casefold():
            raise ValidationError("That is not the lead's name.")
        return name


def limit_to_company(form: forms.BaseForm, name: str, choices: Any) -> None:
    """Limit a field to these rows."""
    field = form.fields[name]
    assert isinstance(field, forms.ModelChoiceField)
    field.queryset = choices
    field.empty_label = None if field.required else "No owner"
