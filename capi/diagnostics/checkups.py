"""Check-ups: the doctor's findings, stored for the LinkedIn page, and its card there."""

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
from capi.diagnostics.examine import AT_HAND, at_hand, examine
from capi.diagnostics.findings import USUAL_CAUSES, Check, Finding, Level, as_json, counted, from_json, worst_first
from capi.models import Checkup, Connection
from capi.selectors.rules import RuleRow
from crm.models import Company

logger = logging.getLogger(__name__)

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
