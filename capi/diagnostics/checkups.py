"""All checks of the doctor: examined at once, and in a check-up, which stores the findings for the LinkedIn page.

    token · version · account · rules      already loaded by the LinkedIn page, which shows their current state
    queue · worker · leads                 a few more queries
    at_linkedin                            a request to LinkedIn, with a timeout of five seconds

Token, active rules, rule ids and ad account are the usual causes (`findings.USUAL_CAUSES`).

A check that can't be made is "unknown", never an error.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from capi.delivery import shutdown
from capi.delivery.linkedin_rules import save_facts, set_all_facts
from capi.diagnostics import queue, rules, setup
from capi.diagnostics.findings import USUAL_CAUSES, Check, Finding, Level, as_json, counted, from_json, worst_first
from capi.diagnostics.linkedin import ask_for_rules, rules_findings, version_findings
from capi.models import Checkup, Connection
from capi.models.functions import database_now
from capi.selectors.rules import RuleRow, rule_rows
from crm.models import Company

logger = logging.getLogger(__name__)

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


# Check-ups: the findings, stored once a day.

EVERY: Final = timedelta(days=1)
RETRY_AFTER: Final = timedelta(hours=1)  # if a check-up failed, or its worker ended during it
UNCLAIMED: Final = Q(checkup_claimed_at=None) | Q(checkup_claimed_at__lte=Now() - RETRY_AFTER)


def check_up(company: Company) -> None:
    """Examine the company and store the findings, replacing the previous ones."""
    result = {"findings": as_json(examine(company, notes_facts=True)), "ran_at": Now()}
    Checkup.objects.update_or_create(company=company, defaults=result)


def check_up_due(*, seconds: float) -> None:
    """Check connected companies whose last check-up is a day old, for about `seconds`.

    Each company gets one check-up, however many workers run this at the same time.
    """
    until = time.monotonic() + seconds
    for connection in _due():
        if time.monotonic() >= until or shutdown.has_begun():
            return
        if _claim(connection):
            _try(connection.company)


def _try(company: Company) -> None:
    try:
        check_up(company)
    except Exception:  # the other companies' check-ups must not be affected
        logger.exception("The check-up of company %s failed. It will be retried in an hour.", company.pk)


def _due() -> list[Connection]:
    connected = Connection.objects.filter(UNCLAIMED, company__is_active=True).select_related("company")
    due = connected.exclude(company__checkup__ran_at__gt=Now() - EVERY)
    return list(due.order_by(F("company__checkup__ran_at").asc(nulls_first=True)))


def _claim(connection: Connection) -> bool:
    return bool(Connection.objects.filter(UNCLAIMED, pk=connection.pk).update(checkup_claimed_at=Now()))


# The doctor's card on the LinkedIn page.

ABOUT_TOKEN: Final = {Check.AT_LINKEDIN}


@dataclass(frozen=True, slots=True)
class Report:
    """The findings, worst first, and the time of the last full check-up (None: never)."""

    findings: Sequence[Finding]
    ran_at: datetime | None

    @property
    def sentence(self) -> str:
        return counted(self.findings).sentence

    @property
    def to_see(self) -> list[Finding]:
        """The findings that are not OK, and the usual causes at any level."""
        return [finding for finding in self.findings if finding.level != Level.GREEN or finding.check in USUAL_CAUSES]

    @property
    def fine_besides(self) -> list[Finding]:
        return [finding for finding in self.findings if finding not in self.to_see]


def report_of(company_id: int, connection: Connection | None, rows: Sequence[RuleRow]) -> Report:
    """The card, in one query: current findings where possible, the rest from the last check-up."""
    checkup = Checkup.objects.for_company(company_id).first()
    current = at_hand(connection, rows, timezone.now())
    if checkup is None:
        return Report(worst_first(current), None)
    outdated = AT_HAND | (ABOUT_TOKEN if _predates_token(checkup, connection) else set())
    stored = [finding for finding in from_json(checkup.findings) if finding.check not in outdated]
    return Report(worst_first([*current, *stored]), checkup.ran_at)


def _predates_token(checkup: Checkup, connection: Connection | None) -> bool:
    """True if a token was saved since: LinkedIn's answer to the old one is worthless now."""
    saved_at = connection.token_saved_at if connection is not None else None
    return saved_at is not None and saved_at > checkup.ran_at
