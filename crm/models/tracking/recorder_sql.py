"""Inserts CRM events and changes: on PostgreSQL in one statement, so the history costs no extra round trip."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db import connections

from crm.models.event import CrmEvent
from crm.models.many_rows import insert_rows, new_keys

if TYPE_CHECKING:
    from crm.models.tracking.tracked import Tracked


# When past events happened, by their kinds and the ids of their deals. All others happen now.
EventTimes = Mapping[tuple[str, int | None], datetime]


class NewChange(NamedTuple):
    """The values of a `Change`, in the order of `OF_CHANGE`. It is made in a twentieth of a model's time."""

    company_id: int
    lead_id: int
    deal_id: int | None
    field: str
    old: str
    new: str
    actor_id: int | None
    api_key_id: int | None
    action: uuid.UUID | None
    is_undo: bool
    caused: uuid.UUID | None


# PostgreSQL: one statement for everything that a save changes. Its text hardly varies: either VALUES, for the single
# event and the single change of most saves, or an array per column for many, for which psycopg takes longer.
COLUMNS: Final = (
    ("company_id", "bigint"),
    ("kind", "text"),
    ("lead_id", "bigint"),
    ("deal_id", "bigint"),
    ("actor_id", "bigint"),
    ("api_key_id", "bigint"),
    ("amount", "numeric"),
    ("currency", "text"),
    ("public_id", "uuid"),
    ("action", "uuid"),
    ("history_only", "boolean"),
)
OF_CHANGE: Final = tuple(
    zip(
        NewChange._fields,
        (
            "bigint",
            "bigint",
            "bigint",
            "text",
            "text",
            "text",
            "bigint",
            "bigint",
            "uuid",
            "boolean",
            "uuid",
        ),
        strict=True,
    )
)
INSERT: Final = """
INSERT INTO crm_crmevent ({names}, release_at)
SELECT {names}, CASE WHEN action IS NOT NULL THEN statement_timestamp() + (
  SELECT make_interval(secs => company.grace_seconds) FROM crm_company company WHERE company.id = company_id
) END FROM {rows} AS new ({names}) RETURNING id, public_id
"""
# Without a grace period: the statement above prepares to read the company, even where it then reads nothing.
RELEASED: Final = "INSERT INTO crm_crmevent ({names}) SELECT * FROM {rows} AS new RETURNING id, public_id"
# The events of new rows, inserted without reading these into Python. PostgreSQL has to find the rows first, by their
# keys. Where it expects few steps, it would begin with those of all companies, and look through each company's rows.
HISTORY: Final = """
WITH new AS MATERIALIZED (SELECT {columns} FROM {table} WHERE id = ANY(%s::bigint[]))
INSERT INTO crm_crmevent
  (company_id, kind, lead_id, deal_id, amount, currency, actor_id, api_key_id, public_id, history_only)
SELECT new.company_id, %s, {values}, %s, %s, gen_random_uuid(), true
FROM new JOIN {steps} AS step ON (step.company_id, step.id) = (new.company_id, new.{step}_id) {and_lead}
{with_meaning} ORDER BY new.id
"""
LEAD_COLUMNS: Final = "id, company_id, status_id"
DEAL_COLUMNS: Final = "id, company_id, stage_id, lead_id, amount, currency"
OF_LEAD: Final = "new.id, NULL, NULL, ''"
OF_DEAL: Final = "new.lead_id, new.id, new.amount, new.currency"
# Of deals.
AND_LEAD: Final = "JOIN crm_lead AS lead ON (lead.company_id, lead.id) = (new.company_id, new.lead_id)"
CHANGES: Final = "INSERT INTO crm_change ({names}) SELECT * FROM {rows}"


def _names(columns: Sequence[tuple[str, str]]) -> str:
    return ", ".join(name for name, _ in columns)


def _one(columns: Sequence[tuple[str, str]]) -> str:
    return f"(VALUES ({', '.join(f'%s::{kind}' for _, kind in columns)}))"


def _many(columns: Sequence[tuple[str, str]]) -> str:
    return f"unnest({', '.join(f'%s::{kind}[]' for _, kind in columns)})"


