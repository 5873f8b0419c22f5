"""Whether a person's data may be shared with ad platforms, as the fields of a form say it."""

import re
from collections.abc import Mapping
from typing import Final

from crm.data_exchange.importing.cells import SHARED, readers_of_leads
from crm.data_exchange.importing.columns import field_named
from crm.data_exchange.importing.objects.leads import LEADS
from crm.intake.bodies import name_of

CONSENT: Final = "consent"
OPTED_OUT: Final = "opted_out"
# Names of fields that ask something similar, such as for a newsletter. A yes is not to sharing with ad platforms, but a
# no may be meant for that, too.
_SIMILAR: Final = re.compile(
    r"(?P<out>opt(?:ed)?[ _-]*out|unsubscri|do[ _-]*not|afgemeld|abgemeldet|widerspruch)"
    r"|consent|opt(?:ed)?[ _-]*in\b|gdpr|dsgvo|avg\b|marketing|agree|share|sharing|newsletter"
    r"|toestemming|einwilligung|zustimmung",
    re.IGNORECASE,
)


def consent_in(fields: Mapping[str, str]) -> dict[str, bool | None]:
    """What the fields say of `SHARED`; nothing if none asks.

    False if any says no. True if one that asks for consent says yes and none is unclear. Otherwise None.
    """
    asked: list[bool | None] = []
    similar: list[bool | None] = []
    for path, text in fields.items():
        name = name_of(path)
        field = field_named(LEADS, name)
        if field in (CONSENT, OPTED_OUT):
            asked.append(_answer(field, text))
        elif found := _SIMILAR.search(name):
            similar.append(_answer(OPTED_OUT if found["out"] else CONSENT, text))
    answers = [*asked, *similar]
    if not answers:
        return {}
    if False in answers:
        return {SHARED: False}
    is_clear = True in asked and None not in answers
    return {SHARED: True if is_clear else None}


def _answer(field: str, text: str) -> bool | None:
    """True if the text allows it, False if it forbids it, None if it is unclear or empty."""
    values, _ = readers_of_leads()[field](text)
    answer: bool | None = values.get(SHARED)
    return answer
