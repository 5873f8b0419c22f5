"""The ad account: is it known, and do its rules answer to the token?"""

from collections.abc import Iterator, Sequence

from capi.doctor.findings import Check, Finding, Level, step
from capi.models import Connection
from capi.reads.rules import RuleRow
from capi.reasons import Reason
from capi.words import REASONS

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
        yield Finding(Check.ACCOUNT, Level.GREEN, f"It is {connection.ad_account_id}.", link=step(1))
