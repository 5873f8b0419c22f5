"""What alerts count, stored as a worker would leave it, and a simpler model of what follows from it."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction

from capi.models import ConversionEvent, ConversionRule, DayCount
from crm.models import CrmEvent

EVERY = timedelta(hours=14)  # 12 a week, at the same times each week
HISTORY = timedelta(weeks=9)
SILENT_AFTER = 7 * EVERY


@dataclass
class Flow:
    """The events of a rule, as regular as a clock, until they stop."""

    rule: ConversionRule
    last_at: datetime

    def go_on(self, until: datetime) -> None:
        """Record the events due since the last one, or of the last nine weeks only: nothing looks further back."""
        before, self.last_at = (
            self.last_at,
            self.last_at + (until - self.last_at) // EVERY * EVERY,
        )
        self.write(max(before, self.last_at - HISTORY))

    def write(self, since: datetime) -> None:
        moments = [
            self.last_at - number * EVERY
            for number in range((self.last_at - since) // EVERY)
        ]
        crm_events = CrmEvent.objects.bulk_create(
            CrmEvent(
                company=self.rule.company, kind=self.rule.crm_event, occurred_at=moment
            )
            for moment in moments
        )
        ConversionEvent.objects.bulk_create(
            ConversionEvent(
                company=self.rule.company,
                rule=self.rule,
                crm_event=event,
                state="accepted",
                next_attempt_at=None,
            )
            for event in crm_events
        )

    def is_silent(self, now: datetime) -> bool:
        return now - self.last_at >= SILENT_AFTER


@dataclass
class Endings:
    """How many of a rule's events failed on each day, and how many were sent."""

    rule: ConversionRule
    by_day: dict[date, tuple[int, int]] = field(default_factory=dict)

    def add(self, day: date, failed: int, sent: int) -> None:
        before = self.by_day.get(day, (0, 0))
        self.by_day[day] = failed + before[0], sent + before[1]
        for state, count in zip(
            ("rejected", "accepted"), self.by_day[day], strict=True
        ):
            which = {
                "company": self.rule.company,
                "rule": self.rule,
                "day": day,
                "state": state,
            }
            DayCount.objects.update_or_create(**which, defaults={"count": count})

    def verdict(self, today: date) -> str:
        """ "fails", "works", or "" where it says nothing new."""
        days = sorted(
            (day for day in self.by_day if day > today - timedelta(days=30)),
            reverse=True,
        )
        enough = 20 if sum(sum(self.by_day[day]) for day in days) >= 20 else 5
        failed = sent = 0
        for day in days:
            if failed + sent < enough:
                failed, sent = failed + self.by_day[day][0], sent + self.by_day[day][1]
        share = Fraction(failed, failed + sent) if failed + sent else None
        if share is not None and share < Fraction(1, 10):
            return "works"
        too_many = Fraction(1, 5) if enough == 20 else Fraction(1, 2)
        return (
            "fails"
            if share is not None and failed + sent >= enough and share >= too_many
            else ""
        )
