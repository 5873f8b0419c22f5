"""The form of a source."""

from typing import Any

from crm.forms.changes import ChangesForm
from crm.forms.leads import limit_to_company
from crm.models import IntakeSource
from crm.models.people import company_people


class IntakeSourceForm(ChangesForm):
    """A source of the company that its instance has."""

    class Meta:
        model = IntakeSource
        fields = ("name", "owner", "shares_without_consent", "thanks_url", "is_active")
        labels = {"is_active": "Accept leads"}
        help_texts = {
            "name": "Such as “Contact form”. New leads get it as their source.",
            "thanks_url": "A form in a browser goes on to this address. If empty, to a page in your company's name.",
            "is_active": "If off, the address answers that it was switched off.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit_to_company(self, "owner", company_people(self.instance.company))
