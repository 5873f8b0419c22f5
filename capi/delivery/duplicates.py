"""Queues duplicates whose deduplication key is released or handed over. The table is in `deduplication`.

A merge of two leads can skip events under any other rule, too (Reason.MERGED, see `merges`). They are queued in the
same way, once no event of the lead is reported or about to be.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, Exists, Func, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce, Greatest, Now

from capi.delivery.deduplication import (
    HANDS_OVER,
    NEEDED_KEY,
    REPORTED,
    holder,
    holders_of,
    is_already_counted,
    is_counted_by_merge,
    once_key_expression,
    others_of_lead,
)
from capi.delivery.wakeup import wake_on_commit
from capi.models import ConversionEvent, ConversionRule
from capi.models.choices import OPEN_STATES, Frequency, Reason, State
from capi.models.event import MAY_HAVE_ARRIVED
from capi.models.lookups import IdList
from crm.models import CrmEvent
from crm.models.job import JobState

TRIES: Final = 3
SKIPPED: Final = {
    "state": State.SKIPPED,
    "reason": Reason.ALREADY_COUNTED,
    "next_attempt_at": None,
    "once_key": None,
}
QUEUED: Final = {"state": State.PENDING, "reason": Reason.NONE, "settled_at": None}


def pass_on(pks: IdList) -> None:
    """Queue the oldest duplicate of each of these events that has ended without its key.

    An event that a person cancelled passes nothing on: that person has decided about the lead or deal.
    """
    _for_all_or_each(_hand_over, pks)
    skipped_by_merge = others_of_lead().filter(
        state=State.SKIPPED, reason=Reason.MERGED
    )
    may_have_duplicates = Q(rule__frequency=Frequency.ONCE) | Q(
        Exists(skipped_by_merge), deal=None
    )
    ended = ConversionEvent.objects.filter(
        pk__one_of=pks, once_key=None, lead__isnull=False, is_test=False
    )
    released = ended.filter(may_have_duplicates).exclude(
        reason=Reason.CANCELLED_BY_HAND
    )
    subjects = list(released.values_list("rule", "lead", NEEDED_KEY).distinct())
    if not subjects:
        return
    rules, leads, keys = map(set, zip(*subjects, strict=True))
    duplicates = (
        _duplicates_without_holder()
        .alias(key=NEEDED_KEY)
        .filter(rule__in=rules, lead__in=leads, key__in=keys)
    )
    if not _try_to(lambda: _queue_oldest(duplicates)):
        duplicates.update(needs_recheck=True)


def take_over(crm_event_ids: Sequence[int]) -> list[int]:
    """Let events of these CRM events that were skipped when planned take the keys and event ids handed over to them.

    Returns the primary keys of those whose key no ended event keeps. It may be released at this moment, so `planning`
    rechecks them after the commit.
    """
    duplicates = ConversionEvent.objects.filter(
        rule__frequency=Frequency.ONCE, crm_event__in=crm_event_ids, **SKIPPED
    )
    skipped = list(duplicates.values_list("pk", "rule", NEEDED_KEY))
    holders = holders_of({(rule, key) for _, rule, key in skipped})
    kept = set(
        holders.filter(MAY_HAVE_ARRIVED)
        .exclude(state__in=OPEN_STATES)
        .values_list("rule", "once_key")
    )
    if handing_over := holders.filter(HANDS_OVER).values_list("pk", flat=True):
        _for_all_or_each(_hand_over, IdList(handing_over))
    return [pk for pk, rule, key in skipped if (rule, key) not in kept]


def reclaim(pks: IdList) -> None:
    """Return their keys to events that ended during their request, if LinkedIn has or may have them.

    An event that took such a key meanwhile is skipped. Call it while the lane's row is locked, so that this event
    can't be in a request.
    """
    _for_all_or_each(_reclaim, pks)


def reopen(skipped: QuerySet[ConversionEvent]) -> None:
    """Queue these skipped events again. If several need the same key, the oldest gets it, provided that nobody has it.

    They go through every check again before they are sent.
    """
    able = skipped.filter(_can_be_sent())
    others = list(
        able.exclude(rule__frequency=Frequency.ONCE).values_list("pk", flat=True)
    )
    ConversionEvent.objects.filter(pk__one_of=others, state=State.SKIPPED).update(
        **QUEUED, next_attempt_at=due_again(), once_key=None
    )
    _try_to(lambda: _queue_oldest(able.filter(_is_next())))


def reopen_with_keys(
    skipped: QuerySet[ConversionEvent], keys: Mapping[int, int]
) -> None:
    """Queue these skipped events again, each with its earlier key (`keys`: `once_key` by event), unless that is taken.

    Two events about one lead may hold keys: the lead's own, and that of a lead that was merged into it.
    """
    by_key: defaultdict[int, list[int]] = defaultdict(list)
    for pk in skipped.filter(
        _can_be_sent(), rule__frequency=Frequency.ONCE
    ).values_list("pk", flat=True):
        if pk in keys:
            by_key[keys[pk]].append(pk)
    for key, pks in sorted(by_key.items()):
        _try_to(partial(_queue_with_key, pks, key))


def release_given_up(events: QuerySet[ConversionEvent]) -> None:
    """Release the keys of events that were given up, if LinkedIn can't have them."""
    events.filter(state=State.EXHAUSTED, may_have_arrived=False).update(once_key=None)


