"""The choice of the merged lead's values between those of two leads."""

from typing import Any, Final

from django import forms

from crm.selectors.lead_merges import MergePreview

KEPT, GONE = "kept", "gone"
SIDES: Final = ((KEPT, KEPT), (GONE, GONE))


class MergeForm(forms.Form):
    """A choice between the two leads for each field in which they differ. The default is the kept lead's value."""

    def __init__(self, *args: Any, preview: MergePreview, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in preview.choices:
            self.fields[field.key] = forms.ChoiceField(
                choices=SIDES, required=False, label=field.label
            )

    @property
    def taken(self) -> list[str]:
        """The fields that take the value of the other lead, which is merged into the kept one."""
        return [key for key, side in self.cleaned_data.items() if side == GONE]
