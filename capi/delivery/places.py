"""The one place that each lead or deal has under a rule with the frequency `once`.

The event that has it stores the key of its lead or deal in `once_key`, which is unique within the rule. The first event
planned gets the place. It keeps it while it may still be sent, once it is accepted or given up, and, however it ends,
if LinkedIn may have it (`may_have_arrived`). Otherwise the place becomes free when the event ends, and the oldest event
that was skipped for it takes the place.

An event whose change was taken back is never sent again. So if LinkedIn may have it, the oldest event that was skipped
for it takes both its place and its event id: LinkedIn gets one conversion, whether or not the request arrived.

A merge of two leads can skip events under any other rule, too (Reason.MERGED, see `merges`). They move up in the same
way, once no event of the lead is reported or about to be.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import BigIntegerField, Case, Exists, F, Func, OuterRef, Q, QuerySet, Subquery, When, Window
from django.db.models.functions import Coalesce, Greatest, Now, RowNumber

from capi.delivery.wakeup import wake_on_commit
from capi.models import ConversionEvent, ConversionRule
from capi.models.choices import OPEN_STATES, STATES_THAT_HOLD_ONCE, BackfillState, Frequency, Reason, State
from capi.models.event import MAY_HAVE_ARRIVED
from capi.models.lookups import IdList
from crm.models import CrmEvent

TRIES: Final = 3
NEEDED_KEY: Final = Coalesce("deal_id", "lead_id")
# The `once_key` of an event that ends without being accepted.
KEY_AFTER_END: Final = Case(When(may_have_arrived=True, then=F("once_key")), output_field=BigIntegerField())
# Events that are reported, may be, or are about to be.
REPORTED: Final = Q(state__in=STATES_THAT_HOLD_ONCE) | Q(may_have_arrived=True)
# Ended events that LinkedIn may have, and that are never sent again: see `_hand_over`.
GIVES_ID: Final = Q(may_have_arrived=True, once_key__isnull=False, crm_event__taken_back_at__isnull=False) & ~Q(
    state__in=[*OPEN_STATES, State.ACCEPTED]
)
SKIPPED: Final = {"state": State.SKIPPED, "reason": Reason.ALREADY_COUNTED, "next_attempt_at": None, "once_key": None}
QUEUED: Final = {"state": State.PENDING, "reason": Reason.NONE, "settled_at": None}


def once_key_expression() -> Case:
    """The `once_key` that an event needs, null if its rule counts every time."""
    once = ConversionRule._base_manager.filter(frequency=Frequency.ONCE)
    return Case(When(rule__in=once, then=NEEDED_KEY), output_field=BigIntegerField())


def is_already_counted() -> Q:
    """True if another event has the `once_key` that this one needs."""
    return Q(Exists(_holders().exclude(pk=OuterRef("pk"))), rule__frequency=Frequency.ONCE)


def is_counted_by_merge() -> Q:
    """True if another event about the same lead has a place: perhaps that of a lead that was merged into it."""
    return Q(Exists(_others_of_lead().filter(once_key__isnull=False)), deal=None, rule__frequency=Frequency.ONCE)


def is_counted_otherwise() -> Q:
    """True if its rule reported the same lead or deal before it began to count people: no person was recorded then."""
    same = of_same_place().filter(MAY_HAVE_ARRIVED, counted_people=None, is_test=False)
    return Q(Exists(same.exclude(pk=OuterRef("pk"))), rule__frequency=Frequency.PER_PERSON)


def of_same_place() -> QuerySet[ConversionEvent]:
    """The events under the rule of the outer query's event that are about the same lead or deal."""
    about = Coalesce(OuterRef("deal_id"), OuterRef("lead_id"))
    return ConversionEvent.objects.alias(about=NEEDED_KEY).filter(
        rule=OuterRef("rule"), lead=OuterRef("lead"), about=about
    )


def _holders() -> QuerySet[ConversionEvent]:
    """The event that has the place needed by the event of the outer query."""
    key = Coalesce(OuterRef("deal_id"), OuterRef("lead_id"))
    return ConversionEvent.objects.filter(rule=OuterRef("rule"), once_key=key)


