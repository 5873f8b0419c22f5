"""Conversion events of two leads that are merged, and of a merge that is undone: none is made, lost or doubled.

Events follow the CRM events that caused them, so that they are sent under the address of the lead that is kept, and not
after its opt-out. They keep their ids, times, states and places. docs/decisions/merging-leads.md says what that means
for each state.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
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
Ended = tuple[int, int | None]  # an event, and the `once_key` that it had
# Later than this much before: SQLite compares texts, and its times of the database's clock are shorter.
MICROSECOND: Final = timedelta(microseconds=1)


def follow_merge(*, company_id: int, kept: int, gone: int, without_address: Collection[int]) -> list[Ended]:
    """Let the events of one lead be another's, whose CRM events they belong to now. Returns those that this ended.

    `without_address` has those of the two leads that had none before the merge. Call it inside the transaction of the
    merge, which has locked both leads and their deals.
    """
    on_the_wire = is_in(recall_unsent([company_id]))
    moved = IdList(_of_lead(company_id, gone).values_list("pk", flat=True))
    for lead in without_address:
        # It may have lost it since they were queued. So they wait now, as their next turn would have found.
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
    """Let the events of these CRM events be their former lead's again.

    Those that the merge ended are open again. What was skipped since, or not tried because of the other lead, moves up;
    if somebody has opted the person out or in since (`sharing_changed`), not what was skipped for an opt-out.
    """
    on_the_wire = is_in(recall_unsent([company_id]))
    back = IdList(_of_lead(company_id, kept).filter(crm_event__in=crm_events).values_list("pk", flat=True))
    returning = ConversionEvent.objects.for_company(company_id).filter(pk__one_of=back)
    returning.update(lead=gone)
    _take_free_places(returning, was=kept, now=gone)
    _leave_places(returning, of=kept)
    of_both = ConversionEvent.objects.for_company(company_id).filter(lead__in=[kept, gone], is_test=False)
    settled_since = of_both.filter(settled_at__gt=since - MICROSECOND)
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
    """End what waits for an address, about one of the two leads, if its rule has reported the other or is about to.

    Where both only wait, the events of the lead that is kept go on waiting, unless LinkedIn may have the other's alone:
    a retry under its own id is counted once in any case. A rule that counts people finds out itself, by the address,
    when it sends.
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
        # By their keys: `end` takes no join.
        repeats = _ids(waiting.filter(state=State.WAITING, rule__in=rules))
        planning.end(ConversionEvent.objects.filter(pk__one_of=repeats), State.SKIPPED, Reason.MERGED)


def _give_each_its_place(events: Events) -> None:
    """Give these events of two leads their places, if a rule that began to count once since gave the two only one."""
    without = events.filter(places.REPORTED, rule__frequency=Frequency.ONCE, once_key=None)
    for rule in without.values_list("rule", flat=True).order_by("rule").distinct():
        places.claim(_ids(events.filter(rule=rule)))


def _take_free_places(events: Events, *, was: int, now: int) -> None:
    """Give the places of one lead that these events have to the other, where that one has none."""
    taken = ConversionEvent.objects.filter(rule=OuterRef("rule"), once_key=now)
    events.filter(~Exists(taken), deal=None, once_key=was).update(once_key=now)


def _leave_places(events: Events, *, of: int) -> None:
    """Take this lead's places from events that are another one's, which has an event in its own place already."""
    repeats = events.filter(deal=None, once_key=of)
    planning.end(repeats.filter(may_have_arrived=False), State.SKIPPED, Reason.ALREADY_COUNTED)
    repeats.update(once_key=None)


def reopen_unshared(events: Events) -> None:
    """Queue those of these events again that were skipped for an opt-out which is not one of their lead."""
    unshared = events.filter(state=State.SKIPPED, reason=Reason.OPTED_OUT, lead__share_with_ad_platforms=True)
    places.reopen(unshared)
    repeats = unshared.filter(places.is_already_counted() | places.is_counted_by_merge())
    ConversionEvent.objects.filter(pk__one_of=_ids(repeats)).update(reason=Reason.ALREADY_COUNTED)
