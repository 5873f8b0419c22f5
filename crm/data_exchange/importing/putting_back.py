"""Locks the records that an undo is about, and empties the fields that the import filled."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from crm.data_exchange.importing.custom_columns import value_of
from crm.data_exchange.importing.tagging import LINKS, TAGS
from crm.lists.columns import CUSTOM
from crm.models import Deal, Lead, LeadImportRow, RowUndo
from crm.models.custom_lookups import with_keys_set

ValueBefore = Callable[[str], Any]
AsStored = Callable[[Any], Any]


def lock_records(
    model: type[Lead] | type[Deal], pks: Sequence[int], work: Sequence[type[Any]]
) -> dict[int, Any]:
    """These leads or deals by key, locked, each with `is_touched`: True if one of the models `work` has a row of it."""
    _, column = LINKS[model]
    rows = (Exists(each.objects.filter(**{column: OuterRef("pk")})) for each in work)
    locked = model.objects.select_for_update(no_key=True, of=("self",))
    records = locked.filter(pk__in=pks).order_by("pk")
    is_touched = reduce(or_, map(Q, rows))
    return {each.pk: each for each in records.annotate(is_touched=is_touched)}


def put_back(
    model: type[Lead] | type[Deal],
    pairs: Sequence[tuple[LeadImportRow, Any]],
    value_before: ValueBefore,
    as_stored: AsStored = lambda value: value,
) -> None:
    """Empty the fields of each row's record that still have the import's values, and remove the tags that it added.

    `value_before` returns the value of a built-in field before it was filled, and `as_stored` a value as a row's
    `filled` has it.
    """
    link, column = LINKS[model]
    added = {pk for row, _ in pairs for pk in row.filled.get(TAGS, ())}
    records = {record.pk for _, record in pairs}
    of_these = link.objects.filter(**{"pk__in": added, f"{column}__in": records})
    links = set(of_these.values_list("pk", flat=True))
    by_fields: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, record in pairs:
        unchanged = _unchanged(row, record, as_stored)
        others = row.filled.keys() - {TAGS, *unchanged}
        if not others and links.issuperset(row.filled.get(TAGS, ())):
            row.undo = RowUndo.PUT_BACK
        if unchanged:
            by_fields[unchanged].append(record.pk)
    for names, pks in by_fields.items():
        model.objects.filter(pk__in=pks).update(
            **_emptied(names, value_before), updated_at=Now()
        )
    link.objects.filter(pk__in=links).delete()


def _emptied(names: Sequence[str], value_before: ValueBefore) -> dict[str, Any]:
    """The values of these fields before the import filled them."""
    old = {name: value_before(name) for name in names if not name.startswith(CUSTOM)}
    if keys := [name.removeprefix(CUSTOM) for name in names if name.startswith(CUSTOM)]:
        old["custom"] = with_keys_set(dict.fromkeys(keys))
    return old


def _unchanged(row: LeadImportRow, record: Any, as_stored: AsStored) -> tuple[str, ...]:
    """The fields of the record that still have the values of the row."""
    fields: Mapping[str, Any] = {
        name: value for name, value in row.filled.items() if name != TAGS
    }
    return tuple(
        name
        for name, value in fields.items()
        if as_stored(value_of(record, name)) == value
    )
