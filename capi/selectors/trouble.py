"""What stops all sending: the one cause that the LinkedIn page shows on top, and the one button that fixes it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum, auto
from typing import Final

from capi.models import Connection
from capi.models.choices import Reason
from capi.selectors.explanations.connection import TRY_NOW
from capi.selectors.explanations.explain import explain_pause, explain_rest
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.explanations.states import Explanation
from capi.selectors.rules import RuleRow


class Remedy(StrEnum):
    """The button of the strip. NONE: an admin can do nothing about it here."""

    REPLACE_TOKEN = auto()
    RESUME = auto()
    TRY_NOW = auto()
    NONE = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """`words` say why nothing is sent and what to do, in addition to the button."""

    title: str
    words: Explanation
    remedy: Remedy


# Labels say what is wrong with the token, next to it: its events are on hold, the token isn't.
# The button is on the same page, and the texts of the other pages lead to it.
_TOKEN_TROUBLES: Final[dict[str, Explanation]] = {
    Reason.TOKEN_REFUSED: replace(
        REASONS[Reason.TOKEN_REFUSED],
        label="Refused",
        next_step="Generate a new token in Campaign Manager. Events on hold are sent once it is saved.",
    ),
    Reason.TOKEN_UNREADABLE: replace(
        REASONS[Reason.TOKEN_UNREADABLE], label="Unreadable"
    ),
}


def trouble(
    connection: Connection | None, rows: Sequence[RuleRow], now: datetime
) -> Trouble | None:
    """What stops all events of the company's rules, None if nothing does or set-up has not begun."""
    if connection is None or not connection.has_token:
        return None
    if connection.is_paused:
        reason = connection.paused_reason
        words = _TOKEN_TROUBLES.get(reason) or explain_pause(reason)
        return Trouble("Sending is paused.", words, _remedy_of_pause(connection))
    rest = explain_rest(connection, now)
    if rest is not None:
        words = replace(rest, next_step=rest.next_step.removesuffix(TRY_NOW))
        return Trouble("Nothing is sent at the moment.", words, Remedy.TRY_NOW)
    if are_all_forbidden(rows):
        # A new token resumes the rules that the old one was not allowed to use.
        words = REASONS[Reason.RULE_FORBIDDEN]
        return Trouble(
            "The token can't use any active rule.", words, Remedy.REPLACE_TOKEN
        )
    return None


def are_all_forbidden(rows: Sequence[RuleRow]) -> bool:
    """True if LinkedIn refuses every active rule to this token, and there are two at least.

    A single one may just have a mistyped id: LinkedIn answers with a 403 to that, too.
    """
    active = [row.rule for row in rows if row.rule.is_active]
    return len(active) > 1 and all(
        rule.is_paused and rule.paused_reason == Reason.RULE_FORBIDDEN
        for rule in active
    )


def _remedy_of_pause(connection: Connection) -> Remedy:
    if connection.needs_token:
        return Remedy.REPLACE_TOKEN
    return Remedy.RESUME if connection.can_be_resumed else Remedy.NONE
