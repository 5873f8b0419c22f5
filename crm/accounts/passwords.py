"""Passwords that anyone would try first at this installation, and links that replace a forgotten one."""

import re
from typing import Final

from allauth.account.models import EmailAddress
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.exceptions import ValidationError

from crm.models import Membership, User

# Words of the product and its purpose. The words in the names of the user's companies are added.
CONTEXT_WORDS: Final = (
    "leadmachine", "lead", "machine", "linkedin", "conversions", "conversion", "campaign", "manager", "crm", "sales",
    "admin", "password", "welcome",
)  # fmt: skip
LETTERS_AT_LEAST: Final = 4  # apart from these words


class ContextWordsValidator:
    """Rejects a password that is hardly more than digits and words of the product or the company."""

    def validate(self, password: str, user: User | None = None) -> None:
        words = sorted({*CONTEXT_WORDS, *_company_words(user)}, key=len, reverse=True)
        rest, found = re.subn("|".join(map(re.escape, words)), "", password.lower())
        if found and len(re.findall(r"[^\W\d_]", rest)) < LETTERS_AT_LEAST:
            raise ValidationError(
                "This password is made of names that anyone would try. Add words that have nothing to do with them.",
                code="password_of_context_words",
            )

    def get_help_text(self) -> str:
        return "Not the name of LeadMachine or of your company with some digits."


def _company_words(user: User | None) -> list[str]:
    if user is None or user.pk is None:
        return []
    names = Membership.objects.filter(user=user).values_list("company__name", flat=True)
    return [word for name in names for word in re.findall(r"[^\W_]{3,}", name.lower())]


class ResetTokenGenerator(PasswordResetTokenGenerator):
    """Makes and checks the key in a link for a new password, which ends when any address of the user changes.

    allauth's own does the same, but also records an address that it lacks as unconfirmed. As anyone can open a link for
    any user, a stranger could make people whom the operator has added confirm their address before they sign in.
    """

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        addresses = {
            user.email,
            *EmailAddress.objects.filter(user_id=user.pk).values_list(
                "email", flat=True
            ),
        }
        return super()._make_hash_value(user, timestamp) + "|".join(sorted(addresses))
