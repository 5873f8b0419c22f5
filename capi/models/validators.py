"""LinkedIn's ids, as people paste them."""

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

MAX_ID_DIGITS = 19
only_digits = RegexValidator(r"^[1-9][0-9]{0,18}\Z", "Enter the id as digits only, without blanks or letters.")


def check_linkedin_id(bare: str) -> None:
    """Raises ValidationError, with what is wrong with it, where this can be no id of LinkedIn's."""
    if bare.isascii() and bare.isdigit():
        if len(bare) > MAX_ID_DIGITS:
            raise ValidationError(f"The id is too long: it has at most {MAX_ID_DIGITS} digits.")
        if bare.startswith("0"):
            raise ValidationError("The id can't begin with zero.")
    only_digits(bare)


def clean_linkedin_id(text: str) -> str:
    """The bare rule id from what a person pasted, which may be the whole URN.

    Raises ValidationError where that is not a LinkedIn id.
    """
    bare = text.strip().removeprefix("urn:lla:llaPartnerConversion:")
    check_linkedin_id(bare)
    return bare
