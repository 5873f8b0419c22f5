"""Compares our books with the receiver's, and says in words what is broken (invariants I1 to I9, and I12).

I10, the quiet logs, is for the tests that have logs: see `World.complaints`.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from capi.linkedin.identity import email_sha256
from capi.linkedin.sandbox.request_log import Entry
from capi.models import Attempt, Connection, ConversionEvent, ConversionRule
from capi.models.choices import OPEN_STATES, Frequency, Reason, State
from capi.models.token import unseal
from crm.models import CrmEvent, Lead

Row = dict[str, Any]


@dataclass(frozen=True)
class Allowed:
    """What the fault of a test explains. By default nothing."""

    # Requests that LinkedIn accepted, but whose answer the fault may have hidden.
    hidden_answers: int = 0
    edits: bool = False  # addresses or rules were edited between two sends of one event
    # Rules came, went or were switched, so the test must check "one for each rule".
    rule_changes: bool = False
    open_events: bool = False  # something is held on purpose
    # Other final states than `accepted` for an event that LinkedIn accepted.
    endings: Collection[str] = ()
    # Further fingerprints, by company.
    tokens: Mapping[int, set[str]] = field(default_factory=dict)


def broken(entries: Sequence[Entry], allowed: Allowed | None = None) -> list[str]:
    """A sentence for each thing that does not hold. Empty if all is well."""
    allowed = allowed or Allowed()
    rows = {row["event_id"]: row for row in _rows()}
    return [
        *_complete(allowed),
        *_known(entries, rows),
        *_agreed(entries, rows, allowed),
        *_identical(entries, allowed),
        *_ended(rows, allowed),
        *_bounded(entries, allowed),
        *_isolated(entries, rows, allowed),
        *_secret(entries),
    ]


def taken_elements(entry: Entry) -> list[dict[str, Any]]:
    """The elements that this answer plainly says were accepted, whether or not the answer arrived."""
    if entry.status not in (200, 201):
        return []
    if not entry.batch and "elements" not in entry.answer:
        return entry.elements if entry.status == 201 or not entry.answer.strip() else []
    try:
        statuses = [
            element["status"] for element in json.loads(entry.answer)["elements"]
        ]
        pairs = list(zip(entry.elements, statuses, strict=True))
    except (ValueError, TypeError, KeyError, RecursionError):
        return []  # a scripted answer that says nothing
    if not all(type(status) is int and 100 <= status <= 599 for status in statuses):
        return []
    return [element for element, status in pairs if status in (200, 201)]


def _rows() -> Iterable[Row]:
    events = ConversionEvent.objects.annotate(
        linkedin_id=F("rule__linkedin_id"),
        earlier=Count("earlier_attempts"),
        rule_company=F("rule__company_id"),
    )
    # If two events have the same id, the older has passed it on to the younger: see `capi.delivery.deduplication`.
    return events.order_by("pk").values(
        "event_id", "company_id", "rule_company", "linkedin_id", "state", "attempts", "earlier", "last_attempt_id",
        "next_attempt_at", "settled_at", "is_test",
    )  # fmt: skip


def _complete(allowed: Allowed) -> Iterable[str]:
    """I1: each change has one event for each rule of its kind."""
    if allowed.rule_changes:
        return
    planned = Counter(
        ConversionEvent.objects.filter(is_test=False).values_list(
            "crm_event_id", "rule_id"
        )
    )
    rules = defaultdict(list)
    for rule in ConversionRule.objects.active():
        rules[rule.company_id, rule.crm_event].append(rule.pk)
    changes = CrmEvent.objects.values_list("pk", "company_id", "kind")
    expected = Counter(
        (pk, rule) for pk, company, kind in changes for rule in rules[company, kind]
    )
    if planned != expected:
        missing, surplus = expected - planned, planned - expected
        yield f"I1: {len(missing)} conversion events are missing, {len(surplus)} are there without cause."


def _known(entries: Sequence[Entry], rows: Mapping[str, Row]) -> Iterable[str]:
    """I2, I3: LinkedIn holds no event that we don't know."""
    strangers = {
        element["eventId"] for entry in entries for element in entry.elements
    } - rows.keys()
    if strangers:
        yield f"I2: LinkedIn was sent {len(strangers)} events that do not exist, such as {min(strangers)}."


