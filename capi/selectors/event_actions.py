"""Previews of retry and cancel: how many events would be affected, and why the others would not."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, F

from capi.delivery import cancellation, retries
from capi.models import Connection, ConversionEvent
from capi.models import ConversionEventQuerySet as Events
from capi.models.choices import Reason, State
from capi.selectors.event_counts import BoundedCount
from capi.selectors.events import EventFilter, matching
from capi.selectors.explanations.explain import explain_pause, explain_state
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.explanations.states import ON_HOLD, TEST_EVENT, Explanation
from postgresql.bounds import LONG_SECONDS, statements_may_take

AT_MOST: Final = 100_000  # at once; the page then offers the next ones
# Of the events that can't be retried or cancelled, no more are counted.
LEFT_OUT_AT_MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class ChosenEvents:
    """The selected events, oldest first. `is_cut` if there are more than can be processed at once.

    If a filter selected them, `events` are all that match, and `pks` only those that can be retried (or cancelled).
    Unless `is_sending`, all pending events of the company are on hold.
    """

    pks: Sequence[int]
    events: Events
    is_cut: bool = False
    is_sending: bool = True

    @property
    def more_behind(self) -> int | None:
        """The id after which more events match, None if all are selected."""
        return self.pks[-1] if self.is_cut and self.pks else None


@dataclass(frozen=True, slots=True)
class BulkPreview:
    """How many of the selected events the action would affect, and how many it leaves out, by reason.

    `is_more` if it leaves out more than were counted.
    """

    following: int
    others: Sequence[tuple[Explanation, int]] = ()
    is_more: bool = False

    @property
    def left_out(self) -> BoundedCount:
        return BoundedCount(sum(count for _, count in self.others), self.is_more)


def chosen_by_id(company_id: int, pks: Collection[int]) -> ChosenEvents:
    """The company's own events among these ids."""
    own = ConversionEvent.objects.for_company(company_id).filter(pk__in=pks)
    return ChosenEvents(list(own.order_by("pk").values_list("pk", flat=True)), own)


@statements_may_take(LONG_SECONDS)
def chosen_by_filter(
    company_id: int, wanted: EventFilter, connection: Connection | None, *, retry: bool
) -> ChosenEvents:
    """The company's matching events after the last processed id that can be retried, or if not `retry`, cancelled."""
    matched = matching(company_id, wanted, connection).filter(pk__gt=wanted.after or 0)
    events = retries.retryable(matched) if retry else cancellation.cancellable(matched)
    pks = list(events.order_by("pk").values_list("pk", flat=True)[: AT_MOST + 1])
    return ChosenEvents(pks[:AT_MOST], matched, is_cut=len(pks) > AT_MOST)


@statements_may_take(LONG_SECONDS)
def preview_of_cancelling(company_id: int, choice: ChosenEvents) -> BulkPreview:
    following = cancellation.cancellable(_events(company_id, choice)).count()
    return _preview(
        following, Counter(), choice, choice.events.exclude(cancellation.CANCELLABLE)
    )


@statements_may_take(LONG_SECONDS)
def preview_of_retrying(company_id: int, choice: ChosenEvents) -> BulkPreview:
    rows = (
        retries.retryable(_events(company_id, choice))
        .order_by()
        .values_list(F("obstacle"))
    )
    # Sorted for a stable order of equally frequent obstacles.
    counts: Counter[str] = Counter(dict(sorted(rows.annotate(Count("pk")))))
    following = counts.pop("", 0)
    obstacles = Counter(
        {REASONS[Reason(reason)]: count for reason, count in counts.items()}
    )
    return _preview(
        following, obstacles, choice, choice.events.exclude(retries.RETRYABLE)
    )


def _preview(
    following: int,
    obstacles: Counter[Explanation],
    choice: ChosenEvents,
    left_out: Events,
) -> BulkPreview:
    names = ("state", "reason", "is_test", "rule__is_paused", "rule__paused_reason")
    rows = list(left_out.order_by("-pk").values_list(*names)[: LEFT_OUT_AT_MOST + 1])
    others = obstacles + Counter(
        _why_left_out(choice, *row) for row in rows[:LEFT_OUT_AT_MOST]
    )
    return BulkPreview(
        following, others.most_common(), is_more=len(rows) > LEFT_OUT_AT_MOST
    )


def _why_left_out(
    choice: ChosenEvents,
    state: str,
    reason: str,
    is_test: bool,
    is_rule_paused: bool,
    paused_reason: str,
) -> Explanation:
    if is_test:
        return TEST_EVENT
    if state == State.PENDING and not choice.is_sending:
        return ON_HOLD
    if state == State.PENDING and is_rule_paused:
        return explain_pause(paused_reason)
    return explain_state(State(state), reason)


def _events(company_id: int, choice: ChosenEvents) -> Events:
    return ConversionEvent.objects.for_company(company_id).filter(pk__one_of=choice.pks)


@dataclass(frozen=True, slots=True)
class AllowedActions:
    """What a person can do with an event. `obstacle` is why a final event can't be retried, if that can be fixed."""

    retry: bool = False
    cancel: bool = False
    obstacle: Explanation | None = None


def allowed_actions(event: ConversionEvent) -> AllowedActions:
    """What a person can do with this event now. At most one query, none if the state decides."""
    if event.is_open:
        return AllowedActions(cancel=not event.is_test)
    if event.state not in retries.UNDOABLE:
        return AllowedActions()
    obstacles = retries.retryable(
        ConversionEvent.objects.filter(pk=event.pk)
    ).values_list(F("obstacle"), flat=True)
    obstacle: str | None = obstacles.first()
    if obstacle is None:
        return AllowedActions()
    return AllowedActions(
        retry=not obstacle,
        obstacle=REASONS[obstacle] if obstacle else None,  # type: ignore[index]
    )