def in_places(places: Collection[tuple[int, int]]) -> QuerySet[ConversionEvent]:
    """The events that have these places, (rule, key) each, or one that is made up of two of them."""
    rules, keys = ({place[at] for place in places} for at in (0, 1))
    return ConversionEvent.objects.filter(rule__in=rules, once_key__in=keys)


def _others_of_lead() -> QuerySet[ConversionEvent]:
    others = ConversionEvent.objects.filter(rule=OuterRef("rule"), lead=OuterRef("lead"), deal=None, is_test=False)
    return others.exclude(pk=OuterRef("pk"))


def due_again() -> Func:
    """Now, but not before the end of the grace period."""
    release = CrmEvent._base_manager.filter(pk=OuterRef("crm_event_id")).values("release_at")
    return Greatest(Coalesce(Subquery(release[:1]), Now()), Now())


def claim(pks: IdList) -> None:
    """Give events that ended during their request their places back, if LinkedIn has or may have them.

    An event that took such a place meanwhile is skipped. Call it while the lane's row is locked, so that this event
    can't be in a request.
    """
    _for_all_or_each(_claim, pks)


def take_over(crm_event_ids: Sequence[int]) -> list[int]:
    """Let events of these CRM events that were skipped when planned take the places and event ids that are left.

    Returns the primary keys of those whose place no ended event keeps for good. It may become free at this moment, so
    `planning` rechecks them after the commit.
    """
    once = ConversionEvent.objects.filter(rule__frequency=Frequency.ONCE)
    skipped = list(once.filter(crm_event__in=crm_event_ids, **SKIPPED).values_list("pk", "rule", NEEDED_KEY))
    holders = in_places({(rule, key) for _, rule, key in skipped})
    kept = set(holders.filter(MAY_HAVE_ARRIVED).exclude(state__in=OPEN_STATES).values_list("rule", "once_key"))
    if giving := holders.filter(GIVES_ID).values_list("pk", flat=True):
        _for_all_or_each(_hand_over, IdList(giving))
    return [pk for pk, *place in skipped if tuple(place) not in kept]


def pass_on(pks: IdList) -> None:
    """For each of these events that has ended and left its place, queue the oldest event that was skipped for it.

    An event that a person cancelled passes nothing on: that person has decided about the lead or deal.
    """
    _for_all_or_each(_hand_over, pks)
    merged = _others_of_lead().filter(state=State.SKIPPED, reason=Reason.MERGED)
    has_heir = Q(rule__frequency=Frequency.ONCE) | Q(Exists(merged), deal=None)
    left = ConversionEvent.objects.filter(has_heir, pk__one_of=pks, once_key=None, is_test=False)
    left = left.exclude(reason=Reason.CANCELLED_BY_HAND)
    freed = list(left.filter(lead__isnull=False).values_list("rule", "lead", NEEDED_KEY).distinct())
    if freed:
        rules, leads, keys = ({place[at] for place in freed} for at in (0, 1, 2))
        heirs = _heirs().alias(about=NEEDED_KEY).filter(rule__in=rules, lead__in=leads, about__in=keys)
        if not _until_nobody_interferes(lambda: _queue_first(heirs)):
            heirs.update(needs_recheck=True)


def reopen(skipped: QuerySet[ConversionEvent]) -> None:
    """Queue these skipped events again. If several need the same place, the oldest gets it, provided that it is free.

    They go through every check again before they are sent.
    """
    able = skipped.filter(_may_move_up())
    once = able.filter(~is_already_counted(), ~is_counted_by_merge(), rule__frequency=Frequency.ONCE)
    others = list(able.exclude(rule__frequency=Frequency.ONCE).values_list("pk", flat=True))
    ConversionEvent.objects.filter(pk__one_of=others, state=State.SKIPPED).update(
        **QUEUED, next_attempt_at=due_again(), once_key=None
    )
    _until_nobody_interferes(lambda: _queue_first(once))


