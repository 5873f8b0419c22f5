"""Writes CRM events and sends their signals."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from crm.models.change import STEPS, Change, ChangedField
from crm.models.event import CrmEvent, CrmEventKind
from crm.models.privacy_log import PrivacyChange, log_privacy_change
from crm.models.tracking.differences import differences
from crm.models.tracking.origin import Origin, already_sent, current_origin, occasion
from crm.models.tracking.recorder_sql import (
    EventTimes,
    NewChange,
    insert,
    insert_history,
)
from crm.models.tracking.snapshots import RowSnapshot, prepared_statements, snapshots
from crm.signals import (
    AlreadySent,
    crm_event_values_changing,
    crm_events_recorded,
    crm_events_taken_back,
    lead_contact_changed,
)

if TYPE_CHECKING:
    from crm.models.tracking.tracked import Tracked


def record(
    model: "type[Tracked]",
    before: Mapping[int, RowSnapshot],
    after: Mapping[int, RowSnapshot],
    *,
    using: str,
    known: Collection[tuple[str, int | None, int | None]] = (),
    times: EventTimes | None = None,
) -> None:
    """Write what differs between the two snapshots, as `Change`s and `CrmEvent`s, and send the signals.

    `known` lists events (kind, lead id, deal id) that are already recorded. `times` has those of past events.
    Unreleased CRM events that are no longer true are taken back first, and those of a deal get its new amount. Raises
    ValidationError if a row refers to another company's status, stage or lead.
    """
    _refuse_foreign_rows(model, after)
    both = {pk: (before[pk], now) for pk, now in after.items() if pk in before}
    _take_back_what_was_left(model, both.values(), using)
    _correct_values(model, both.values(), using)
    origin = current_origin()
    events = [
        _event(kind, now, origin)
        for pk, now in after.items()
        for kind in _kinds(model, before.get(pk), now)
        if _is_due(kind, now, origin, known)
    ]
    changes = list(_changes(both.values(), events, origin))
    _note_sharing(model, both.values(), using)
    contacts = [now.lead_id for was, now in both.values() if was.contact != now.contact]
    if contacts:
        lead_contact_changed.send(sender=model, lead_ids=contacts)
    if events or changes:
        # The receivers repeat their statements too.
        with prepared_statements(connections[using]):
            insert(events, changes, using, times)
            if events and not origin.history_only:
                crm_events_recorded.send(sender=model, events=events)


def record_new(
    model: "type[Tracked]",
    pks: Sequence[int],
    *,
    using: str,
    times: EventTimes | None = None,
) -> None:
    """Like `record`, for new rows. Inserts events only for the history without reading the rows, if all are of now."""
    origin = current_origin()
    is_plain = origin.action is None and origin.reinstates is None
    if origin.history_only and is_plain and not times:
        actor = origin.actor_columns
        if insert_history(model, model.created_kind, pks, actor, using) < len(pks):
            # Refuses rows that refer to another company's. A reference to a deleted row fails at the commit, as usual.
            _refuse_foreign_rows(model, snapshots(model, pks, using=using))
        for meaning, kind in model.kinds_by_meaning.items():
            insert_history(model, kind, pks, actor, using, meaning=meaning)
    else:
        after = snapshots(model, pks, using=using)
        record(model, {}, after, using=using, times=times)


def record_changes(
    model: "type[Tracked]",
    before: Mapping[int, RowSnapshot],
    after: Mapping[int, RowSnapshot],
    *,
    using: str,
) -> None:
    """Write what differs between the two snapshots only as `Change`s, which no undo of an action finds."""
    both = [(before[pk], now) for pk, now in after.items()]
    _note_sharing(model, both, using)
    if changes := list(_changes(both, [], replace(current_origin(), action=None))):
        insert([], changes, using)


def record_merge(
    *,
    kept_id: int,
    gone_id: int,
    company_id: int,
    of_leads: Collection[int],
    is_undo: bool,
) -> None:
    """Write a merge, or its undo, into the history of these leads."""
    Change.objects.bulk_create(
        Change(
            company_id=company_id,
            lead_id=lead_id,
            field=ChangedField.MERGE,
            old=str(gone_id),
            new=str(kept_id),
            is_undo=is_undo,
            **current_origin().actor_columns,
        )
        for lead_id in of_leads
    )


def record_person(
    *, deal_id: int, lead_id: int, company_id: int, is_added: bool
) -> None:
    """Write into the history of both that the lead was added to the people of the deal, or removed from them."""
    old, new = ("", str(lead_id)) if is_added else (str(lead_id), "")
    Change.objects.create(
        company_id=company_id,
        lead_id=lead_id,
        deal_id=deal_id,
        field=ChangedField.PERSON,
        old=old,
        new=new,
        **current_origin().actor_columns,
    )


def take_back(events: QuerySet[CrmEvent], *, sender: type) -> list[str]:
    """Mark these CRM events as taken back, and cancel what has not been sent. Returns a sentence for each that was."""
    return [
        sentence
        for each in take_back_with_counts(events, sender=sender)
        for sentence in each.sentences
    ]


def take_back_with_counts(
    events: QuerySet[CrmEvent], *, sender: type
) -> list[AlreadySent]:
    """Like `take_back`, but returns what has been sent as each ad platform's receiver reports it."""
    rows = list(events.order_by("pk").values_list("pk", "company_id", "occurred_at"))
    if not rows:
        return []
    pks = [pk for pk, *_ in rows]
    by_company: defaultdict[int, list[tuple[int, datetime]]] = defaultdict(list)
    for pk, company_id, occurred_at in rows:
        by_company[company_id].append((pk, occurred_at))
    for company_id, logged in by_company.items():
        log_privacy_change(
            PrivacyChange.TAKEN_BACK,
            company_id=company_id,
            rows=logged,
            using=events.db,
        )
    marked = CrmEvent._base_manager.using(events.db).filter(pk__in=pks)
    marked.update(taken_back_at=Now(), taken_back_by=current_origin().action)
    answers = crm_events_taken_back.send(
        sender=sender, company_ids=set(by_company), crm_event_ids=pks
    )
    return [answer for _, answer in answers if answer is not None]  # type: ignore[misc]