def _agreed(
    entries: Sequence[Entry], rows: Mapping[str, Row], allowed: Allowed
) -> Iterable[str]:
    """I3: accepted here is accepted there, and the other way round."""
    taken = {
        element["eventId"] for entry in entries for element in taken_elements(entry)
    }
    ours = {
        event_id for event_id, row in rows.items() if row["state"] == State.ACCEPTED
    }
    if ours - taken:
        yield f"I3: {len(ours - taken)} events are accepted here and were never accepted by LinkedIn."
    good = {State.ACCEPTED, *allowed.endings} | (
        set(OPEN_STATES) if allowed.open_events else set()
    )
    lost = {
        event_id
        for event_id in taken & rows.keys()
        if rows[event_id]["state"] not in good
    }
    if lost:
        states = Counter(rows[event_id]["state"] for event_id in lost)
        yield f"I3: LinkedIn accepted {len(lost)} events that stand here as {dict(states)}."


def _identical(entries: Sequence[Entry], allowed: Allowed) -> Iterable[str]:
    """I4: an event goes out with the same content each time."""
    sent: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries:
        for element in entry.elements:
            sent[element["eventId"]].add(json.dumps(element))
    changed = [event_id for event_id, contents in sent.items() if len(contents) > 1]
    if changed and not allowed.edits:
        yield f"I4: {len(changed)} events changed between two sends, such as {changed[0]}."


def _ended(rows: Mapping[str, Row], allowed: Allowed) -> Iterable[str]:
    """I5: one end for each event, attempts without a gap, no lease left."""
    still_open = [row for row in rows.values() if row["state"] in OPEN_STATES]
    if still_open and not allowed.open_events:
        yield f"I5: {len(still_open)} events have no end: {dict(Counter(row['state'] for row in still_open))}."
    if any(
        (row["settled_at"] is None) != (row["state"] in OPEN_STATES)
        for row in rows.values()
    ):
        yield "I5: an end without its time, or a time without an end."
    if any(
        (row["next_attempt_at"] is None) != (row["state"] not in OPEN_STATES)
        for row in rows.values()
    ):
        yield "I5: an event that has ended is due, or an open one never will be."
    linked = {
        event_id: row["earlier"] + (row["last_attempt_id"] is not None)
        for event_id, row in rows.items()
    }
    if any(row["attempts"] > linked[event_id] for event_id, row in rows.items()):
        yield "I5: an event counts more attempts than are in the log."
    if any(
        row["state"] == State.ACCEPTED and row["attempts"] < 1 for row in rows.values()
    ):
        yield "I5: an accepted event without an attempt."
    leases = leased_lanes().count()
    if leases:
        yield f"I5: {leases} lanes are still leased."


def leased_lanes() -> QuerySet[Connection]:
    """The lanes with a lease. A killed worker's lease lapses automatically, and no longer counts then."""
    return Connection.objects.filter(leased_until__gte=Now())


def _bounded(entries: Sequence[Entry], allowed: Allowed) -> Iterable[str]:
    """I6: extra acceptances only where a fault hid the answer; and our log holds no request that was never made."""
    answered = Counter((entry.status, len(entry.elements)) for entry in entries)
    logged = Counter(
        Attempt.objects.exclude(http_status=None).values_list(
            "http_status", "event_count"
        )
    )
    if logged - answered:
        yield f"I6: the log holds answers that LinkedIn never gave: {dict(logged - answered)}."
    requests = [len(taken) for entry in entries if (taken := taken_elements(entry))]
    known = sum(count for (status, _), count in logged.items() if 200 <= status < 300)
    if len(requests) - known > allowed.hidden_answers:
        yield f"I6: {len(requests) - known} accepted requests are not in the log; {allowed.hidden_answers} may be."
    extras = extra_acceptances(entries)
    bound = sum(sorted(requests, reverse=True)[: allowed.hidden_answers])
    if extras > bound:
        yield f"I6: {extras} extra acceptances; the fault explains {bound}."


def extra_acceptances(entries: Sequence[Entry]) -> int:
    """How many times LinkedIn accepted what it had accepted before."""
    taken = Counter(
        element["eventId"] for entry in entries for element in taken_elements(entry)
    )
    return taken.total() - len(taken)


def _isolated(
    entries: Sequence[Entry], rows: Mapping[str, Row], allowed: Allowed
) -> Iterable[str]:
    """I9: a request holds one company's events of one rule, and goes with that company's token."""
    if any(row["company_id"] != row["rule_company"] for row in rows.values()):
        yield "I9: an event of one company for the rule of another."
    tokens = _fingerprints()
    for entry in entries:
        companies = {
            rows[element["eventId"]]["company_id"]
            for element in entry.elements
            if element["eventId"] in rows
        }
        rules = {element["conversion"] for element in entry.elements}
        if len(companies) > 1 or len(rules) > 1:
            yield f"I9: request {entry.number} holds events of companies {companies} and rules {rules}."
        for company in companies:
            if entry.token not in tokens[company] | allowed.tokens.get(company, set()):
                yield f"I9: request {entry.number} for company {company} went with another token."