def reopen_in_place(skipped: QuerySet[ConversionEvent], keys: Mapping[int, int]) -> None:
    """Queue these skipped events again, each in its former place (`keys`: `once_key` by event), unless that is taken.

    Two events about one lead may have places: the lead's own, and that of a lead that was merged into it.
    """
    able = set(skipped.filter(_may_move_up(), rule__frequency=Frequency.ONCE).values_list("pk", flat=True))
    for key in sorted({keys[pk] for pk in able & keys.keys()}):
        pks = IdList(pk for pk in able if keys.get(pk) == key)
        _until_nobody_interferes(partial(_queue_in_place, pks, key))


def free_given_up(events: QuerySet[ConversionEvent]) -> None:
    """Free the places of events that were given up, if LinkedIn can't have them."""
    events.filter(state=State.EXHAUSTED, may_have_arrived=False).update(once_key=None)


def assign(rule: ConversionRule, on_the_wire: Q) -> None:
    """Give out the places of a rule that has just begun to count once, and skip open events that get none.

    Events that LinkedIn has come first, then those that it may have or is about to get, then the oldest. Call it after
    `recall_unsent`, whose requests make up `on_the_wire` (by `recall.is_in`).
    """
    is_about_it = Q(deal__isnull=not rule.is_about_deal, lead__isnull=False, is_test=False)
    events = ConversionEvent.objects.for_company(rule.company_id).filter(rule=rule)
    candidates = events.filter(is_about_it, REPORTED)
    is_unsent = Q(state__in=OPEN_STATES, may_have_arrived=False) & ~on_the_wire
    rank = Case(When(state=State.ACCEPTED, then=0), When(is_unsent, then=2), default=1)
    number = Window(RowNumber(), partition_by=NEEDED_KEY, order_by=[rank, "happened_at", "pk"])
    first = list(candidates.annotate(number=number).filter(number=1).values_list("pk", flat=True))
    others = events.exclude(pk__one_of=first)
    others.filter(is_about_it, state__in=OPEN_STATES).update(**SKIPPED, settled_at=Now())
    others.filter(once_key__isnull=False).update(once_key=None)
    events.filter(pk__one_of=first).update(once_key=NEEDED_KEY)
    _hand_over(IdList(first))


def _until_nobody_interferes(work: Callable[[], None]) -> bool:
    """Do the work. Returns False, and nothing is done, if events planned at this very moment keep taking places."""
    for _ in range(TRIES):
        with suppress(IntegrityError), transaction.atomic():
            work()
            return True
    return False


def _for_all_or_each(work: Callable[[IdList], None], pks: IdList) -> None:
    """Do the work for these events or, if others keep taking places of some of them, for each by itself."""
    if not _until_nobody_interferes(lambda: work(pks)):
        for pk in pks:
            _until_nobody_interferes(partial(work, IdList([pk])))


def _queue_in_place(pks: IdList, key: int) -> None:
    taken = ConversionEvent.objects.filter(rule=OuterRef("rule"), once_key=key)
    free = ConversionEvent.objects.filter(~Exists(taken), pk__one_of=pks, state=State.SKIPPED)
    free.update(**QUEUED, next_attempt_at=due_again(), once_key=key)


def _claim(pks: IdList) -> None:
    without_place = ConversionEvent.objects.filter(
        MAY_HAVE_ARRIVED,
        pk__one_of=pks,
        once_key=None,
        lead__isnull=False,
        is_test=False,
        rule__frequency=Frequency.ONCE,
    )
    # Accepted events come last, so the dict keeps them.
    rows = without_place.annotate(needed_key=NEEDED_KEY, is_sure=Case(When(state=State.ACCEPTED, then=1), default=0))
    first = {
        (rule, key): pk for rule, key, pk in rows.order_by("is_sure", "-pk").values_list("rule", "needed_key", "pk")
    }
    if not first:
        return
    takers = in_places(first.keys()).filter(state__in=OPEN_STATES)
    takers.filter(may_have_arrived=False).update(**SKIPPED, settled_at=Now())
    free = ConversionEvent.objects.filter(~is_already_counted(), pk__one_of=list(first.values()))
    ConversionEvent.objects.filter(pk__in=free.values("pk")).update(once_key=NEEDED_KEY)


