"""The form of a source."""

from typing import Any, Final

from django import forms

from crm.forms.changes import ChangesForm
from crm.forms.leads import limit_to_company
from crm.models import IntakeSource
from crm.models.intake import SignatureKind
from crm.models.people import company_people

LONGEST_SECRET: Final = 500  # characters


class IntakeSourceForm(ChangesForm):
    """A source of the company that its instance has."""

    secret = forms.CharField(
        label="Signing secret",
        max_length=LONGEST_SECRET,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Stored encrypted, and never shown again. Leave it empty to keep the stored one.",
    )
    field_order = (
        "name",
        "owner",
        "shares_without_consent",
        "thanks_url",
        "signed_by",
        "secret",
        "is_active",
    )

    class Meta:
        model = IntakeSource
        fields = (
            "name",
            "owner",
            "shares_without_consent",
            "thanks_url",
            "signed_by",
            "is_active",
        )
        labels = {"is_active": "Accept leads"}
        help_texts = {
            "name": "Such as “Contact form”. New leads get it as their source.",
            "thanks_url": "A form in a browser goes on to this address. If empty, to a page in your company's name.",
            "signed_by": "If set, what isn't signed with the secret below is refused.",
            "is_active": "If off, the address answers that it was switched off.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["signed_by"].widget.choices = [
            ("", "None: whoever has the address"),
            *SignatureKind.choices,
        ]
        limit_to_company(self, "owner", company_people(self.instance.company))

    def clean(self) -> None:
        """Add an error if what is to be signed has no secret. Seals a new one."""
        super().clean()
        source, secret = self.instance, self.cleaned_data.get("secret", "")
        is_other = "signed_by" in self.changed_data
        is_missing = not secret and (is_other or not source.sealed_secret)
        if self.cleaned_data.get("signed_by") and is_missing:
            self.add_error("secret", "Enter the secret of the sender.")
        elif secret or not self.cleaned_data.get("signed_by"):
            source.secret = secret if self.cleaned_data.get("signed_by") else ""

    @property
    def changed_columns(self) -> list[str]:
        """The columns to save: of a secret, the sealed one."""
        columns = [name for name in self.changed_data if name != "secret"]
        has_secret = {"secret", "signed_by"} & {*self.changed_data}
        return [*columns, "sealed_secret"] if has_secret else columns
