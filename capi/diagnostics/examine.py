"""The doctor: looks at all that has to be right for events to reach LinkedIn, and changes none of it.

    token · version · account · rules      what the LinkedIn page has at hand, and shows as it stands now
    queue · worker · leads                 a few queries more
    at_linkedin                            a question to LinkedIn, which has five seconds to answer

Of these, token, active rules, rule ids and ad account are the usual causes (`findings.USUAL_CAUSES`).

A check that can't be made is "can't tell", and never an error.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.utils import timezone

from capi.delivery.linkedin_rules import note_facts, take_all_facts
from capi.diagnostics import queue, rules, setup
from capi.diagnostics.findings import Check, Finding, worst_first
from capi.diagnostics.linkedin import ask_for_rules, rules_findings, version_findings
from capi.models import Connection
from capi.models.functions import database_now
from capi.selectors.rules import RuleRow, rule_rows
from crm.models import Company

AT_HAND: Final = {
    Check.TOKEN, Check.EXPIRY, Check.VERSION, Check.ACCOUNT, Check.ACTIVE, Check.PAUSED, Check.SEEN, Check.REST,
    Check.SIZE,
}  # fmt: skip


def examine(company: Company, *, notes_facts: bool = False) -> list[Finding]:
    """All findings about the company, the worst first. Times are in the company's time zone.

    With `notes_facts`, what LinkedIn says of the company's rules is kept with them.
    """
    with timezone.override(company.time_zone):
        connection = Connection.objects.for_company(company).first()
        read = ask_for_rules(connection)
        listed = read.rules if read is not None else ()
        if notes_facts and listed:
            note_facts(company_id=company.pk, rules=listed)
        rows, now = rule_rows(company.pk, connection), database_now()
        take_all_facts([row.rule for row in rows], listed)
        return worst_first(
            [
                *at_hand(connection, rows, now),
                *queue.queue_findings(company.pk, connection, [row.rule for row in rows], now),
                *queue.worker_findings(now),
                *setup.lead_findings(company),
                *rules_findings(read, [row.rule for row in rows if row.rule.is_active]),
            ]
        )


def at_hand(connection: Connection | None, rows: Sequence[RuleRow], now: datetime) -> list[Finding]:
    """What can be told from the connection and the rules alone, without a query."""
    today = timezone.localdate(now)
    return [
        *setup.token_findings(connection, rows, today),
        *version_findings(connection, today),
        *setup.account_findings(connection, rows),
        *rules.findings(rows, now),
        *queue.at_hand(connection, now),
    ]
