"""What a person may ask of events, before they confirm it: how many would follow, and why the others would not."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, F

from capi.delivery import cancellation, retries
from capi.models import Connection, ConversionEvent
from capi.models import ConversionEventQuerySet as Events
from capi.selectors.events import EventFilter, matching
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.explanations.states import Explanation
from postgresql.bounds import LONG_SECONDS, statements_may_take

AT_MOST: Final = 100_000  # asked for at once: then it is the turn of the next


@dataclass(frozen=True, slots=True)
class ChosenEvents:
    """The events that are asked for, oldest first. `is_cut` where there are more than can be done at once."""

    pks: Sequence[int]
    is_cut: bool = False

    @property
    def more_behind(self) -> int | None:
        """The id behind which more match, None where all of them are chosen."""
        return self.pks[-1] if self.is_cut and self.pks else None


@dataclass(frozen=True, slots=True)
class BulkPreview:
    """How many of the chosen would follow; of the others, how many for which reason."""

    following: int
    others: Sequence[tuple[Explanation, int]] = ()


def chosen_by_id(company_id: int, pks: Collection[int]) -> ChosenEvents:
    """The company's own events among these ids."""
    own = ConversionEvent.objects.for_company(company_id).filter(pk__in=pks)
    return ChosenEvents(list(own.order_by("pk").values_list("pk", flat=True)))


@statements_may_take(LONG_SECONDS)
def chosen_by_filter(
    company_id: int, wanted: EventFilter, connection: Connection | None, *, retry: bool
) -> ChosenEvents:
    """What of the company's log matches, behind where it was got to, and could be retried, or else cancelled."""
    events = matching(company_id, wanted, connection).filter(pk__gt=wanted.after or 0)
    events = retries.retryable(events) if retry else cancellation.cancellable(events)
    pks = list(events.order_by("pk").values_list("pk", flat=True)[: AT_MOST + 1])
    return ChosenEvents(pks[:AT_MOST], is_cut=len(pks) > AT_MOST)


@statements_may_take(LONG_SECONDS)
def preview_of_cancelling(company_id: int, choice: ChosenEvents) -> BulkPreview:
    return BulkPreview(cancellation.cancellable(_events(company_id, choice)).count())


@statements_may_take(LONG_SECONDS)
def preview_of_retrying(company_id: int, choice: ChosenEvents) -> BulkPreview:
    rows = retries.retryable(_events(company_id, choice)).order_by().values_list(F("obstacle"))
    # Sorted: of obstacles that are as frequent, the same comes first each time.
    counts: Counter[str] = Counter(dict(sorted(rows.annotate(Count("pk")))))
    following = counts.pop("", 0)
    return BulkPreview(following, [(REASONS[reason], count) for reason, count in counts.most_common()])  # type: ignore[index]


def _events(company_id: int, choice: ChosenEvents) -> Events:
    return ConversionEvent.objects.for_company(company_id).filter(pk__one_of=choice.pks)


@dataclass(frozen=True, slots=True)
class AllowedActions:
    """What may be asked of one event. `obstacle` is why an ended one can't be sent again, where that can be mended."""

    retry: bool = False
    cancel: bool = False
    obstacle: Explanation | None = None


def allowed_actions(event: ConversionEvent) -> AllowedActions:
    """What a person may ask of this event now. One query, and none where its state says it all."""
    if event.is_open:
        return AllowedActions(cancel=not event.is_test)
    if event.state not in retries.UNDOABLE:
        return AllowedActions()
    obstacles = retries.retryable(ConversionEvent.objects.filter(pk=event.pk)).values_list(F("obstacle"), flat=True)
    obstacle: str | None = obstacles.first()
    if obstacle is None:
        return AllowedActions()
    return AllowedActions(retry=not obstacle, obstacle=REASONS[obstacle] if obstacle else None)  # type: ignore[index]
