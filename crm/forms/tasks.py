"""The task form."""

from typing import Any

from django import forms

from crm.forms.changes import ChangesForm
from crm.forms.leads import limit_to_company
from crm.models import Company, Task
from crm.models.people import company_people


class TaskForm(ChangesForm):
    """A task of the given company. Its lead or deal is not a field: the page that adds the task sets it."""

    class Meta:
        model = Task
        fields = ("title", "kind", "due_on", "due_time", "owner", "reminder")
        help_texts = {
            "title": "What is to be done, such as “Call Ada about the offer”.",
            "due_time": "Leave it empty if any time of the day will do.",
            "reminder": "Sent to the owner an hour before the time, or at 8:00 if there is none.",
        }
        widgets = {
            "due_on": forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
            "due_time": forms.TimeInput({"type": "time"}, format="%H:%M"),
        }
        error_messages = {
            "due_on": {"invalid": "Enter a date."},
            "due_time": {"invalid": "Enter a time such as 14:30."},
            "owner": {"invalid_choice": "Choose one of your colleagues."},
        }

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.company = company
        limit_to_company(self, "owner", company_people(company))
