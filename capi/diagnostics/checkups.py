"""All checks of the doctor. A check-up runs them and stores the findings for the LinkedIn page.

    token · version · account · rules      already loaded by the LinkedIn page, which shows their current state
    queue · worker · leads                 a few more queries
    at_linkedin                            a request to LinkedIn, with a timeout of five seconds

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
from capi.delivery.linkedin_rules import note_confirmed, save_facts, set_all_facts
from capi.diagnostics import queue, rules, setup
from capi.diagnostics.findings import (
    Check,
    Finding,
    Level,
    as_json,
    counted,
    from_json,
    worst_first,
)
from capi.diagnostics.linkedin import ask_for_rules, rules_findings, version_findings
from capi.diagnostics.queue import held_finding
from capi.linkedin.rules import ReadStatus, RulesRead
from capi.models import Checkup, Connection
from capi.models.connection import IS_HELD_BACK
from capi.models.functions import database_now
from capi.selectors.explanations.states import Explanation
from capi.selectors.on_hold import OnHold
from capi.selectors.rules import RuleRow, rule_rows
from crm.models import Company

logger = logging.getLogger(__name__)

AT_HAND: Final = {
    Check.TOKEN,
    Check.EXPIRY,
    Check.VERSION,
    Check.ACCOUNT,
    Check.ACTIVE,
    Check.PAUSED,
    Check.SEEN,
    Check.SENDING,
    Check.REST,
    Check.SIZE,
}


def examine(company: Company, *, notes_facts: bool = False) -> list[Finding]:
    """All findings about the company, worst first. Times are in the company's time zone.

    With `notes_facts`, it saves what LinkedIn returns about the company's rules.
    """
    with timezone.override(company.time_zone):
        connection = (
            Connection.objects.for_company(company)
            .annotate(is_held_back=IS_HELD_BACK)
            .first()
        )
        read = ask_for_rules(connection)
        if notes_facts and connection is not None and read is not None:
            _note_facts(connection, read)
        rows = rule_rows(company.pk, connection)
        own_rules = [row.rule for row in rows]
        now = database_now()
        set_all_facts(own_rules, read.rules if read is not None else (), read_at=now)
        return worst_first(
            [
                *at_hand(connection, rows, now),
                *queue.queue_findings(company.pk, connection, own_rules, now),
                *queue.worker_findings(now),
                *setup.lead_findings(company),
                *rules_findings(read, [rule for rule in own_rules if rule.is_active]),
            ]
        )


def _note_facts(connection: Connection, read: RulesRead) -> None:
    if read.outcome == ReadStatus.FOUND:
        note_confirmed(connection)
    if read.rules:
        save_facts(company_id=connection.company_id, rules=read.rules)


def at_hand(
    connection: Connection | None, rows: Sequence[RuleRow], now: datetime
) -> list[Finding]:
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
# If a check-up failed, or its worker ended during it.
UNCLAIMED: Final = Q(checkup_claimed_at=None) | Q(
    checkup_claimed_at__lte=Now() - timedelta(hours=1)
)


def check_up(company: Company) -> list[Finding]:
    """Examine the company and store the findings, replacing the previous ones. Returns them, worst first."""
    findings = examine(company, notes_facts=True)
    Checkup.objects.update_or_create(
        company=company, defaults={"findings": as_json(findings), "ran_at": Now()}
    )
    return findings


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
        logger.exception(
            "The check-up of company %s failed. It will be retried in an hour.",
            company.pk,
        )


def _due() -> list[Connection]:
    connected = Connection.objects.filter(
        UNCLAIMED, company__is_active=True
    ).select_related("company")
    due = connected.exclude(company__checkup__ran_at__gt=Now() - EVERY)
    return list(due.order_by(F("company__checkup__ran_at").asc(nulls_first=True)))


def _claim(connection: Connection) -> bool:
    return bool(
        Connection.objects.filter(UNCLAIMED, pk=connection.pk).update(
            checkup_claimed_at=Now()
        )
    )


# The doctor's card on the LinkedIn page.

# What these find is in the strip on top of the page, and in the rows of the rules.
SHOWN_ABOVE: Final = {Check.ON_HOLD, Check.PAUSED, Check.SEEN}
# Steps 1 and 2 show what is still to be done.
BEFORE_SET_UP: Final = {Check.TOKEN, Check.ACCOUNT, Check.ACTIVE}


@dataclass(frozen=True, slots=True)
class Report:
    """The findings, worst first, and the time of the last full check-up (None: never).

    `cause` is what the strip on top of the page says, None if there is none.
    """

    findings: Sequence[Finding]
    ran_at: datetime | None
    cause: Explanation | None = None

    @property
    def is_well(self) -> bool:
        return len(self.fine) == len(self.findings)

    @property
    def sentence(self) -> str:
        """Such as "All 14 checks OK" or "13 of 14 OK, 1 thing to fix"."""
        total = len(self.findings)
        if self.is_well:
            return f"All {total} checks OK"
        return f"{len(self.fine)} of {total} OK, {counted(self.findings).sentence}"

    @property
    def worst(self) -> Finding:
        return self.findings[0]

    @property
    def to_see(self) -> list[Finding]:
        """The findings that the page does not show already."""
        return [
            finding
            for finding in self.findings
            if finding.level != Level.GREEN and not self._is_shown_above(finding)
        ]

    @property
    def shown_above(self) -> list[str]:
        """The names of the checks whose findings the page shows already, each once."""
        above = (
            finding.check.label
            for finding in self.findings
            if finding.level != Level.GREEN and self._is_shown_above(finding)
        )
        return list(dict.fromkeys(above))

    def _is_shown_above(self, finding: Finding) -> bool:
        is_cause = self.cause is not None and finding.topic == self.cause.topic
        return is_cause or finding.check in SHOWN_ABOVE

    @property
    def fine(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == Level.GREEN]


def report_of(
    company_id: int,
    connection: Connection | None,
    rows: Sequence[RuleRow],
    held: OnHold | None,
    cause: Explanation | None,
) -> Report:
    """The card, in one query: current findings where possible, the rest from the last check-up, with its time."""
    checkup = Checkup.objects.for_company(company_id).first()
    now = timezone.now()
    current = [*at_hand(connection, rows, now), held_finding(held, now)]
    if not rows and (connection is None or not connection.has_token):
        current = [each for each in current if each.check not in BEFORE_SET_UP]
    if checkup is None:
        return Report(worst_first(current), None, cause)
    outdated = AT_HAND | {Check.ON_HOLD}
    if _predates_token(checkup, connection):
        outdated |= {Check.AT_LINKEDIN}
    stored = [
        each
        for each in from_json(checkup.findings, checkup.ran_at)
        if each.check not in outdated
    ]
    return Report(worst_first([*current, *stored]), checkup.ran_at, cause)


def _predates_token(checkup: Checkup, connection: Connection | None) -> bool:
    """True if a token was saved since: LinkedIn's response to the old one no longer counts."""
    saved_at = connection.token_saved_at if connection is not None else None
    return saved_at is not None and saved_at > checkup.ran_at
