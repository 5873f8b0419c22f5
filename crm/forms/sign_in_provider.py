"""The form for a company's sign-in provider."""

from typing import Any, ClassVar, Final

from allauth.socialaccount.models import SocialAccount
from django import forms
from django.core.exceptions import ValidationError

from crm.forms.changes import ChangesForm
from crm.models import SignInProvider
from crm.services.outbound import is_safe_address

LONGEST_SECRET: Final = 500  # characters
# If one of these differs, it is another provider.
IDENTITY: Final = {"issuer", "client_id"}


class SignInProviderForm(ChangesForm):
    # They belong to one application.
    together: ClassVar[frozenset[str]] = frozenset({*IDENTITY, "secret"})

    secret = forms.CharField(
        label="Client secret",
        max_length=LONGEST_SECRET,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Stored encrypted, and never shown again.",
    )
    field_order = ("name", "issuer", "client_id", "secret", "is_required")

    class Meta:
        model = SignInProvider
        fields = ("name", "issuer", "client_id", "is_required")
        labels = {
            "issuer": "Issuer",
            "client_id": "Client id",
            "is_required": "Required for everyone but admins",
        }
        widgets = {
            "issuer": forms.URLInput(attrs={"placeholder": "https://…"}),
            "client_id": forms.TextInput(attrs={"autocomplete": "off"}),
        }
        help_texts = {
            "name": "On the sign-in button, such as Microsoft, Google or Okta.",
            "issuer": "An address that begins with https://",
            "is_required": "They can no longer use a password or passkey to get into this company. Admins still can, "
            "in case the provider fails.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["secret"].help_text = "Leave it empty to keep the stored one."
        else:
            del self.fields["is_required"]

    def clean_issuer(self) -> str:
        issuer: str = self.cleaned_data["issuer"]
        if not is_safe_address(issuer):
            raise ValidationError("Enter an address that begins with https://")
        before, is_of_settings, _ = issuer.partition("/.well-known/")
        if is_of_settings:
            raise ValidationError(
                f"This is the address of the provider's settings. Enter its issuer: {before}"
            )
        return issuer

    def clean(self) -> None:
        """Add an error if the stored secret would be sent elsewhere, or if an untried provider is to be required."""
        super().clean()
        is_other = not self.instance.pk or bool(IDENTITY & {*self.changed_data})
        if is_other and not self.cleaned_data.get("secret"):
            self.add_error("secret", "Enter the secret of this application.")
        is_tried = (
            SocialAccount.objects.filter(provider=self.instance.code).exists()
            and not is_other
        )
        if self.cleaned_data.get("is_required") and not is_tried:
            self.add_error(
                "is_required",
                "First sign in with it yourself, so that you know it works.",
            )