def _take_back_what_was_left(
    model: "type[Tracked]", both: Iterable[tuple[RowSnapshot, RowSnapshot]], using: str
) -> None:
    """Take back the unreleased events of rows that have left the status or stage that caused them."""
    left: defaultdict[CrmEventKind, list[RowSnapshot]] = defaultdict(list)
    for was, now in both:
        if was.meaning != now.meaning and was.meaning in model.kinds_by_meaning:
            left[model.kinds_by_meaning[was.meaning]].append(was)
    for kind, rows in left.items():
        unreleased = CrmEvent._base_manager.using(using).filter(
            _about(rows), kind=kind, release_at__gt=Now(), taken_back_at=None
        )
        sent = take_back(unreleased, sender=model)
        # `SYSTEM` is shared by all, and has no one to read it.
        if current_origin().action is not None:
            already_sent().extend(sent)


def _note_sharing(
    model: "type[Tracked]", both: Iterable[tuple[RowSnapshot, RowSnapshot]], using: str
) -> None:
    """Note in the privacy log who opted out or in: these leads, and those that were merged into them."""
    switched: defaultdict[tuple[PrivacyChange, int], list[int]] = defaultdict(list)
    for was, now in both:
        if was.contact is None or now.contact is None:
            continue
        _, was_shared = was.contact
        _, is_shared = now.contact
        if was_shared == is_shared:
            continue
        change = PrivacyChange.OPTED_IN if is_shared else PrivacyChange.OPTED_OUT
        switched[change, now.company_id].append(now.lead_id)
    for (change, company_id), pks in switched.items():
        people: QuerySet[Any] = model._base_manager.using(using).filter(
            Q(pk__in=pks) | Q(merged_into__in=pks)
        )
        log_privacy_change(
            change,
            company_id=company_id,
            rows=people.values_list("pk", "created_at"),
            using=using,
        )


