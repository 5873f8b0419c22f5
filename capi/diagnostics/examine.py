"""The doctor: checks everything that events need to reach LinkedIn, and changes nothing.

    token · version · account · rules      already loaded by the LinkedIn page, which shows their current state
    queue · worker · leads                 a few more queries
    at_linkedin                            a request to LinkedIn, with a timeout of five seconds

Token, active rules, rule ids and ad account are the usual causes (`findings.USUAL_CAUSES`).

A check that can't be made is "unknown", never an error.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.utils import timezone

from capi.delivery.linkedin_rules import save_facts, set_all_facts
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
    """All findings about the company, worst first. Times are in the company's time zone.

    `notes_facts` saves what LinkedIn returns about the company's rules.
    """
    with timezone.override(company.time_zone):
        connection = Connection.objects.for_company(company).first()
        read = ask_for_rules(connection)
        listed = read.rules if read is not None else ()
        if notes_facts and listed:
            save_facts(company_id=company.pk, rules=listed)
        rows, now = rule_rows(company.pk, connection), database_now()
        set_all_facts([row.rule for row in rows], listed, read_at=now)
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
    """The findings from the connection and the rules alone, without a query."""
    today = timezone.localdate(now)
    return [
        *setup.token_findings(connection, rows, today),
        *version_findings(connection, today),
        *setup.account_findings(connection, rows),
        *rules.findings(rows, now),
        *queue.at_hand(connection, now),
    ]
