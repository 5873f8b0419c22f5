"""Events on hold: how many, why, and when the first gets too old. One short query, however long the log is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Count, Min
from django.utils import timezone

from capi.models import Connection, ConversionEvent, ConversionRule
from capi.selectors.explanations.explain import (
    countdown,
    explain_pause,
    hold_of_connection,
)
from capi.selectors.explanations.states import Explanation

# The oldest; beyond that the page only says that there are more.
COUNT_LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True)
class OnHold:
    """`count` events wait until `why` is fixed. `of` lists the paused rules, or is empty if all events are on hold."""

    why: Explanation
    count: int
    expires_on: date  # when the first of them gets too old for LinkedIn
    of: Sequence[ConversionRule] = ()

    @property
    def countdown(self) -> str:
        return countdown(self.expires_on, timezone.localdate())

    @property
    def is_more(self) -> bool:
        """True if there may be more events than `count`: counting stops at COUNT_LIMIT."""
        return self.count == COUNT_LIMIT


def on_hold(
    company_id: int, connection: Connection | None, rules: Sequence[ConversionRule]
) -> OnHold | None:
    """The events on hold because of the connection, or of the paused rules among `rules`. None if there are none."""
    paused = [rule for rule in rules if rule.is_paused]
    connection_hold = hold_of_connection(connection)
    if connection_hold is None and not paused:
        return None
    events = ConversionEvent.objects.for_company(company_id).on_hold(connection)
    if connection_hold is None:
        # `rules` may leave out some, such as those that are switched off.
        events = events.filter(rule__in=paused)
    oldest = events.order_by("pk").values("happened_at")[:COUNT_LIMIT]
    totals = oldest.aggregate(count=Count("*"), first=Min("happened_at"))
    if not totals["count"]:
        return None
    expires_on = timezone.localdate(
        totals["first"] + timedelta(days=settings.EVENT_MAX_AGE_DAYS)
    )
    why = connection_hold or explain_pause(paused[0].paused_reason)
    return OnHold(why, totals["count"], expires_on, () if connection_hold else paused)
