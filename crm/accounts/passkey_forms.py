"""Forms for passkeys: allauth's, with our labels, limits and error messages."""

import base64
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn import forms as webauthn
from allauth.mfa.webauthn.internal import auth
from django import forms
from django.core.exceptions import ValidationError

from crm.models import User

MOST_PASSKEYS: Final = 20  # of a user: each is parsed when they sign in with one
NAME_LENGTH: Final = 60  # characters
IN_USE: Final = "This passkey is in use already. Create a new one."
BAD_CREDENTIAL: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


@contextmanager
def _readable_passkey() -> Iterator[None]:
    """Raises ValidationError for a credential that can't be parsed. fido2 (2.2) may raise any of BAD_CREDENTIAL."""
    try:
        yield
    except ValidationError as error:
        if error.code != "incorrect_code":
            raise
        raise get_adapter().validation_error("unknown_passkey") from None
    except BAD_CREDENTIAL:
        raise get_adapter().validation_error("unknown_passkey") from None


class _CredentialDecoder(json.JSONDecoder):
    """Also raises JSONDecodeError, the only error that JSONField handles, for too many digits and too deep nesting."""

    def decode(self, s: str, *args: Any) -> Any:
        try:
            return super().decode(s, *args)
        except (ValueError, RecursionError) as error:
            raise json.JSONDecodeError(str(error), s, 0) from None


class CredentialMixin(forms.Form):
    """A form with what the browser returned for a passkey, which JavaScript fills in."""

    credential = forms.JSONField(
        decoder=_CredentialDecoder,
        widget=forms.HiddenInput({"autocomplete": "webauthn"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        unknown = get_adapter().error_messages["unknown_passkey"]
        self.fields["credential"].error_messages = dict.fromkeys(
            ("required", "invalid"), unknown
        )


class PasskeySignInForm(CredentialMixin, webauthn.LoginWebAuthnForm):  # type: ignore[misc]
    """Signs in the owner of the passkey."""

    def clean_credential(self) -> Authenticator:
        with _readable_passkey():
            passkey: Authenticator = super().clean_credential()
        return passkey


class OwnPasskeyMixin(CredentialMixin):
    """Takes a passkey of a user who is known.

    allauth's forms count each try for the account, wherever it comes from, so anyone with the password could keep the
    owner out. There is nothing to guess here, so nothing is counted.
    """

    user: User
    cleaned_data: dict[str, Any]

    def clean_credential(self) -> Authenticator:
        with _readable_passkey():
            passkey: Authenticator = auth.complete_authentication(
                self.user, self.cleaned_data["credential"]
            )
        return passkey


class PasskeyForm(OwnPasskeyMixin, webauthn.AuthenticateWebAuthnForm):  # type: ignore[misc]
    pass


class PasskeyAgainForm(OwnPasskeyMixin, webauthn.ReauthenticateWebAuthnForm):  # type: ignore[misc]
    pass


class AddPasskeyForm(CredentialMixin, webauthn.SignupWebAuthnForm):  # type: ignore[misc]
    """A new passkey. Its view asks the device for one that also signs in without a password."""

    name = forms.CharField(
        required=False,
        max_length=NAME_LENGTH,
        label="Name",
        help_text="Such as “My phone”, to distinguish them later.",
    )

    def clean(self) -> dict[str, Any]:
        passkeys = Authenticator.objects.filter(
            user=self.user, type=Authenticator.Type.WEBAUTHN
        )
        if passkeys.count() >= MOST_PASSKEYS:
            raise ValidationError(
                f"You have {MOST_PASSKEYS} passkeys. Remove one that you no longer use first."
            )
        with _readable_passkey():
            if credential := self.cleaned_data.get("credential"):
                self._name_by_what_is_signed(credential)
            return super().clean() or {}

    def _name_by_what_is_signed(self, credential: dict[str, Any]) -> None:
        """Set the credential's id, which the browser only claims, to the one in its data, in its one spelling.

        Raises ValidationError if anyone has a passkey of this id: no device makes a second one by chance.
        """
        response = auth.parse_registration_response(credential).response
        signed = response.attestation_object.auth_data.credential_data.credential_id
        credential_id = base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
        if Authenticator.objects.filter(
            type=Authenticator.Type.WEBAUTHN, data__credential__id=credential_id
        ).exists():
            raise ValidationError(IN_USE)
        credential["id"] = credential["rawId"] = credential_id


class RenamePasskeyForm(webauthn.EditWebAuthnForm):  # type: ignore[misc]
    name = forms.CharField(max_length=NAME_LENGTH, label="Name")
