"""The form of an organisation's details."""

from typing import Any, Final

from django import forms

from crm.forms.changes import ChangesForm
from crm.forms.leads import limit_to_company
from crm.models import Company, OrganisationDetails, User
from crm.models.organisation_details import DETAILS, NOT_A_PAGE, read_domain
from crm.models.people import company_people
from crm.selectors.organisation_domains import usual_domain

NO_COLLEAGUE: Final = "Choose one of your colleagues."


class OrganisationDetailsForm(ChangesForm):
    """The details of an organisation of the instance's company."""

    website = forms.URLField(
        required=False,
        max_length=200,
        assume_scheme="https",
        error_messages={"invalid": NOT_A_PAGE},
    )

    class Meta:
        model = OrganisationDetails
        fields = DETAILS
        help_texts = {"domain": "What follows the @ in the addresses of its people."}
        widgets = {
            "address": forms.Textarea({"rows": 3}),
            "notes": forms.Textarea({"rows": 4}),
        }
        error_messages = {"owner": {"invalid_choice": NO_COLLEAGUE}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        company = self.instance.company
        limit_to_company(self, "owner", company_people(company))
        usual = usual_domain(company, self.instance.key)
        if usual and usual != self.instance.domain:
            self.fields["domain"].help_text = f"Most of its people have {usual}."

    def clean_domain(self) -> str:
        """The domain in lower case. Raise ValidationError if it is none, or that of a provider."""
        return read_domain(self.cleaned_data["domain"])


class OrganisationOwnerForm(forms.Form):
    """The owner of several organisations; none to take it away."""

    owner = forms.ModelChoiceField(
        queryset=User.objects.none(),
        required=False,
        error_messages={"invalid_choice": NO_COLLEAGUE},
    )

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit_to_company(self, "owner", company_people(company))
