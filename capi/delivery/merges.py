"""Conversion events of two leads that are merged, and of a merge that is undone: none is made, lost or doubled.

Events follow the CRM events that caused them, so that they are sent under the address of the lead that is kept, and not
after its opt-out. They keep their ids, times, states and places. docs/decisions/merging-leads.md says what that means
for each state.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Exists, OuterRef, Q

from capi.delivery import places, planning
from capi.delivery.recall import recall_unsent
from capi.delivery.wakeup import wake_on_commit
from capi.models import ConversionEvent
from capi.models import ConversionEventQuerySet as Events
from capi.models.choices import OPEN_STATES, STATES_THAT_HOLD_ONCE, Reason, State
from capi.models.lookups import IdList

ENDED_BY_MERGE = (Reason.ALREADY_COUNTED, Reason.OPTED_OUT)
REPORTED = Q(state__in=STATES_THAT_HOLD_ONCE) | Q(may_have_arrived=True)


def follow_merge(*, company_id: int, kept: int, gone: int) -> list[int]:
    """Let the events of one lead be another's, whose CRM events they belong to now. Returns those that this ended.

    Call it inside the transaction of the merge, which has locked both leads and their deals.
    """
    recall_unsent([company_id])
    moved = IdList(_of_lead(company_id, gone).values_list("pk", flat=True))
    _of_lead(company_id, gone).update(lead=kept)
    events = _of_lead(company_id, kept)
    was_open = list(events.filter(state__in=OPEN_STATES).values_list("pk", flat=True))
    planning.skip(events)
    _end_repeats(events, moved)
    _take_free_places(events.filter(pk__one_of=moved), was=gone, now=kept)
    if planning.release_waiting(events):
        wake_on_commit(company_id)
    ended = ConversionEvent.objects.filter(pk__one_of=was_open).exclude(state__in=OPEN_STATES)
    return list(ended.values_list("pk", flat=True))


def follow_undo(
    *, company_id: int, kept: int, gone: int, crm_events: Sequence[int], ended: Sequence[int], since: datetime
) -> None:
    """Let the events of these CRM events be their former lead's again.

    Those that the merge ended are open again. What was skipped since, for a place that goes back as well, moves up.
    """
    recall_unsent([company_id])
    events = ConversionEvent.objects.for_company(company_id)
    back = IdList(_of_lead(company_id, kept).filter(crm_event__in=crm_events).values_list("pk", flat=True))
    returning = events.filter(pk__one_of=back)
    rules = list(returning.filter(deal=None, once_key=kept).values_list("rule", flat=True))
    returning.update(lead=gone)
    _take_free_places(returning, was=kept, now=gone)
    skipped = events.filter(lead__in=[kept, gone], state=State.SKIPPED, reason__in=ENDED_BY_MERGE)
    places.reopen(skipped.filter(pk__one_of=ended))
    places.reopen(skipped.filter(reason=Reason.ALREADY_COUNTED, rule__in=rules, created_at__gte=since))
    wake_on_commit(company_id)


def _of_lead(company_id: int, lead_id: int) -> Events:
    return ConversionEvent.objects.for_company(company_id).filter(lead=lead_id, is_test=False)


def _end_repeats(events: Events, moved: IdList) -> None:
    """End what waits for an address, about one of the two leads, if its rule has reported the other or is about to.

    Where both only wait, the events of the lead that is kept go on waiting.
    """
    about_lead = events.filter(deal=None)
    of_gone, of_kept = about_lead.filter(pk__one_of=moved), about_lead.exclude(pk__one_of=moved)
    for waiting, others in ((of_gone, of_kept), (of_kept, of_gone)):
        rules = set(others.filter(REPORTED).values_list("rule", flat=True))
        planning.end(waiting.filter(state=State.WAITING, rule__in=rules), State.SKIPPED, Reason.ALREADY_COUNTED)


def _take_free_places(events: Events, *, was: int, now: int) -> None:
    """Give the places of one lead that these events have to the other, where that one has none."""
    taken = ConversionEvent.objects.filter(rule=OuterRef("rule"), once_key=now)
    events.filter(~Exists(taken), deal=None, once_key=was).update(once_key=now)
