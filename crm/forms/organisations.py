"""Choosing an organisation by its name, and renaming one."""

from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse

from crm.forms.picklists import Suggestions
from crm.models import Lead
from crm.models.validators import is_seen

LONGEST_NAME: Final = Lead._meta.get_field("organisation").max_length or 0
NO_NAME: Final = "Enter the name of the organisation."


class OrganisationInput(Suggestions):
    """The name of an organisation, with suggestions while it is typed. Without scripts, a plain text field."""

    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        # Otherwise the input would inherit the attributes that the form has for its own response.
        return {
            **super().build_attrs(base_attrs, extra_attrs),
            "autocomplete": "off",
            "hx-post": reverse("organisation_suggestions"),
            "hx-trigger": "input changed delay:200ms",
            "hx-params": "organisation",
            "hx-target": "next datalist",
            "hx-swap": "innerHTML",
            "hx-select": "unset",
            "hx-select-oob": "unset",
            "hx-sync": "this:replace",
        }


class SuggestionsForm(forms.Form):
    organisation = forms.CharField(required=False, max_length=LONGEST_NAME)


class RenameForm(forms.Form):
    """A new name for an organisation."""

    name = forms.CharField(
        label="New name", max_length=LONGEST_NAME, error_messages={"required": NO_NAME}
    )

    def clean_name(self) -> str:
        """The name with single blanks. Raise ValidationError if it has no visible character."""
        name = " ".join(self.cleaned_data["name"].split())
        if not is_seen(name):
            raise ValidationError(NO_NAME)
        return name
