"""What setting one status on many leads would do, for people to see beforehand.

crm imports no other app. An app that reports CRM events appends a function to `expected_conversions` at start-up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from crm.models import Company, CrmEventKind, Lead, LeadStatus
from crm.models.lead import LeadQuerySet


@dataclass(frozen=True)
class ExpectedConversions:
    """How many conversions a `rule` would send: `now`, and `later` for leads whose data is incomplete."""

    rule_id: int
    rule: str
    now: int
    later: int = 0

    @property
    def total(self) -> int:
        return self.now + self.later


# Each function accepts leads that are about to have this CRM event. It returns a row for each rule that would send any.
expected_conversions: Final[
    list[Callable[[Company, LeadQuerySet, CrmEventKind], Sequence[ExpectedConversions]]]
] = []


@dataclass(frozen=True)
class StatusChange:
    """How many leads would change, how many have the status already, and what would be sent."""

    changing: int
    unchanged: int
    conversions: Sequence[ExpectedConversions]

    @property
    def conversion_count(self) -> int:
        return sum(expected.total for expected in self.conversions)

    @property
    def rules(self) -> frozenset[int]:
        """The ids of the rules that would send any."""
        return frozenset(expected.rule_id for expected in self.conversions)


def status_change(leads: LeadQuerySet, status: LeadStatus) -> StatusChange:
    """What giving these leads of its company the status would do."""
    own = leads.current()
    changing = own.exclude(status=status).count()
    kind = Lead.kinds_by_meaning.get(status.meaning)
    if kind is None or not changing:
        return StatusChange(changing, own.count() - changing, [])
    reached = own.exclude(status__meaning=status.meaning)
    rows = [
        row
        for expected in expected_conversions
        for row in expected(status.company, reached, kind)
    ]
    return StatusChange(changing, own.count() - changing, rows)
