"""Forms for the people page and for joining a company."""

from typing import Any

from allauth.account.fields import SetPasswordField
from django import forms
from django.core.exceptions import ValidationError

from crm.accounts.forms import GOOD_PASSWORD, AccountEmailField
from crm.forms.changes import ChangesForm
from crm.models import Company, Invitation, Membership, User
from crm.models.roles import Role


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]
    email = AccountEmailField(label="E-mail address")

    class Meta:
        model = Invitation
        fields = ("email", "role")

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        self.company = company
        super().__init__(*args, **kwargs)
        self.initial["role"] = self.initial.get("role") or Role.SALES
        self.fields["role"].choices = Role.choices  # type: ignore[attr-defined]

    def clean_email(self) -> str:
        """The address. Raises ValidationError for members and for people already invited."""
        email: str = self.cleaned_data["email"]
        members = Membership.objects.for_company(self.company)
        if members.filter(user__email=email).exists():
            raise ValidationError(
                "This person is already in the list above. You can reactivate them there."
            )
        invitations = Invitation.objects.for_company(self.company).open()
        if invitations.filter(email=email).exists():
            raise ValidationError(
                "This person has already been invited. Send the invitation again if it got lost."
            )
        return email


class RoleForm(ChangesForm):
    class Meta:
        model = Membership
        fields = ("role",)


class NewMemberForm(forms.ModelForm):  # type: ignore[type-arg]
    """An invited person who has no account yet."""

    password = SetPasswordField(label="Password", help_text=GOOD_PASSWORD)

    class Meta:
        model = User
        fields = ("first_name", "last_name")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["first_name"].required = True
        self.fields["password"].user = self.instance  # type: ignore[attr-defined]
        self.fields["password"].widget.attrs.pop("placeholder", None)
