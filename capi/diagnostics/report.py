"""The doctor's card on the LinkedIn page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone

from capi.diagnostics.examine import AT_HAND, at_hand
from capi.diagnostics.findings import USUAL_CAUSES, Check, Finding, Level, counted, from_json, worst_first
from capi.models import Checkup, Connection
from capi.selectors.rules import RuleRow

ABOUT_TOKEN: Final = {Check.AT_LINKEDIN}


@dataclass(frozen=True, slots=True)
class Report:
    """What the doctor knows, the worst first, and when everything was looked at (None: never)."""

    findings: Sequence[Finding]
    ran_at: datetime | None

    @property
    def sentence(self) -> str:
        return counted(self.findings).sentence

    @property
    def to_see(self) -> list[Finding]:
        """What is not fine, and the usual causes however they stand."""
        return [finding for finding in self.findings if finding.level != Level.GREEN or finding.check in USUAL_CAUSES]

    @property
    def fine_besides(self) -> list[Finding]:
        return [finding for finding in self.findings if finding not in self.to_see]


def report_of(company_id: int, connection: Connection | None, rows: Sequence[RuleRow]) -> Report:
    """The card, in one query: what is at hand as it stands now, all else as the newest check-up found it."""
    checkup = Checkup.objects.for_company(company_id).first()
    now = at_hand(connection, rows, timezone.now())
    if checkup is None:
        return Report(worst_first(now), None)
    outdated = AT_HAND | (ABOUT_TOKEN if _is_before_the_token(checkup, connection) else set())
    then = [finding for finding in from_json(checkup.findings) if finding.check not in outdated]
    return Report(worst_first([*now, *then]), checkup.ran_at)


def _is_before_the_token(checkup: Checkup, connection: Connection | None) -> bool:
    """True if another token was saved since: what LinkedIn said about the former one says nothing now."""
    saved_at = connection.token_saved_at if connection is not None else None
    return saved_at is not None and saved_at > checkup.ran_at
