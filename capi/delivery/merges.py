"""Moves conversion events when two leads are merged or a merge is undone: none is made, lost or doubled.

Events follow the CRM events that caused them: they are sent under the address of the lead that is kept, and not after
its opt-out. They keep their ids, times, states and keys. docs/decisions/merging-leads.md says what that means for
each state.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from django.db.models import Exists, OuterRef, Q

from capi.delivery import deduplication, duplicates, planning
from capi.delivery.recall import is_in, recall_unsent
from capi.delivery.settle import PASSING_ON
from capi.delivery.wakeup import wake_on_commit
from capi.models import ConversionEvent
from capi.models import ConversionEventQuerySet as Events
from capi.models.choices import OPEN_STATES, Frequency, Reason, State
from capi.models.lookups import IdList

Ended = tuple[int, int | None]  # an event's primary key, and its earlier `once_key`


def follow_merge(
    *, company_id: int, kept: int, gone: int, without_address: Collection[int]
) -> list[Ended]:
    """Move the events of the lead that goes to the lead that is kept. Returns the events that this ended.

    `without_address`: which of the two leads had no address before the merge. Call it inside the transaction of the
    merge, which has locked both leads and their deals.
    """
    on_the_wire = is_in(recall_unsent([company_id]))
    # While the keys of both leads can still be told apart.
    planning.recheck_all(
        ConversionEvent.objects.for_company(company_id).filter(lead__in=[kept, gone])
    )
    moved = IdList(_of_lead(company_id, gone).values_list("pk", flat=True))
    for lead in without_address:
        # The lead may have lost its address since its events were queued. They wait now, as they would have anyway.
        planning.wait_for_address(_of_lead(company_id, lead).exclude(on_the_wire))
    _of_lead(company_id, gone).update(lead=kept)
    events = _of_lead(company_id, kept)
    was_open = dict(events.filter(state__in=OPEN_STATES).values_list("pk", "once_key"))
    planning.skip(events)
    _end_repeats(events, moved)
    _take_free_keys(events.filter(pk__one_of=moved), was=gone, now=kept)
    if planning.release_waiting(events):
        wake_on_commit(company_id)
    ended = ConversionEvent.objects.filter(pk__one_of=IdList(was_open)).exclude(
        state__in=OPEN_STATES
    )
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
    """Move the events of these CRM events back to the lead that they had before.

    Events that the merge ended are open again, and so are those skipped since because of the other lead. If someone
    has opted the person out or in since (`sharing_changed`), those skipped for an opt-out stay skipped. Keys that were
    not passed on because of the other lead are passed on now.
    """
    on_the_wire = is_in(recall_unsent([company_id]))
    back = IdList(
        _of_lead(company_id, kept)
        .filter(crm_event__in=crm_events)
        .values_list("pk", flat=True)
    )
    returning = ConversionEvent.objects.for_company(company_id).filter(pk__one_of=back)
    returning.update(lead=gone)
    _take_free_keys(returning, was=kept, now=gone)
    _release_keys(returning, of=kept)
    of_both = ConversionEvent.objects.for_company(company_id).filter(
        lead__in=[kept, gone], is_test=False
    )
    settled_since = of_both.filter(settled_at__gte=since)
    _give_each_its_key(of_both.filter(deal=None))
    keys = dict(ended)
    ended_by_merge = Q(
        pk__one_of=IdList(keys),
        state=State.SKIPPED,
        reason__in=[Reason.MERGED, Reason.OPTED_OUT],
    )
    by_merge = of_both.filter(ended_by_merge)
    duplicates.reopen_with_keys(
        by_merge, {pk: key for pk, key in keys.items() if key is not None}
    )
    duplicates.reopen(by_merge)
    if not sharing_changed:
        reopen_unshared(settled_since)
    skipped = settled_since.filter(state=State.SKIPPED, reason=Reason.ALREADY_COUNTED)
    of_skipping_rules = skipped.filter(
        rule__frequency__in=[Frequency.ONCE, Frequency.PER_PERSON]
    )
    duplicates.reopen(of_skipping_rules.filter(~deduplication.is_counted_otherwise()))
    for lead in (kept, gone):
        duplicates.pass_on(
            _ids(
                settled_since.filter(
                    lead=lead, reason__in=(*PASSING_ON, Reason.BACKFILL_CANCELLED)
                )
            )
        )
    planning.wait_for_address(
        planning.of_leads(Q(email=""), of_both).exclude(on_the_wire)
    )
    planning.release_waiting(of_both)
    wake_on_commit(company_id)


def _of_lead(company_id: int, lead_id: int) -> Events:
    return ConversionEvent.objects.for_company(company_id).filter(
        lead=lead_id, is_test=False
    )


def _ids(events: Events) -> IdList:
    return IdList(events.values_list("pk", flat=True))


def _end_repeats(events: Events, moved: IdList) -> None:
    """End one lead's events that wait for an address, if their rule has reported the other lead or is about to.

    If the events of both only wait, those of the lead that is kept go on waiting, unless LinkedIn may have only the
    other's: a retry under its own id is counted once in any case. A rule that counts people doesn't need this: it
    compares addresses when it sends.
    """
    about_lead = events.filter(deal=None).exclude(rule__frequency=Frequency.PER_PERSON)
    of_gone, of_kept = (
        about_lead.filter(pk__one_of=moved),
        about_lead.exclude(pk__one_of=moved),
    )
    yielding = (
        (of_kept, of_gone.exclude(state=State.WAITING)),
        (of_kept.filter(may_have_arrived=False), of_gone.filter(may_have_arrived=True)),
        (of_gone, of_kept),
    )
    for waiting, others in yielding:
        rules = set(
            others.filter(deduplication.REPORTED).values_list("rule", flat=True)
        )
        # By primary key: `end` must not be given a join.
        repeats = _ids(waiting.filter(state=State.WAITING, rule__in=rules))
        planning.end(
            ConversionEvent.objects.filter(pk__one_of=repeats),
            State.SKIPPED,
            Reason.MERGED,
        )


def _give_each_its_key(events: Events) -> None:
    """Give each of the two leads its key, if a rule that began to count once meanwhile assigned only one."""
    without = events.filter(
        deduplication.REPORTED, rule__frequency=Frequency.ONCE, once_key=None
    )
    for rule in without.values_list("rule", flat=True).order_by("rule").distinct():
        duplicates.reclaim(_ids(events.filter(rule=rule)))


def _take_free_keys(events: Events, *, was: int, now: int) -> None:
    """Let these events hold the key of the lead `now` instead of that of `was`, where nobody holds it yet."""
    taken = ConversionEvent.objects.filter(rule=OuterRef("rule"), once_key=now)
    events.filter(~Exists(taken), deal=None, once_key=was).update(once_key=now)


def _release_keys(events: Events, *, of: int) -> None:
    """Release this lead's keys, if events of the other lead hold them whose own key another event holds already."""
    repeats = events.filter(deal=None, once_key=of)
    planning.end(
        repeats.filter(may_have_arrived=False), State.SKIPPED, Reason.ALREADY_COUNTED
    )
    repeats.update(once_key=None)


def reopen_unshared(events: Events) -> None:
    """Queue events again that were skipped for an opt-out, if their present lead has not opted out.

    Duplicates among them stay skipped, as duplicates.
    """
    unshared = events.filter(
        state=State.SKIPPED, reason=Reason.OPTED_OUT, lead__share_with_ad_platforms=True
    )
    duplicates.reopen(unshared)
    repeats = unshared.filter(
        deduplication.is_already_counted() | deduplication.is_counted_by_merge()
    )
    ConversionEvent.objects.filter(pk__one_of=_ids(repeats)).update(
        reason=Reason.ALREADY_COUNTED
    )
