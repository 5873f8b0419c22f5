"""Forms of some fields of a lead or a deal. They ignore errors of other fields, which can't be corrected in them."""

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from crm.forms.outcomes import OutcomeForm


class OwnErrorsMixin(forms.ModelForm):  # type: ignore[type-arg]
    """A form that ignores errors of the row's `clean` about fields that it lacks. Django raises a ValueError there."""

    def _update_errors(self, errors: ValidationError) -> None:
        own = {name: each for name, each in errors.error_dict.items() if name in {*self.fields, NON_FIELD_ERRORS}}
        if own:
            super()._update_errors(ValidationError(own))  # type: ignore[misc]  # Django's, which its stubs leave out


class DealRowForm(OwnErrorsMixin, OutcomeForm):
    """A deal in a list whose stage can be changed."""
