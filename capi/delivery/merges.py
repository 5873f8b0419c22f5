"""Moves conversion events when two leads are merged or a merge is undone: none is made, lost or doubled.

Events follow the CRM events that caused them: they are sent under the address of the lead that is kept, and not after
its opt-out. They keep their ids, times, states and places. docs/decisions/merging-leads.md says what that means for
each state.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

from django.db.models import Exists, OuterRef, Q

from capi.delivery import places, planning
from capi.delivery.recall import is_in, recall_unsent
from capi.delivery.settle import PASSING_ON
from capi.delivery.wakeup import wake_on_commit
from capi.models import ConversionEvent
from capi.models import ConversionEventQuerySet as Events
from capi.models.choices import OPEN_STATES, Frequency, Reason, State
from capi.models.lookups import IdList

ENDED_BY_MERGE: Final = (Reason.MERGED, Reason.OPTED_OUT)
ENDED_FOR_HEIRS: Final = (*PASSING_ON, Reason.BACKFILL_CANCELLED)
FREQUENCIES_THAT_SKIP: Final = (Frequency.ONCE, Frequency.PER_PERSON)
Ended = tuple[int, int | None]  # an event's primary key, and its former `once_key`


def follow_merge(*, company_id: int, kept: int, gone: int, without_address: Collection[int]) -> list[Ended]:
    """Move the events of the lead that goes to the lead that is kept. Returns the events that this ended.

    `without_address`: which of the two leads had no address before the merge. Call it inside the transaction of the
    merge, which has locked both leads and their deals.
    """
    on_the_wire = is_in(recall_unsent([company_id]))
    # While the places of both leads are still told apart.
    planning.recheck_all(ConversionEvent.objects.for_company(company_id).filter(lead__in=[kept, gone]))
    moved = IdList(_of_lead(company_id, gone).values_list("pk", flat=True))
    for lead in without_address:
        # The lead may have lost its address since its events were queued. They wait now, as they would have anyway.
        planning.wait_for_address(_of_lead(company_id, lead).exclude(on_the_wire))
    _of_lead(company_id, gone).update(lead=kept)
    events = _of_lead(company_id, kept)
    was_open = dict(events.filter(state__in=OPEN_STATES).values_list("pk", "once_key"))
    planning.skip(events)
    _end_repeats(events, moved)
    _take_free_places(events.filter(pk__one_of=moved), was=gone, now=kept)
    if planning.release_waiting(events):
        wake_on_commit(company_id)
    ended = ConversionEvent.objects.filter(pk__one_of=IdList(was_open)).exclude(state__in=OPEN_STATES)
    return [(pk, was_open[pk]) for pk in ended.values_list("pk", flat=True)]


def follow_undo(
    *,
    company_id: int,
    kept: int,
    gone: int,
    crm_events: Sequence[int],
    ended: Iterable[Ended],
    since: datetime,
    sharing_changed: bool,
) -> None:
    """Move the events of these CRM events back to their former lead.

    Events that the merge ended are open again, and so are those skipped since because of the other lead. If someone
    has opted the person out or in since (`sharing_changed`), those skipped for an opt-out stay skipped. Places that
    were not passed on because of the other lead are passed on now.
    """
    on_the_wire = is_in(recall_unsent([company_id]))
    back = IdList(_of_lead(company_id, kept).filter(crm_event__in=crm_events).values_list("pk", flat=True))
    returning = ConversionEvent.objects.for_company(company_id).filter(pk__one_of=back)
    returning.update(lead=gone)
    _take_free_places(returning, was=kept, now=gone)
    _leave_places(returning, of=kept)
    of_both = ConversionEvent.objects.for_company(company_id).filter(lead__in=[kept, gone], is_test=False)
    settled_since = of_both.filter(settled_at__gte=since)
    _give_each_its_place(of_both.filter(deal=None))
    keys = dict(ended)
    by_merge = of_both.filter(pk__one_of=IdList(keys), state=State.SKIPPED, reason__in=ENDED_BY_MERGE)
    places.reopen_in_place(by_merge, {pk: key for pk, key in keys.items() if key is not None})
    places.reopen(by_merge)
    if not sharing_changed:
        reopen_unshared(settled_since)
    skipped = settled_since.filter(state=State.SKIPPED, reason=Reason.ALREADY_COUNTED)
    places.reopen(skipped.filter(~places.is_counted_otherwise(), rule__frequency__in=FREQUENCIES_THAT_SKIP))
    for lead in (kept, gone):
        places.pass_on(_ids(settled_since.filter(lead=lead, reason__in=ENDED_FOR_HEIRS)))
    planning.wait_for_address(planning.of_leads(Q(email=""), of_both).exclude(on_the_wire))
    planning.release_waiting(of_both)
    wake_on_commit(company_id)


def _of_lead(company_id: int, lead_id: int) -> Events:
    return ConversionEvent.objects.for_company(company_id).filter(lead=lead_id, is_test=False)


def _ids(events: Events) -> IdList:
    return IdList(events.values_list("pk", flat=True))


def _end_repeats(events: Events, moved: IdList) -> None:
    """End one lead's events that wait for an address, if their rule has reported the other lead or is about to.

    If the events of both only wait, those of the lead that is kept go on waiting, unless LinkedIn may have only the
    other's: a retry under its own id is counted once in any case. A rule that counts people doesn't need this: it
    compares addresses when it sends.
    """
    about_lead = events.filter(deal=None).exclude(rule__frequency=Frequency.PER_PERSON)
    of_gone, of_kept = about_lead.filter(pk__one_of=moved), about_lead.exclude(pk__one_of=moved)
    yielding = (
        (of_kept, of_gone.exclude(state=State.WAITING)),
        (of_kept.filter(may_have_arrived=False), of_gone.filter(may_have_arrived=True)),
        (of_gone, of_kept),
    )
    for waiting, others in yielding:
        rules = set(others.filter(places.REPORTED).values_list("rule", flat=True))
        # By primary key: `end` must not be given a join.
        repeats = _ids(waiting.filter(state=State.WAITING, rule__in=rules))
        planning.end(ConversionEvent.objects.filter(pk__one_of=repeats), State.SKIPPED, Reason.MERGED)


def _give_each_its_place(events: Events) -> None:
    """Give each of the two leads its place, if a rule began to count once while they were merged and gave only one."""
    without = events.filter(places.REPORTED, rule__frequency=Frequency.ONCE, once_key=None)
    for rule in without.values_list("rule", flat=True).order_by("rule").distinct():
        places.claim(_ids(events.filter(rule=rule)))


def _take_free_places(events: Events, *, was: int, now: int) -> None:
    """Turn the places that these events have for the lead `was` into places for `now`, where it has none yet."""
    taken = ConversionEvent.objects.filter(rule=OuterRef("rule"), once_key=now)
    events.filter(~Exists(taken), deal=None, once_key=was).update(once_key=now)


def _leave_places(events: Events, *, of: int) -> None:
    """Take this lead's places away from events of the other lead, whose own place another event has already."""
    repeats = events.filter(deal=None, once_key=of)
    planning.end(repeats.filter(may_have_arrived=False), State.SKIPPED, Reason.ALREADY_COUNTED)
    repeats.update(once_key=None)


def reopen_unshared(events: Events) -> None:
    """Queue events again that were skipped for an opt-out, if their present lead has not opted out.

    Duplicates among them stay skipped, as duplicates.
    """
    unshared = events.filter(state=State.SKIPPED, reason=Reason.OPTED_OUT, lead__share_with_ad_platforms=True)
    places.reopen(unshared)
    repeats = unshared.filter(places.is_already_counted() | places.is_counted_by_merge())
    ConversionEvent.objects.filter(pk__one_of=_ids(repeats)).update(reason=Reason.ALREADY_COUNTED)
