"""An OpenID Connect provider (Microsoft, Google, Okta …) that signs in the people of one company."""

import secrets
from typing import ClassVar, Final

from django.db import models
from django.utils.crypto import salted_hmac

from crm.models.bidi import without_bidi_controls
from crm.models.company import Company
from crm.models.crypto import seal_for, unseal_for
from crm.models.tenancy import CompanyQuerySet
from crm.models.validators import check_seen

# None that looks like another.
CODE_CHARACTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
# Nearly 60 bits: no one can guess which companies have a provider.
CODE_LENGTH: Final = 12
ISSUER_LENGTH: Final = 200  # characters


def new_code() -> str:
    return "".join(secrets.choice(CODE_CHARACTERS) for _ in range(CODE_LENGTH))


def code_of(company_id: int) -> str:
    """The code of the company's provider before it is saved: an admin registers it at the provider first.

    The same for every admin in every session, without a row. Another `SECRET_KEY` gives another code.
    """
    digest = salted_hmac(
        "crm.SignInProvider.code", str(company_id), algorithm="sha256"
    ).digest()
    return "".join(
        CODE_CHARACTERS[byte % len(CODE_CHARACTERS)] for byte in digest[:CODE_LENGTH]
    )


class SignInProvider(models.Model):
    """What we need to send people to the provider and to check its response. A company without a row has none."""

    company = models.OneToOneField(
        Company, on_delete=models.CASCADE, related_name="sign_in_provider"
    )
    # In the company's sign-in link, and in `SocialAccount.provider`.
    code = models.CharField(
        max_length=CODE_LENGTH, unique=True, default=new_code, editable=False
    )
    name = models.CharField(max_length=40)
    issuer = models.CharField(max_length=ISSUER_LENGTH)
    client_id = models.CharField(max_length=190)
    sealed_secret = models.TextField()
    # If true, only admins may still get in with password or passkey.
    is_required = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[CompanyQuerySet["SignInProvider"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"{self.name} for {self.company}"

    def clean(self) -> None:
        """Raise ValidationError for a name that can't be seen. The name is in messages, so it may not turn them."""
        super().clean()
        check_seen(name=self.name)
        self.name = without_bidi_controls(self.name)

    @property
    def secret(self) -> str:
        """The client secret. Raises `crypto.Unreadable`."""
        return unseal_for(self.company_id, self.sealed_secret)

    @secret.setter
    def secret(self, text: str) -> None:
        self.sealed_secret = seal_for(self.company_id, text)
