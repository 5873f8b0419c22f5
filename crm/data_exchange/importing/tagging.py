"""Tags leads or deals as the rows of an import say."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from crm.data_exchange.importing.rows import JudgedRow
from crm.models import Deal, DealTag, Lead, LeadImport, LeadTag, Tag
from crm.models.tag import add_links

TAGS: Final = "tags"
# An attribute of a lead or deal. Prefetched `tags` and their lead are a reference cycle.
LISTED_TAGS: Final = "listed_tags"
LINKS: Final[dict[type[Any], tuple[type[Any], str]]] = {
    Lead: (LeadTag, "lead"),
    Deal: (DealTag, "deal"),
}


def tag_rows(
    lead_import: LeadImport,
    model: type[Lead] | type[Deal],
    column: str,
    rows: Iterable[JudgedRow],
) -> defaultdict[int, list[int]]:
    """Tag the records of these rows, which have their keys in this column.

    Returns the keys of the added links by row number. An undo removes these links: a tag may have been renamed
    by then, and one that a person has put on again stays.
    """
    tagged = [row for row in rows if TAGS in (row.news or row.values)]
    wanted = _wanted(lead_import, column, tagged) if tagged else {}
    if not wanted:
        return defaultdict(list)
    add_links(model, lead_import.company_id, wanted)
    return _keys_of_links(lead_import, model, wanted)


def _wanted(
    lead_import: LeadImport, column: str, rows: Iterable[JudgedRow]
) -> dict[tuple[int, Tag], int]:
    """The first row that wants each tag on each record."""
    known = {tag.name: tag for tag in Tag.objects.for_company(lead_import.company_id)}
    wanted: dict[tuple[int, Tag], int] = {}
    for row in rows:
        record = getattr(row, column)
        for name in (row.news or row.values)[TAGS]:
            if name in known and record:
                wanted.setdefault((record, known[name]), row.number)
    return wanted


def _keys_of_links(
    lead_import: LeadImport,
    model: type[Lead] | type[Deal],
    wanted: Mapping[tuple[int, Tag], int],
) -> defaultdict[int, list[int]]:
    """The keys of the links, by the number of the row that wanted them."""
    link, owner = LINKS[model]
    numbers = {(record, tag.pk): number for (record, tag), number in wanted.items()}
    found = link.objects.for_company(lead_import.company_id).filter(
        **{f"{owner}__in": {record for record, _ in wanted}}
    )
    links: defaultdict[int, list[int]] = defaultdict(list)
    for pk, record, tag_pk in found.values_list("pk", owner, "tag"):
        if number := numbers.get((record, tag_pk)):
            links[number].append(pk)
    return links


def new_tags_of(record: Any, names: Sequence[str]) -> list[str]:
    """Those of the tags that the record, with its `listed_tags`, doesn't have yet."""
    has = {tag.name for tag in getattr(record, LISTED_TAGS)} if names else ()
    return [name for name in names if name not in has]
