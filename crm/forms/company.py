"""The forms of the company page."""

from typing import Any, Final

from django import forms

from crm.accounts.forms import TIME_ZONE_CHOICES
from crm.forms.changes import ChangesForm
from crm.models import ApiKey, Company
from crm.models.company import MAX_GRACE_SECONDS
from crm.models.roles import Role
from crm.models.validators import CURRENCY_CHOICES

GRACE_CHOICES: Final = (
    (0, "None: sent at once"),
    (10, "10 seconds"),
    (30, "30 seconds"),
    (60, "1 minute"),
    (120, "2 minutes"),
    (300, "5 minutes"),
    (MAX_GRACE_SECONDS, "10 minutes"),
)


class CompanyForm(ChangesForm):
    class Meta:
        model = Company
        fields = ("name", "currency", "time_zone", "requires_lost_reason")
        labels = {"requires_lost_reason": "A lost deal needs a lost reason"}
        widgets = {
            "currency": forms.Select(choices=CURRENCY_CHOICES),
            "time_zone": forms.Select(choices=TIME_ZONE_CHOICES),
        }
        help_texts = {
            "currency": "The default for new deals.",
            "time_zone": "Dates and times on your pages use this time zone.",
            "requires_lost_reason": "Anyone who loses a deal in the browser must choose one. Scripts may leave it out.",
        }


class GraceForm(ChangesForm):
    """How long a change in the browser can be undone before it is sent to LinkedIn."""

    grace_seconds = forms.TypedChoiceField(
        label="Time to undo", coerce=int, choices=GRACE_CHOICES
    )

    class Meta:
        model = Company
        fields = ("grace_seconds",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        current = self.instance.grace_seconds
        # Set in the administration, to a value that we don't offer.
        if current not in dict(GRACE_CHOICES):
            choices = sorted([*GRACE_CHOICES, (current, f"{current} seconds")])
            self.fields["grace_seconds"].choices = choices  # type: ignore[attr-defined]


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # The company form on the same page also has a name.
        super().__init__(*args, **{"auto_id": "key_%s", **kwargs})
        self.fields["role"].choices = [("", "Choose a role"), *Role.choices]  # type: ignore[attr-defined]

    class Meta:
        model = ApiKey
        fields = ("name", "role")
        help_texts = {
            "name": "What it is for, such as the name of a website or script."
        }
