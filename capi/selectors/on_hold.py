"""What is on hold: how much, why, and when the first of it gets too old. One short query, however long the log is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Count, Min
from django.utils import timezone

from capi.models import Connection, ConversionEvent, ConversionRule
from capi.selectors.explanations.explain import countdown, explain_pause, hold_of_line
from capi.selectors.explanations.states import Explanation

LOOK_AT: Final = 100_000  # the oldest; of more it is only said that there are more


@dataclass(frozen=True, slots=True)
class OnHold:
    """`count` events wait for `why` to be mended. `of` names the paused rules, empty where all of the line is held."""

    why: Explanation
    count: int
    expires_on: date  # the day on which the first of them is too old for LinkedIn
    of: Sequence[ConversionRule] = ()

    @property
    def countdown(self) -> str:
        return countdown(self.expires_on, timezone.localdate())

    @property
    def is_more(self) -> bool:
        """True where it is more than that, and `count` is as far as was counted."""
        return self.count == LOOK_AT


def on_hold(company_id: int, connection: Connection | None, rules: Sequence[ConversionRule]) -> OnHold | None:
    """What the company's line, or else its paused rules among `rules`, hold; None where that is nothing."""
    paused = [rule for rule in rules if rule.is_paused]
    of_line = hold_of_line(connection)
    if of_line is None and not paused:
        return None
    events = ConversionEvent.objects.for_company(company_id).on_hold(connection)
    if of_line is None:
        events = events.filter(rule__in=paused)  # `rules` may leave out some, such as those that are switched off
    seen = events.order_by("pk").values("happened_at")[:LOOK_AT].aggregate(count=Count("*"), first=Min("happened_at"))
    if not seen["count"]:
        return None
    expires_on = timezone.localdate(seen["first"] + timedelta(days=settings.EVENT_MAX_AGE_DAYS))
    why = of_line or explain_pause(paused[0].paused_reason)
    return OnHold(why, seen["count"], expires_on, () if of_line else paused)
