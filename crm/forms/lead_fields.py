"""One field of a lead, edited in place."""

from typing import Any, Final

from crm.forms.changes import ChangesForm
from crm.forms.leads import LeadForm
from crm.forms.row_forms import OwnErrorsMixin

EDITED_IN_PLACE: Final = ("email", "phone", "organisation", "source", "type", "owner", "share_with_ad_platforms")


class LeadFieldForm(OwnErrorsMixin, ChangesForm, LeadForm):
    """One field of the lead's form. Rejects a change if someone else has changed the field meanwhile."""

    def __init__(self, *args: Any, field: str, **kwargs: Any) -> None:
        super().__init__(*args, auto_id="edit_%s", **kwargs)
        self.custom_fields = []
        for name in self.fields.keys() - {field}:
            del self.fields[name]
        self.fields[field].help_text = ""  # there is no room in a row
        self.shown = self[field]
