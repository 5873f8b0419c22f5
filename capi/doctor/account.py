"""The ad account: is it known, and has LinkedIn answered for it since the token was saved?"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from capi.doctor.findings import Check, Finding, Level, moment, step
from capi.models import Connection
from capi.reads.rules import RuleRow
from capi.reasons import Reason
from capi.words import REASONS, hold_of_line

NOT_GIVEN = "No ad account id was entered, so that the rules can't be looked up at LinkedIn."


def findings(connection: Connection | None, rows: Sequence[RuleRow]) -> Iterator[Finding]:
    active = [row.rule for row in rows if row.rule.is_active]
    if active and all(rule.is_paused and rule.paused_reason == Reason.RULE_FORBIDDEN for rule in active):
        words = REASONS[Reason.RULE_FORBIDDEN]
        sentence = f"No rule answers to the token. {words.what}"
        yield Finding(Check.ACCOUNT, Level.RED, sentence, words.next_step, step(1), words.topic)
    elif connection is None or not connection.ad_account_id:
        yield Finding(
            Check.ACCOUNT,
            Level.AMBER,
            NOT_GIVEN,
            "Press “Import from LinkedIn” in step 2, and enter it there.",
            step(2),
        )
    else:
        yield _connected(connection, rows)


def _connected(connection: Connection, rows: Sequence[RuleRow]) -> Finding:
    """Whether it still is: LinkedIn's last answer with the present token tells, and nothing of before."""
    name, hold = f"It is {connection.ad_account_id}", hold_of_line(connection)
    if hold is not None:
        sentence = f"{name}; whether it is still connected can't be told while nothing is sent."
        return Finding(Check.ACCOUNT, Level.UNKNOWN, sentence, hold.next_step, step(1), hold.topic)
    answered_at = _last_answer(connection, rows)
    if answered_at is None:
        sentence = f"{name}; LinkedIn has not answered for it since the token was saved."
        return Finding(Check.ACCOUNT, Level.UNKNOWN, sentence, "Press play in step 3, or “Check everything”.", step(3))
    sentence = f"{name}, and LinkedIn last answered for it on {moment(answered_at)}."
    return Finding(Check.ACCOUNT, Level.GREEN, sentence, link=step(1))


def _last_answer(connection: Connection, rows: Sequence[RuleRow]) -> datetime | None:
    """When LinkedIn last took something of the rules, or listed one of them."""
    saved_at = connection.token_saved_at
    told = (at for row in rows for at in (row.last_taken_at, row.rule.linkedin_read_at) if at is not None)
    return max((at for at in told if saved_at is None or at >= saved_at), default=None)