# From so many CRM events on, COPY is faster, although it takes a second statement.
MANY: Final = 100
INSERT_ONE: Final = INSERT.format(names=_names(COLUMNS), rows=_one(COLUMNS))
INSERT_RELEASED: Final = RELEASED.format(names=_names(COLUMNS), rows=_one(COLUMNS))
INSERT_MANY: Final = INSERT.format(names=_names(COLUMNS), rows=_many(COLUMNS))
INSERT_CHANGE: Final = CHANGES.format(
    names=_names(OF_CHANGE), rows=f"{_one(OF_CHANGE)} AS new"
)
INSERT_CHANGES: Final = CHANGES.format(names=_names(OF_CHANGE), rows=_many(OF_CHANGE))
EVENT_VALUES: Final = attrgetter(*(name for name, _ in COLUMNS))


def insert(
    events: Sequence[CrmEvent],
    changes: Sequence[NewChange],
    using: str,
    times: EventTimes | None = None,
) -> None:
    """Insert the changes and the CRM events, and set the keys of the CRM events."""
    if times:
        _copy_events(events, using, times)
        events = []
    if len(events) >= MANY and all(event.action is None for event in events):
        _copy_events(events, using)
        events = []
    if events:
        _insert_events(events, changes, using)
    elif changes:
        with connections[using].cursor() as cursor:
            cursor.execute(*_statement(INSERT_CHANGE, INSERT_CHANGES, changes))


def _insert_events(
    events: Sequence[CrmEvent], changes: Sequence[NewChange], using: str
) -> None:
    one = INSERT_RELEASED if events[0].action is None else INSERT_ONE
    rows = list(map(EVENT_VALUES, events))
    statement, parameters = _statement(one, INSERT_MANY, rows)
    if changes:
        of_changes, values = _statement(INSERT_CHANGE, INSERT_CHANGES, changes)
        statement = f"WITH change AS ({of_changes}) {statement}"
        parameters = [*values, *parameters]
    with connections[using].cursor() as cursor:
        cursor.execute(statement, parameters)
        keys = {public_id: pk for pk, public_id in cursor.fetchall()}
    for event in events:
        event.pk = keys[event.public_id]


def _statement(
    one: str, many: str, rows: Sequence[Sequence[Any]]
) -> tuple[str, Sequence[Any]]:
    """Returns the statement for a single row, or that for many, and its parameters."""
    if len(rows) == 1:
        return one, rows[0]
    return many, [list(column) for column in zip(*rows, strict=True)]


def _copy_events(
    events: Sequence[CrmEvent], using: str, times: EventTimes | None = None
) -> None:
    """Insert CRM events without a grace period, which need nothing from their company's row."""
    keys = new_keys(CrmEvent, len(events), using=using)
    for event, key in zip(events, keys, strict=True):
        event.pk = key
    names = ["id", *(name for name, _ in COLUMNS)]
    rows = ((event.pk, *EVENT_VALUES(event)) for event in events)
    if not times:
        insert_rows(CrmEvent, names, rows, using=using)
        return
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT now()")
        (now,) = cursor.fetchone()
    happened = [times.get((event.kind, event.deal_id), now) for event in events]
    dated = ((*row, time) for row, time in zip(rows, happened, strict=True))
    insert_rows(CrmEvent, [*names, "occurred_at"], dated, using=using)


def insert_history(
    model: "type[Tracked]",
    kind: str,
    pks: Sequence[int],
    actor: Mapping[str, int | None],
    using: str,
    *,
    meaning: str | None = None,
) -> int:
    """Insert an event for each of these new leads or deals, or for those whose step has this meaning. Returns how many.

    They are never sent to an ad platform. A row that refers to another company's row gets none. PostgreSQL only.
    """
    is_deal = model.step == "stage"
    statement = HISTORY.format(
        columns=DEAL_COLUMNS if is_deal else LEAD_COLUMNS,
        table=model._meta.db_table,
        values=OF_DEAL if is_deal else OF_LEAD,
        and_lead=AND_LEAD if is_deal else "",
        steps=model.step_model()._meta.db_table,
        step=model.step,
        with_meaning="WHERE step.meaning = %s" if meaning else "",
    )
    # As text, which psycopg writes in a fraction of the time.
    keys = f"{{{','.join(map(str, pks))}}}"
    parameters = [keys, kind, actor["actor_id"], actor["api_key_id"]]
    if meaning:
        parameters.append(meaning)
    with connections[using].cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)
