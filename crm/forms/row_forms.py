"""Forms of some fields of a lead or a deal. They ignore errors of other fields, which can't be corrected in them."""

from typing import Any, Final

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from crm.forms.changes import ChangesForm
from crm.forms.deal_outcomes import OutcomeForm
from crm.forms.leads import LeadForm

EDITED_IN_PLACE: Final = (
    "email",
    "phone",
    "organisation",
    "source",
    "type",
    "owner",
    "share_with_ad_platforms",
)


class OwnErrorsMixin(forms.ModelForm):  # type: ignore[type-arg]
    """A form that ignores errors of the row's `clean` about fields that it lacks. Django raises a ValueError there."""

    def _update_errors(self, errors: ValidationError) -> None:
        own = {
            name: each
            for name, each in errors.error_dict.items()
            if name in {*self.fields, NON_FIELD_ERRORS}
        }
        if own:
            super()._update_errors(ValidationError(own))  # type: ignore[misc]  # Django's, which its stubs leave out


class DealRowForm(OwnErrorsMixin, OutcomeForm):
    """A deal in a list whose stage can be changed."""


class LeadFieldForm(OwnErrorsMixin, ChangesForm, LeadForm):
    """One field of the lead's form. Rejects a change if someone else has changed the field meanwhile."""

    def __init__(self, *args: Any, field: str, **kwargs: Any) -> None:
        super().__init__(*args, auto_id="edit_%s", **kwargs)
        self.custom_fields = []
        for name in self.fields.keys() - {field}:
            del self.fields[name]
        self.fields[field].help_text = ""  # there is no room in a row
        self.shown = self[field]
