"""The forms of the company page."""

from datetime import date, timedelta
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from crm.accounts.forms import TIME_ZONE_CHOICES
from crm.forms.changes import ChangesForm
from crm.models import ApiKey, Company
from crm.models.api_key import NETWORKS_AT_MOST, parse_network
from crm.models.company import MAX_GRACE_SECONDS, start_of
from crm.models.roles import Role
from crm.models.scopes import Access, Noun, scope
from crm.models.validators import CURRENCY_CHOICES
from crm.services.companies import KeyLimits

GRACE_CHOICES: Final = (
    (0, "None: sent at once"),
    (10, "10 seconds"),
    (30, "30 seconds"),
    (60, "1 minute"),
    (120, "2 minutes"),
    (300, "5 minutes"),
    (MAX_GRACE_SECONDS, "10 minutes"),
)
EXPIRY_AT_MOST: Final = timedelta(days=3653)


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


class ScopeTable(forms.CheckboxSelectMultiple):
    """A row of two checkboxes for each noun."""

    template_name = "forms/scopes.html"
    use_fieldset = True


class NetworksField(forms.CharField):
    """Networks in CIDR notation, or single addresses, with blanks, commas or line breaks in between."""

    def clean(self, value: Any) -> list[str]:
        """The networks in their normal form, each once. Raises ValidationError."""
        texts = super().clean(value).replace(",", " ").split()
        if len(texts) > NETWORKS_AT_MOST:
            raise ValidationError(f"Enter {NETWORKS_AT_MOST} networks at most.")
        networks = []
        for text in texts:
            try:
                networks.append(str(parse_network(text)))
            except ValueError as error:
                raise ValidationError(
                    f"“{text[:50]}” is no network. Enter it as 203.0.113.0/24, or an address."
                ) from error
        return [*dict.fromkeys(networks)]


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new key. Without scopes, it may do all that its role allows."""

    expires_on = forms.DateField(
        label="Last day",
        required=False,
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Enter a date."},
        help_text="Leave it empty for a key that works until you revoke it.",
    )
    networks = NetworksField(
        label="Allowed networks",
        required=False,
        max_length=1000,
        help_text="Such as 203.0.113.0/24. Leave it empty for any address.",
    )
    scopes = forms.MultipleChoiceField(
        label="Scopes",
        required=False,
        choices=[
            (noun.label, [(scope(noun, access), access.value) for access in Access])
            for noun in Noun
        ],
        widget=ScopeTable,
        help_text="Select none for all that the role allows.",
    )

    def clean_expires_on(self) -> date | None:
        day: date | None = self.cleaned_data["expires_on"]
        today = timezone.localdate()
        if day is not None and not today <= day <= today + EXPIRY_AT_MOST:
            raise ValidationError("Enter a day from today on, within ten years.")
        return day

    def is_limited(self) -> bool:
        """True if something was entered that limits the key, which the page then shows."""
        return any(self[name].value() for name in ("expires_on", "networks", "scopes"))

    def limits(self) -> KeyLimits:
        """What limits the key. Only for a valid form."""
        day: date | None = self.cleaned_data["expires_on"]
        return KeyLimits(
            scopes=self.cleaned_data["scopes"],
            networks=self.cleaned_data["networks"],
            expires_at=start_of(day + timedelta(days=1)) if day else None,
        )

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
