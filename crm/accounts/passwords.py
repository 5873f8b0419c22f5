"""Passwords that anyone would try first at this installation."""

import re
from typing import Final

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
