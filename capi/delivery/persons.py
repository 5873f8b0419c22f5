"""Rules that count each person once: which of a person's events is sent.

The person behind an event is certain only when a request is made: until then, the address may be corrected or the
change undone. So the transaction that pays for the request decides. It adds a row for a person's first event to
`CountedPerson`, and only then is the event sent. If LinkedIn has certainly not received it, `settle.write` deletes the
row when it writes the answer. So a person with a row was counted, or may have been: LinkedIn accepted the event, or its
answer is unknown or pending. The person's other events are skipped, however the first one ends. They wait only while
the first is about to be sent again for the same person, and so never for an event that is itself waiting.

A lane has one request at a time, and the transaction locks the lane's row, so two events of a person can't get a row at
once. If an event's answer is unknown and its lead then gets another address, the event keeps its first row and needs a
second one.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now

from capi.delivery import lane, recall, selection, settle
from capi.delivery.lane import LaneSnapshot, Lease
from capi.delivery.selection import NotSendable, Row, Sendable
from capi.linkedin.identity import counted_person_key, email_sha256
from capi.models import ConversionEvent, ConversionRule, CountedPerson
from capi.models.choices import OPEN_STATES, Reason, State
from crm.models import Lead
from crm.models.tracking.snapshots import chunks


@dataclass(slots=True)
class _Division:
    """The events of a part: each person's first event, events of people already counted, and events that wait."""

    first: list[Sendable] = field(default_factory=list)
    # The new rows for `first`.
    people: list[CountedPerson] = field(default_factory=list)
    counted: list[Row] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)  # primary keys


@transaction.atomic
def spend_for_people(
    lease: Lease,
    snapshot: LaneSnapshot,
    rule: ConversionRule,
    part: Sequence[Sendable],
    *,
    recalls: int,
) -> tuple[Sequence[Sendable], Sequence[CountedPerson]]:
    """As `recall.spend_unless_recalled`, for a rule that counts people: sends at most one event of each person.

    Returns the events to send, and the new rows of people. Both are empty if nothing may be sent. Raises LeaseLost.
    """
    unchanged = recall.renew_and_compare(lease, recalls=recalls)
    events = part if unchanged else selection.read_again(rule, part, now=snapshot.now)
    division = _divide(rule, events)
    if division.counted:
        already_counted = NotSendable(State.SKIPPED, Reason.ALREADY_COUNTED)
        settle.close_unsendable(lease, {already_counted: division.counted})
    if division.waiting:
        waiting = ConversionEvent.objects.pending().filter(pk__one_of=division.waiting)
        waiting.update(
            reason=Reason.ALREADY_COUNTED, next_attempt_at=Now() + timedelta(minutes=1)
        )
    if not division.first:
        return [], []
    if not lane.spend_request(
        lease, snapshot, (event.row.pk for event in division.first)
    ):
        transaction.set_rollback(True)  # nothing is sent, so no one is counted
        return [], []
    return division.first, CountedPerson.objects.bulk_create(division.people)


def _divide(rule: ConversionRule, events: Sequence[Sendable]) -> _Division:
    people = [
        counted_person_key(event.conversion.email_sha256, rule_id=rule.pk)
        for event in events
    ]
    holders = _holders(rule, people)
    division = _Division()
    for event, person in zip(events, people, strict=True):
        pk = event.row.pk
        if person not in holders:
            holders[person] = (pk, True)
            division.people.append(CountedPerson(rule=rule, person=person, event_id=pk))
        holder, is_sent_again = holders[person]
        if holder == pk:
            division.first.append(event)
        elif is_sent_again:
            division.waiting.append(pk)
        else:
            division.counted.append(event.row)
    return division


def _holders(
    rule: ConversionRule, people: Iterable[int]
) -> dict[int, tuple[int, bool]]:
    """By person: the event in their row, and whether it is about to be sent again for the same person."""
    lead = Lead._base_manager.filter(pk=OuterRef("event__lead")).order_by()
    rows = _counted(rule, people).annotate(address=Subquery(lead.values("email")[:1]))
    holders: dict[int, tuple[int, bool]] = {}
    for person, event, state, address in rows.values_list(
        "person", "event_id", "event__state", "address"
    ):
        is_sent_again = state == State.PENDING and person in _people([rule.pk], address)
        holders[person] = (event, is_sent_again)
    return holders


def people_of(rule: ConversionRule, addresses: Iterable[str]) -> set[int]:
    """The keys of the people with these addresses. Addresses without a hash are left out."""
    return {person for address in addresses for person in _people([rule.pk], address)}


def counted_people(rule: ConversionRule, people: Collection[int]) -> set[int]:
    """Which of these people the rule has counted."""
    found: set[int] = set()
    for keys in chunks(list(people)):
        found.update(_counted(rule, keys).values_list("person", flat=True))
    return found


def people_to_count(rule: ConversionRule, addresses: Iterable[str]) -> set[int]:
    """The people with these addresses who are not counted yet, and have no open event either."""
    people = people_of(rule, addresses)
    if not people:
        return people
    is_open = Q(conversion_events__rule=rule, conversion_events__state__in=OPEN_STATES)
    addresses_of_open = Lead._base_manager.filter(is_open).values_list(
        "email", flat=True
    )
    return people - counted_people(rule, people) - people_of(rule, addresses_of_open)


def event_of_person(rule: ConversionRule, address: str) -> ConversionEvent | None:
    """The event by which the rule has counted the person with this address."""
    row = _counted(rule, people_of(rule, [address])).select_related("event").first()
    return row.event if row else None


def forget_counted_people(*, company_id: int, lead_ids: Collection[int]) -> None:
    """Delete the rows by which these leads' people are recognised, unless another lead has the address.

    Call it while the leads still have their addresses.
    """
    leads = Lead.objects.for_company(company_id)
    rules = list(
        ConversionRule._base_manager.filter(company=company_id).values_list(
            "pk", flat=True
        )
    )
    own = leads.filter(pk__in=lead_ids).values_list("email", flat=True)
    people = {person for address in own for person in _people(rules, address)}
    counted = CountedPerson.objects.filter(
        Q(event__lead__in=lead_ids) | Q(person__in=people), rule__in=rules
    )
    gone = dict(counted.values_list("person", "rule"))
    if not gone:
        return
    # Only the keys identify the person: an address may have changed since, or be written differently.
    others = (
        leads.exclude(pk__in=lead_ids).exclude(email="").values_list("email", flat=True)
    )
    for address in others.iterator():
        for person in _people(set(gone.values()), address):
            gone.pop(person, None)
    CountedPerson.objects.filter(rule__in=rules, person__in=list(gone)).delete()


def _people(rule_ids: Iterable[int], address: str | None) -> set[int]:
    """The keys of the person with this address under these rules. Empty if the address has no hash."""
    sha256 = email_sha256(address)
    if sha256 is None:
        return set()
    return {counted_person_key(sha256, rule_id=rule_id) for rule_id in rule_ids}


def _counted(rule: ConversionRule, people: Iterable[int]) -> QuerySet[CountedPerson]:
    return CountedPerson.objects.filter(rule=rule, person__in=list(people))
