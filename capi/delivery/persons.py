"""Rules that count each person once: which of a person's events is sent.

Who a person is, is known only when a request is made: until then an address may be corrected, and the change behind an
event undone. So the decision is made then, in the transaction that pays for the request. The first event of a person is
noted in `CountedPerson`, and only then sent. Others are skipped once it has been accepted, and wait until its outcome
is known. If it ends without having been sent, the next one takes its place, so none is lost.

A lane has one request at a time, and the transaction locks its row: two events of a person can't be noted at once. An
event that is retried after its lead's address was changed holds both places: it may have been counted under the first.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from capi.delivery import lane, selection, settle
from capi.delivery.lane import LaneSnapshot, Lease
from capi.delivery.selection import NotSendable, Sendable
from capi.linkedin.identity import email_sha256, person_key
from capi.models import ConversionEvent, ConversionRule, CountedPerson
from capi.models.choices import OPEN_STATES, STATES_THAT_HOLD_ONCE, Reason, State
from crm.models import Lead
from crm.models.snapshots import chunks

LATER: Final = timedelta(minutes=1)
COUNTED: Final = NotSendable(State.SKIPPED, Reason.ALREADY_COUNTED)


@dataclass(slots=True)
class _Division:
    """The events of a part: the first of each person, those of people who are counted, and those that wait."""

    first: list[Sendable] = field(default_factory=list)
    counted: list[Sendable] = field(default_factory=list)
    waiting: list[Sendable] = field(default_factory=list)


@transaction.atomic
def spend_for_people(
    lease: Lease, snapshot: LaneSnapshot, rule: ConversionRule, part: Sequence[Sendable], *, recalls: int
) -> Sequence[Sendable]:
    """As `recall.spend_unless_recalled`, for a rule that counts people: returns one event of each, if any may go.

    Raises LeaseLost.
    """
    unchanged = lane.renew_and_compare(lease, recalls=recalls)
    events = part if unchanged else selection.read_again(rule, part, now=snapshot.now)
    keys = {event.row.pk: person_key(event.conversion.email_sha256, rule_id=rule.pk) for event in events}
    division = _divide(rule, events, keys)
    if division.counted:
        settle.close_unsendable(lease, {COUNTED: [event.row for event in division.counted]})
    waiting = ConversionEvent.objects.pending().filter(pk__one_of=[event.row.pk for event in division.waiting])
    waiting.update(reason=Reason.ALREADY_COUNTED, next_attempt_at=Now() + LATER)
    CountedPerson.objects.bulk_create(
        [CountedPerson(rule=rule, person=keys[event.row.pk], event_id=event.row.pk) for event in division.first],
        update_conflicts=True,
        unique_fields=["rule", "person"],
        update_fields=["event"],
    )
    if division.first and not lane.spend_request(lease, snapshot):
        transaction.set_rollback(True)  # nothing is sent, so nobody is counted
        return []
    return division.first


def _divide(rule: ConversionRule, events: Iterable[Sendable], keys: dict[int, int]) -> _Division:
    holders = {
        person: (event, State(state))
        for person, event, state in _counted(rule, keys.values()).values_list("person", "event__pk", "event__state")
    }
    division = _Division()
    for event in events:
        holder, state = holders.setdefault(keys[event.row.pk], (event.row.pk, State.PENDING))
        if holder == event.row.pk:
            division.first.append(event)
        elif state in OPEN_STATES:
            division.waiting.append(event)
        else:
            division.counted.append(event)
    return division


def people_of(rule: ConversionRule, addresses: Iterable[str]) -> set[int]:
    """The keys of the people with these addresses, without those that have no hash."""
    hashes = map(email_sha256, addresses)
    return {person_key(sha256, rule_id=rule.pk) for sha256 in hashes if sha256 is not None}


def counted_people(rule: ConversionRule, people: Collection[int]) -> set[int]:
    """Those of the people whom the rule has counted."""
    found = (_counted(rule, keys).values_list("person", flat=True) for keys in chunks(list(people)))
    return {person for part in found for person in part}


def people_to_count(rule: ConversionRule, addresses: Iterable[str]) -> set[int]:
    """Those of the people with these addresses who are not counted yet, and have no open event either."""
    people = people_of(rule, addresses)
    if not people:
        return people
    is_open = Q(conversion_events__rule=rule, conversion_events__state__in=OPEN_STATES)
    addresses_of_open = Lead._base_manager.filter(is_open).values_list("email", flat=True)
    return people - counted_people(rule, people) - people_of(rule, addresses_of_open)


def event_of_person(rule: ConversionRule, address: str) -> ConversionEvent | None:
    """The event by which the rule has counted the person with this address."""
    row = _counted(rule, people_of(rule, [address])).select_related("event").first()
    return row.event if row else None


def forget_people(*, company_id: int, lead_ids: Collection[int]) -> None:
    """Delete what is kept to recognise these leads' people, unless another lead has the address.

    Call it while the leads still have their addresses.
    """
    leads = Lead.objects.for_company(company_id)
    rules = list(ConversionRule._base_manager.filter(company=company_id))
    gone: set[int] = set()
    kept: set[int] = set()
    for address in leads.filter(pk__in=lead_ids).values_list("email", flat=True):
        others = leads.with_address(address).exclude(pk__in=lead_ids)
        (kept if others.exists() else gone).update(*(people_of(rule, [address]) for rule in rules))
    own = Q(event__lead__in=lead_ids) | Q(person__in=gone)
    CountedPerson.objects.filter(own, rule__in=rules).exclude(person__in=kept).delete()


def _counted(rule: ConversionRule, people: Iterable[int]) -> QuerySet[CountedPerson]:
    return CountedPerson.objects.filter(rule=rule, person__in=list(people), event__state__in=STATES_THAT_HOLD_ONCE)
