"""Writing CRM events, and telling the listeners of them."""

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
    """Name the person, or the script's key, behind every change made inside this block."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def act_as(actor: User | ApiKey) -> None:
    """Name who acts, for what is left of the `acting_as` block that this is in: who it is was not known before."""
    _actor.set(actor)


def current_actor() -> User | ApiKey | None:
    """Who acts now; None for the operator's commands and for what the system does by itself."""
    return _actor.get()


def record(
    model: "type[Tracked]",
    before: Mapping[int, RowSnapshot],
    after: Mapping[int, RowSnapshot],
    *,
    using: str,
    known: Collection[tuple[str, int | None, int | None]] = (),
) -> None:
    """Write a `CrmEvent` for all that happened between the two, and tell the listeners.

    `known` lists events (kind, lead id, deal id) that are on record already. Raises ValidationError where a row
    refers to another company's status, stage or lead.
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
        for kind in _what_happened(model, before.get(pk), now)
        if (kind, now.lead_id, now.deal_id) not in known
    ]
    changed = {
        now.lead_id: before[pk] for pk, now in after.items() if pk in before and before[pk].contact != now.contact
    }
    if changed:
        lead_contact_changed.send(sender=model, lead_ids=list(changed))
    if events:
        with prepared_statements(connections[using]):  # what the listeners ask is the same with each save, too
            _insert(events, using)
            crm_events_recorded.send(sender=model, events=events)


def _refuse_foreign_rows(model: "type[Tracked]", after: Mapping[int, RowSnapshot]) -> None:
    for now in after.values():
        if now.owners - {now.company_id}:
            raise ValidationError(f"This {model._meta.verbose_name} refers to a row of another company.")


def _what_happened(model: "type[Tracked]", before: RowSnapshot | None, after: RowSnapshot) -> Iterator[CrmEventKind]:
    if before is None:
        yield model.created_kind
    if (before is None or before.meaning != after.meaning) and after.meaning in model.kinds_by_meaning:
        yield model.kinds_by_meaning[after.meaning]


# Statements whose text is always the same: for the one event of most saves, and for many, as one array a column.
INSERT = """
INSERT INTO crm_crmevent (company_id, kind, lead_id, deal_id, actor_id, api_key_id, amount, currency, public_id)
{} RETURNING id, public_id
"""
INSERT_ONE = INSERT.format("VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)")
INSERT_MANY = INSERT.format(
    "SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],"
    " %s::numeric[], %s::text[], %s::uuid[])"
)
IN_ORDER = attrgetter(
    "company_id", "kind", "lead_id", "deal_id", "actor_id", "api_key_id", "amount", "currency", "public_id"
)


def _insert(events: list[CrmEvent], using: str) -> None:
    connection = connections[using]
    if connection.vendor != "postgresql":
        CrmEvent.objects.using(using).bulk_create(events, batch_size=CHUNK)
        return
    rows = list(map(IN_ORDER, events))
    with connection.cursor() as cursor:
        if len(rows) == 1:
            cursor.execute(INSERT_ONE, rows[0])
            (events[0].pk, _) = cursor.fetchone()
            return
        cursor.execute(INSERT_MANY, [list(column) for column in zip(*rows, strict=True)])
        keys: dict[uuid.UUID, int] = {public_id: pk for pk, public_id in cursor.fetchall()}
    for event in events:
        event.pk = keys[event.public_id]
