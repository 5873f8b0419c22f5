"""Writes CRM events and sends their signals."""

import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from operator import attrgetter
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import connections

from crm.models.event import CrmEvent, CrmEventKind
from crm.models.people import ApiKey, User
from crm.models.snapshots import CHUNK, RowSnapshot, prepared_statements
from crm.signals import crm_events_recorded, lead_contact_changed

if TYPE_CHECKING:
    from crm.models.tracking import Tracked

_actor: ContextVar[User | ApiKey | None] = ContextVar("actor", default=None)


@contextmanager
def acting_as(actor: User | ApiKey | None) -> Iterator[None]:
    """Attribute every change inside this block to a user or an API key."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def act_as(actor: User | ApiKey) -> None:
    """Set the actor for the rest of the current `acting_as` block, once it is known."""
    _actor.set(actor)


def current_actor() -> User | ApiKey | None:
    """The current actor; None for the operator's commands and automatic changes."""
    return _actor.get()


def record(
    model: "type[Tracked]",
    before: Mapping[int, RowSnapshot],
    after: Mapping[int, RowSnapshot],
    *,
    using: str,
    known: Collection[tuple[str, int | None, int | None]] = (),
) -> None:
    """Write a `CrmEvent` for each difference between the two snapshots, and send the signals.

    `known` lists events (kind, lead id, deal id) that are already recorded. Raises ValidationError if a row refers to
    another company's status, stage or lead.
    """
    _refuse_foreign_rows(model, after)
    actor = _actor.get()
    user_id = actor.pk if isinstance(actor, User) else None
    key_id = actor.pk if isinstance(actor, ApiKey) else None
    events = [
        CrmEvent(
            company_id=now.company_id,
            kind=kind,
            lead_id=now.lead_id,
            deal_id=now.deal_id,
            actor_id=user_id,
            api_key_id=key_id,
            amount=now.amount,
            currency=now.currency,
        )
        for pk, now in after.items()
        for kind in _kinds(model, before.get(pk), now)
        if (kind, now.lead_id, now.deal_id) not in known
    ]
    changed = {
        now.lead_id: before[pk] for pk, now in after.items() if pk in before and before[pk].contact != now.contact
    }
    if changed:
        lead_contact_changed.send(sender=model, lead_ids=list(changed))
    if events:
        with prepared_statements(connections[using]):  # the receivers repeat their statements too
            _insert(events, using)
            crm_events_recorded.send(sender=model, events=events)


def _refuse_foreign_rows(model: "type[Tracked]", after: Mapping[int, RowSnapshot]) -> None:
    for now in after.values():
        if now.owners - {now.company_id}:
            raise ValidationError(f"This {model._meta.verbose_name} refers to another company's row.")


def _kinds(model: "type[Tracked]", before: RowSnapshot | None, after: RowSnapshot) -> Iterator[CrmEventKind]:
    if before is None:
        yield model.created_kind
    if (before is None or before.meaning != after.meaning) and after.meaning in model.kinds_by_meaning:
        yield model.kinds_by_meaning[after.meaning]


# The SQL text never varies: one statement for the single event of most saves, one for many with an array per column.
INSERT = """
INSERT INTO crm_crmevent (company_id, kind, lead_id, deal_id, actor_id, api_key_id, amount, currency, public_id)
{} RETURNING id, public_id
"""
INSERT_ONE = INSERT.format("VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)")
INSERT_MANY = INSERT.format(
    "SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],"
    " %s::numeric[], %s::text[], %s::uuid[])"
)
INSERT_VALUES = attrgetter(
    "company_id", "kind", "lead_id", "deal_id", "actor_id", "api_key_id", "amount", "currency", "public_id"
)


def _insert(events: list[CrmEvent], using: str) -> None:
    connection = connections[using]
    if connection.vendor != "postgresql":
        CrmEvent.objects.using(using).bulk_create(events, batch_size=CHUNK)
        return
    rows = list(map(INSERT_VALUES, events))
    with connection.cursor() as cursor:
        if len(rows) == 1:
            cursor.execute(INSERT_ONE, rows[0])
            (events[0].pk, _) = cursor.fetchone()
            return
        cursor.execute(INSERT_MANY, [list(column) for column in zip(*rows, strict=True)])
        keys: dict[uuid.UUID, int] = {public_id: pk for pk, public_id in cursor.fetchall()}
    for event in events:
        event.pk = keys[event.public_id]
