"""The one normal form of an account's e-mail address. A lead's address, in contrast, stays as it was typed.

Only invisible characters that no address has are removed from it when it is entered (`without_formats`).
"""

import unicodedata
from typing import Any, Final

import idna
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.db import models

# Characters, of the normal form: it may be longer than what was typed, or shorter.
LONGEST: Final = 254
LONGEST_TYPED: Final = 320  # characters: no work is done on a whole page of text
NO_ADDRESS: Final = "Enter an e-mail address such as ada@example.com."
TOO_LONG: Final = f"Enter an e-mail address of at most {LONGEST} characters."
ONLY_ASCII: Final = (
    "Before the @, use only the letters a to z, digits and punctuation such as . - _ +."
)

JOINERS: Final = "\u200c\u200d"  # a domain may have them


def without_formats(address: str) -> str:
    """The address without format characters, such as a zero-width space or a direction mark.

    They are copied along with an address. No one would see why it can't be found, and why LinkedIn doesn't know it.
    """
    if address.isascii():
        return address
    return "".join(
        each
        for each in address
        if unicodedata.category(each) != "Cf" or each in JOINERS
    )


def account_address(text: str) -> str:
    """The address as it is stored, compared and counted: in lower case, in ASCII, its domain as in the DNS.

    Databases and mail servers disagree on letters that look alike: PostgreSQL's UPPER() turns a long s into S and a
    dotless i into I, and one person could sign in, be locked out or sign up as another. Raises ValidationError if the
    text is no address.
    """
    if len(text) > LONGEST_TYPED:
        raise ValidationError(TOO_LONG, code="max_length")
    local, _, domain = unicodedata.normalize("NFKC", text.strip()).rpartition("@")
    local = unicodedata.normalize("NFKC", local.casefold())
    if not local.isascii():
        raise ValidationError(ONLY_ASCII, code="invalid")
    address = f"{local}@{_as_in_the_dns(domain)}"
    if len(address) > LONGEST:
        raise ValidationError(TOO_LONG, code="max_length")
    EmailValidator(NO_ADDRESS)(address)
    if local.startswith('"'):  # a second spelling of a mailbox
        raise ValidationError(NO_ADDRESS, code="invalid")
    return address


def _as_in_the_dns(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise ValidationError(NO_ADDRESS, code="invalid") from None


def find_address(text: str) -> str:
    """The normal form to look an account up by: "" for a text that no account can have as its address."""
    try:
        return account_address(text)
    except ValidationError:
        return ""


def same_for_all_spellings(address: str) -> str:
    """The address in lower case, its domain as in the DNS: the same for müller.example and xn--mller-kva.example."""
    lower = address.lower()
    if lower.isascii():
        return lower
    local, at, domain = lower.rpartition("@")
    try:
        return f"{local}{at}{_as_in_the_dns(domain)}"
    except ValidationError:
        return lower


def spellings(address: str) -> set[str]:
    """The address as it is, with its domain as in the DNS, and with its domain as people read it."""
    in_ascii = same_for_all_spellings(address)
    local, at, domain = in_ascii.rpartition("@")
    if "xn--" not in domain:
        return {address}
    try:
        return {address, in_ascii, f"{local}{at}{idna.decode(domain)}"}
    except idna.IDNAError:
        return {address, in_ascii}


class PersonAddressField(forms.EmailField):
    """The address of a person, typed or pasted. Invisible formatting characters are removed."""

    def to_python(self, value: Any) -> Any:
        return super().to_python(
            without_formats(value) if isinstance(value, str) else value
        )


class AccountAddressField(models.EmailField):  # type: ignore[type-arg]
    """An e-mail address that is checked and saved in its normal form."""

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        return super().clean(_normal(value), model_instance)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        address = _normal(getattr(model_instance, self.attname))
        setattr(model_instance, self.attname, address)
        return address


def _normal(value: str) -> str:
    return account_address(value) if value else value