def assign(rule: ConversionRule, on_the_wire: Q) -> None:
    """Assign the keys of a rule that has just begun to count once, and skip open events that get none.

    Events that LinkedIn has come first, then those that it may have or is about to get, then the oldest. Call it after
    `recall_unsent`, whose requests make up `on_the_wire` (by `recall.is_in`).
    """
    is_about_it = Q(
        deal__isnull=not rule.is_about_deal, lead__isnull=False, is_test=False
    )
    events = ConversionEvent.objects.for_company(rule.company_id).filter(rule=rule)
    is_unsent = Q(state__in=OPEN_STATES, may_have_arrived=False) & ~on_the_wire
    rank = Case(When(state=State.ACCEPTED, then=0), When(is_unsent, then=2), default=1)
    first = [
        pk
        for *_, pk, _ in _first_of_each_key(
            events.filter(is_about_it, REPORTED), rank, "happened_at"
        )
    ]
    others = events.exclude(pk__one_of=first)
    others.filter(is_about_it, state__in=OPEN_STATES).update(
        **SKIPPED, settled_at=Now()
    )
    others.filter(once_key__isnull=False).update(once_key=None)
    events.filter(pk__one_of=first).update(once_key=NEEDED_KEY)
    _hand_over(IdList(first))


def due_again() -> Func:
    """Now, but not before the end of the grace period."""
    release = CrmEvent._base_manager.filter(pk=OuterRef("crm_event_id")).values(
        "release_at"
    )
    return Greatest(Coalesce(Subquery(release[:1]), Now()), Now())


def _try_to(work: Callable[[], None]) -> bool:
    """Do the work. Returns False, and nothing is done, if events planned at this very moment keep taking keys."""
    for _ in range(TRIES):
        with suppress(IntegrityError), transaction.atomic():
            work()
            return True
    return False


def _for_all_or_each(work: Callable[[IdList], None], pks: IdList) -> None:
    """Do the work for these events or, if others keep taking keys of some of them, for each by itself."""
    if not _try_to(lambda: work(pks)):
        for pk in pks:
            _try_to(partial(work, IdList([pk])))


def _hand_over(pks: IdList) -> None:
    """For each of these that HANDS_OVER, queue the oldest duplicate, with its key and its event id."""
    # About the same lead: an id that was sent about one person is never sent about another, even for the same deal.
    duplicates = ConversionEvent.objects.alias(key=NEEDED_KEY).filter(
        _can_be_sent(),
        **SKIPPED,
        rule=OuterRef("rule"),
        lead=OuterRef("lead"),
        key=OuterRef("once_key"),
    )
    oldest = duplicates.order_by("happened_at", "pk").values("pk")[:1]
    holders = ConversionEvent.objects.filter(
        HANDS_OVER, pk__one_of=pks, rule__frequency=Frequency.ONCE
    )
    holder_of = dict(holders.values_list(Subquery(oldest), "pk"))
    holder_of.pop(None, None)
    if not holder_of:
        return
    # Their state is checked without a join: otherwise PostgreSQL would not notice that a row has just changed.
    skipped = ConversionEvent.objects.filter(
        pk__in=holder_of, state=State.SKIPPED
    ).order_by("pk")
    locked = dict(skipped.select_for_update(no_key=True).values_list("pk", "company"))
    successors = ConversionEvent.objects.filter(pk__in=locked)
    event_id = Subquery(holder().values("event_id")[:1])
    successors.update(
        **QUEUED, next_attempt_at=due_again(), event_id=event_id, may_have_arrived=True
    )
    ConversionEvent.objects.filter(pk__in=[holder_of[pk] for pk in locked]).update(
        once_key=None
    )
    successors.update(once_key=NEEDED_KEY)
    _wake(locked.values())