def fingerprint(token: str) -> str:
    """A token's mark in the ledger."""
    return hashlib.sha256(token.encode()).hexdigest()[:12]


def _fingerprints() -> Mapping[int, set[str]]:
    sealed = Connection.objects.exclude(sealed_token="").values_list(
        "company_id", "sealed_token"
    )
    found: defaultdict[int, set[str]] = defaultdict(set)
    for company, text in sealed:
        found[company].add(fingerprint(unseal(company_id=company, sealed=text)))
    return found


def _secret(entries: Sequence[Entry]) -> Iterable[str]:
    """I8: no address on the wire, and neither address nor token in what we keep."""
    if any("@" in json.dumps(entry.elements) + entry.text for entry in entries):
        yield "I8: an address was sent."
    kept = Attempt.objects.values_list("message", "code")
    if any("@example" in text or "AQ" in text for texts in kept for text in texts):
        yield "I8: an address or a token in the log of attempts."


def counted_twice() -> list[tuple[int, int]]:
    """I12: each rule that counts once, with a lead or deal that has two accepted events."""
    accepted = ConversionEvent.objects.filter(
        state=State.ACCEPTED, rule__frequency=Frequency.ONCE, is_test=False
    )
    accepted = accepted.filter(lead__isnull=False).annotate(
        key=Coalesce("deal_id", "lead_id")
    )
    counts = Counter(accepted.values_list("rule", "key"))
    return [key for key, count in counts.items() if count > 1]


def taken_under_two_ids(entries: Sequence[Entry]) -> list[tuple[int, int]]:
    """I12: each rule that counts once, with a lead or deal for which LinkedIn accepted two event ids."""
    events = ConversionEvent.objects.filter(
        rule__frequency=Frequency.ONCE, is_test=False, lead__isnull=False
    )
    keyed = events.annotate(key=Coalesce("deal_id", "lead_id"))
    key_of = {
        event_id: (rule, key)
        for event_id, rule, key in keyed.values_list("event_id", "rule", "key")
    }
    taken = {
        element["eventId"] for entry in entries for element in taken_elements(entry)
    }
    counts = Counter(key_of[event_id] for event_id in taken & key_of.keys())
    return [key for key, count in counts.items() if count > 1]


def people_counted_twice(entries: Sequence[Entry]) -> set[str]:
    """I12: the hashes of people for whom LinkedIn accepted two events of a rule that counts each person once."""
    events = ConversionEvent.objects.filter(
        rule__frequency=Frequency.PER_PERSON, is_test=False
    )
    rule_of = dict(events.values_list("event_id", "rule"))
    taken: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
    for element in (element for entry in entries for element in taken_elements(entry)):
        if element["eventId"] in rule_of:
            taken[rule_of[element["eventId"]], _sha256(element)].add(element["eventId"])
    return {sha256 for (_, sha256), event_ids in taken.items() if len(event_ids) > 1}


def hashes_of(lead: Lead, entries: Sequence[Entry]) -> set[str]:
    """The hashes by which LinkedIn knows or would know this lead: that of its address, and those sent for it."""
    event_ids = set(
        ConversionEvent.objects.filter(lead=lead).values_list("event_id", flat=True)
    )
    elements = (element for entry in entries for element in entry.elements)
    sent = {_sha256(element) for element in elements if element["eventId"] in event_ids}
    return sent | {email_sha256(lead.email) or ""}


def _sha256(element: Mapping[str, Any]) -> str:
    return str(element["user"]["userIds"][0]["idValue"])


def skipped_for_nothing() -> list[int]:
    """I12: the events that were skipped as duplicates, although all others with their key were taken back."""
    others = ConversionEvent.objects.filter(
        Q(crm_event__taken_back_at=None) | Q(state=State.ACCEPTED),
        rule=OuterRef("rule"), lead=OuterRef("lead"), is_test=False,
    ).exclude(pk=OuterRef("pk"))  # fmt: skip
    skipped = ConversionEvent.objects.filter(
        ~Exists(others), state=State.SKIPPED, reason=Reason.ALREADY_COUNTED, crm_event__taken_back_at=None,
        rule__frequency=Frequency.ONCE, rule__deleted_at=None, lead__isnull=False,
    )  # fmt: skip
    return list(skipped.values_list("pk", flat=True))