def _heirs() -> QuerySet[ConversionEvent]:
    """The events that were skipped for another one, and whose place is free now.

    They go through every check again: an event of a rule that is off, say, ends for that reason, not as a duplicate.
    """
    once = Q(~is_already_counted(), ~is_counted_by_merge(), rule__frequency=Frequency.ONCE)
    nothing_reported = ~Exists(_others_of_lead().filter(REPORTED))
    of_merge = Q(nothing_reported, ~Q(rule__frequency=Frequency.ONCE), reason=Reason.MERGED, deal=None)
    skipped = ConversionEvent.objects.filter(_may_move_up(), state=State.SKIPPED, lead__isnull=False)
    return skipped.filter(once | of_merge, reason__in=[Reason.ALREADY_COUNTED, Reason.MERGED])


def _may_move_up() -> Q:
    """True if the event could still be sent, had it not been skipped."""
    return Q(
        ~Q(backfill__state=BackfillState.CANCELLED),
        rule__deleted_at=None,
        crm_event__taken_back_at=None,
        happened_at__gt=Now() - timedelta(days=settings.EVENT_MAX_AGE_DAYS),
    )


def _hand_over(pks: IdList) -> None:
    """For each of these that GIVES_ID, queue the oldest event that was skipped for it, in its place, under its id."""
    holders = ConversionEvent.objects.filter(GIVES_ID, pk__one_of=pks, lead__isnull=False)
    giving = holders.values_list("pk", "lead", "rule", "once_key")
    # The lead is in the key: an id that was sent about one person is never sent about another, even for the same deal.
    left = {(rule, key, lead): pk for pk, lead, rule, key in giving}
    if not left:
        return
    once = Q(rule__frequency=Frequency.ONCE, rule__in={rule for rule, *_ in left})
    skipped = ConversionEvent.objects.filter(_may_move_up(), once, **SKIPPED, lead__in={lead for *_, lead in left})
    rows = skipped.annotate(needed_key=NEEDED_KEY).order_by("-happened_at", "-pk")
    # The oldest of each place comes last, so the dict keeps it.
    first = {
        (rule, key, lead): (pk, company)
        for rule, key, lead, pk, company in rows.values_list("rule", "needed_key", "lead", "pk", "company")
        if (rule, key, lead) in left
    }
    heirs = ConversionEvent.objects.filter(pk__in=[pk for pk, _ in first.values()], state=State.SKIPPED)
    locked = set(heirs.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
    heirs = ConversionEvent.objects.filter(pk__in=locked)
    given = Subquery(_holders().values("event_id")[:1])
    heirs.update(**QUEUED, next_attempt_at=due_again(), event_id=given, may_have_arrived=True)
    left_behind = [left[place] for place, (pk, _) in first.items() if pk in locked]
    ConversionEvent.objects.filter(pk__in=left_behind).update(once_key=None)
    heirs.update(once_key=NEEDED_KEY)
    for company_id in {company for pk, company in first.values() if pk in locked}:
        wake_on_commit(company_id)


def _queue_first(heirs: QuerySet[ConversionEvent]) -> None:
    # The oldest of each place comes last, so the dict keeps it.
    rows = heirs.annotate(needed_key=NEEDED_KEY).order_by("-happened_at", "-pk")
    first = {
        (rule, key): (pk, company) for rule, key, pk, company in rows.values_list("rule", "needed_key", "pk", "company")
    }
    pks = [pk for pk, _ in first.values()]
    # Checks their state again, without a join: otherwise PostgreSQL would not notice that a row has just changed.
    skipped = ConversionEvent.objects.filter(pk__one_of=pks, state=State.SKIPPED)
    if pks and skipped.update(**QUEUED, next_attempt_at=due_again(), once_key=once_key_expression()):
        for company_id in {company for _, company in first.values()}:
            wake_on_commit(company_id)