def _reclaim(pks: IdList) -> None:
    without_key = ConversionEvent.objects.filter(
        MAY_HAVE_ARRIVED,
        pk__one_of=pks,
        once_key=None,
        lead__isnull=False,
        is_test=False,
        rule__frequency=Frequency.ONCE,
    )
    accepted_first = Case(When(state=State.ACCEPTED, then=0), default=1)
    first = {
        (rule, key): pk
        for rule, key, pk, _ in _first_of_each_key(without_key, accepted_first)
    }
    if not first:
        return
    takers = holders_of(first.keys()).filter(
        state__in=OPEN_STATES, may_have_arrived=False
    )
    takers.update(**SKIPPED, settled_at=Now())
    free = ConversionEvent.objects.filter(
        ~is_already_counted(), pk__one_of=list(first.values())
    )
    ConversionEvent.objects.filter(pk__in=free.values("pk")).update(once_key=NEEDED_KEY)


def _queue_oldest(duplicates: QuerySet[ConversionEvent]) -> None:
    """Queue the oldest of these for each key."""
    first = {
        pk: company for *_, pk, company in _first_of_each_key(duplicates, "happened_at")
    }
    # Checks their state again, without a join: otherwise PostgreSQL would not notice that a row has just changed.
    skipped = ConversionEvent.objects.filter(
        pk__one_of=list(first), state=State.SKIPPED
    )
    if first and skipped.update(
        **QUEUED, next_attempt_at=due_again(), once_key=once_key_expression()
    ):
        _wake(first.values())


def _queue_with_key(pks: Sequence[int], key: int) -> None:
    taken = ConversionEvent.objects.filter(rule=OuterRef("rule"), once_key=key)
    free = ConversionEvent.objects.filter(
        ~Exists(taken), pk__one_of=pks, state=State.SKIPPED
    )
    free.update(**QUEUED, next_attempt_at=due_again(), once_key=key)


def _first_of_each_key(
    events: QuerySet[ConversionEvent], *order: str | Case
) -> QuerySet[ConversionEvent, tuple[int, int, int, int]]:
    """The first of these events for each rule and key in this order: rule, key, primary key and company."""
    each = ("rule_id", "needed_key")
    ordered = (
        events.annotate(needed_key=NEEDED_KEY)
        .order_by(*each, *order, "pk")
        .distinct(*each)
    )
    return ordered.values_list(*each, "pk", "company")


def _duplicates_without_holder() -> QuerySet[ConversionEvent]:
    """The events that were skipped for another one, and whose key nobody has now.

    They go through every check again: an event of a rule that is off, say, ends for that reason, not as a duplicate.
    """
    nothing_reported = ~Exists(others_of_lead().filter(REPORTED))
    of_merge = Q(
        nothing_reported,
        ~Q(rule__frequency=Frequency.ONCE),
        reason=Reason.MERGED,
        deal=None,
    )
    skipped = ConversionEvent.objects.filter(
        _can_be_sent(), state=State.SKIPPED, lead__isnull=False
    )
    return skipped.filter(
        _is_next() | of_merge, reason__in=[Reason.ALREADY_COUNTED, Reason.MERGED]
    )


def _is_next() -> Q:
    """True if the rule counts once, and nobody has the key."""
    return Q(
        ~is_already_counted(), ~is_counted_by_merge(), rule__frequency=Frequency.ONCE
    )


def _can_be_sent() -> Q:
    """True if the event could still be sent, had it not been skipped."""
    return Q(
        ~Q(backfill__state=JobState.CANCELLED),
        rule__deleted_at=None,
        crm_event__taken_back_at=None,
        happened_at__gt=Now() - timedelta(days=settings.EVENT_MAX_AGE_DAYS),
    )


def _wake(companies: Iterable[int]) -> None:
    for company_id in set(companies):
        wake_on_commit(company_id)
