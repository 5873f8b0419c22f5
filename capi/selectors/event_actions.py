"""Retry and cancel before confirmation: how many events it would affect, and why not the others."""

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

AT_MOST: Final = 100_000  # at once; the page then offers the next ones


@dataclass(frozen=True, slots=True)
class ChosenEvents:
    """The selected events, oldest first. `is_cut` if there are more than can be processed at once."""

    pks: Sequence[int]
    is_cut: bool = False

    @property
    def more_behind(self) -> int | None:
        """The id after which more events match, None if all are selected."""
        return self.pks[-1] if self.is_cut and self.pks else None


@dataclass(frozen=True, slots=True)
class BulkPreview:
    """How many of the selected events it would affect, and how many not, by reason."""

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
    """The company's events that match, after the last id processed, and can be retried, or else cancelled."""
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
    # Sorted for a stable order of equally frequent obstacles.
    counts: Counter[str] = Counter(dict(sorted(rows.annotate(Count("pk")))))
    following = counts.pop("", 0)
    return BulkPreview(following, [(REASONS[reason], count) for reason, count in counts.most_common()])  # type: ignore[index]


def _events(company_id: int, choice: ChosenEvents) -> Events:
    return ConversionEvent.objects.for_company(company_id).filter(pk__one_of=choice.pks)


@dataclass(frozen=True, slots=True)
class AllowedActions:
    """What a person can do with an event. `obstacle` is why a final one can't be retried, if that can be fixed."""

    retry: bool = False
    cancel: bool = False
    obstacle: Explanation | None = None


def allowed_actions(event: ConversionEvent) -> AllowedActions:
    """What a person can do with this event now. At most one query, none if the state decides."""
    if event.is_open:
        return AllowedActions(cancel=not event.is_test)
    if event.state not in retries.UNDOABLE:
        return AllowedActions()
    obstacles = retries.retryable(ConversionEvent.objects.filter(pk=event.pk)).values_list(F("obstacle"), flat=True)
    obstacle: str | None = obstacles.first()
    if obstacle is None:
        return AllowedActions()
    return AllowedActions(retry=not obstacle, obstacle=REASONS[obstacle] if obstacle else None)  # type: ignore[index]