def _correct_values(
    model: "type[Tracked]", both: Iterable[tuple[RowSnapshot, RowSnapshot]], using: str
) -> None:
    """Write new amounts and currencies of deals into their unreleased events: the old ones may be typing errors."""
    changed = {
        now.deal_id: now
        for was, now in both
        if (was.amount, was.currency) != (now.amount, now.currency)
    }
    if not changed:
        return
    unreleased = CrmEvent._base_manager.using(using).filter(
        deal__in=list(changed), release_at__gt=Now(), taken_back_at=None
    )
    found = list(unreleased.values_list("company", "deal").distinct())
    if found:
        crm_event_values_changing.send(
            sender=model, company_ids={company for company, _ in found}
        )
    # Events released meanwhile stay as they may have been sent.
    for _, deal_id in found:
        now = changed[deal_id]
        unreleased.filter(deal=deal_id).update(amount=now.amount, currency=now.currency)


def _about(rows: Sequence[RowSnapshot]) -> Q:
    """Selects the events about these deals, or about these leads."""
    if rows[0].deal_id:
        return Q(deal__in=[row.deal_id for row in rows])
    return Q(lead__in=[row.lead_id for row in rows], deal=None)


def _event(kind: CrmEventKind, row: RowSnapshot, origin: Origin) -> CrmEvent:
    values = {
        **_usual_values(),
        "company_id": row.company_id,
        "kind": kind,
        "lead_id": row.lead_id,
        "deal_id": row.deal_id,
        **origin.actor_columns,
        "amount": row.amount,
        "currency": row.currency,
        "action": origin.action,
        "history_only": origin.history_only,
        "public_id": uuid.uuid4(),
    }
    # By position: by name, Django takes four times as long.
    return CrmEvent(*values.values())


@cache
def _usual_values() -> dict[str, Any]:
    """What a new CRM event has in its columns, in their order."""
    return {
        field.attname: field.get_default() for field in CrmEvent._meta.concrete_fields
    }


def _changes(
    both: Iterable[tuple[RowSnapshot, RowSnapshot]],
    events: Sequence[CrmEvent],
    origin: Origin,
) -> Iterator[NewChange]:
    caused = {(event.lead_id, event.deal_id): event.public_id for event in events}
    for was, now in both:
        event = caused.get((now.lead_id, now.deal_id))
        for changed, old, new in differences(was, now):
            yield NewChange(
                company_id=now.company_id,
                lead_id=now.lead_id,
                deal_id=now.deal_id,
                field=changed,
                old=old,
                new=new,
                **origin.actor_columns,
                action=origin.action,
                is_undo=origin.reinstates is not None,
                caused=event if changed in STEPS else None,
            )


def _refuse_foreign_rows(
    model: "type[Tracked]", after: Mapping[int, RowSnapshot]
) -> None:
    for now in after.values():
        if now.owners - {now.company_id}:
            raise ValidationError(
                f"This {model._meta.verbose_name} refers to another company's row."
            )


def _kinds(
    model: "type[Tracked]", before: RowSnapshot | None, after: RowSnapshot
) -> Iterator[CrmEventKind]:
    if before is None:
        yield model.created_kind
    elif before.meaning == after.meaning:
        return
    if after.meaning in model.kinds_by_meaning:
        yield model.kinds_by_meaning[after.meaning]


def _is_due(
    kind: CrmEventKind,
    row: RowSnapshot,
    origin: Origin,
    known: Collection[tuple[str, int | None, int | None]],
) -> bool:
    """True unless the event is known, or an undo brings the row back to a step without bringing back its event."""
    if (kind, row.lead_id, row.deal_id) in known:
        return False
    if origin.reinstates is None:
        return True
    return occasion(kind, row.lead_id, row.deal_id) in origin.reinstates
