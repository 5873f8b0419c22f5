"""Writes what was decided about the rows of a chunk: new leads, what is added to known ones, and the rows."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from django.db import DEFAULT_DB_ALIAS
from django.db.models.functions import Now

from crm.importing.custom_columns import as_columns, column_names
from crm.importing.judging import JUDGEMENT, JudgedRow
from crm.importing.matching import SHARED, TAGS
from crm.models import Lead, LeadImport, LeadImportRow, LeadTag, RowOutcome, Tag, many_rows
from crm.models.recorder import acting_as
from crm.models.tag import add_links


def write(lead_import: LeadImport, judged: Sequence[JudgedRow], *, keys: Sequence[int] | None = None) -> None:
    """Add the leads of these rows, or fill those that they are about, and write the rows where they have changed.

    New leads get these `keys`, or else the next ones.
    """
    new = [row for row in judged if row.outcome == RowOutcome.NEW]
    updates = [row for row in judged if row.outcome == RowOutcome.UPDATE]
    with acting_as(lead_import.author, history_only=not lead_import.tells_platforms):
        leads = {**_add(new, lead_import, keys), **_fill(updates, lead_import)}
    save_rows(lead_import, judged, leads)


def save_rows(
    lead_import: LeadImport, judged: Sequence[JudgedRow], leads: Mapping[int, int] = MappingProxyType({})
) -> None:
    """Write the judgement on rows where it has changed, and the leads of rows. Most rows of a run have but a lead.

    Of a row that an erasure has emptied since it was read, nothing is kept of what it said.
    """
    changed = {row.pk: row.judgement for row in judged if row.has_changed}
    many_rows.update_rows(LeadImportRow, JUDGEMENT, changed, using=DEFAULT_DB_ALIAS)
    many_rows.update_rows(LeadImportRow, ["lead"], {pk: [lead] for pk, lead in leads.items()}, using=DEFAULT_DB_ALIAS)
    if changed:
        own = LeadImportRow.objects.for_company(lead_import.company_id).filter(lead_import=lead_import)
        these = own.filter(number__range=(judged[0].number, judged[-1].number))
        these.filter(cells=[]).update(key="", filled={})


def _add(judged: Sequence[JudgedRow], lead_import: LeadImport, keys: Sequence[int] | None) -> dict[int, int]:
    """Add the leads of these rows. Returns their keys, by those of the rows."""
    template = Lead(company=lead_import.company, owner_id=lead_import.owner_id)
    keys = Lead.objects.insert_like(template, [as_columns(row.values) for row in judged], keys=keys)
    leads = {row.pk: key for row, key in zip(judged, keys, strict=True)}
    _tag([row for row in judged if TAGS in row.values], leads, lead_import)
    return leads


def _tag(judged: Sequence[JudgedRow], leads: Mapping[int, int], lead_import: LeadImport) -> defaultdict[int, list[int]]:
    """Put their tags on the leads of these rows. Returns the keys of the links that each row, by number, has added.

    An undo takes those off: a tag may have another name by then, and one that was put on again is somebody's own.
    """
    known = {tag.name: tag for tag in Tag.objects.for_company(lead_import.company_id)} if judged else {}
    added: dict[tuple[int, Tag], int] = {}
    for row in judged:
        for name in (row.news or row.values)[TAGS]:
            if name in known:
                added.setdefault((leads[row.pk], known[name]), row.number)
    links: defaultdict[int, list[int]] = defaultdict(list)
    if not added:
        return links
    add_links(Lead, lead_import.company_id, added)
    numbers = {(lead, tag.pk): number for (lead, tag), number in added.items()}
    for pk, lead, tag_pk in LeadTag.objects.filter(lead__in={lead for lead, _ in added}).values_list(
        "pk", "lead", "tag"
    ):
        if number := numbers.get((lead, tag_pk)):
            links[number].append(pk)
    return links


def _fill(judged: Sequence[JudgedRow], lead_import: LeadImport) -> dict[int, int]:
    """Fill the empty fields of existing leads. Returns their keys, by those of the rows."""
    changed = {row.lead.pk: row.lead for row in judged if row.lead}
    leads = {row.pk: row.lead.pk for row in judged if row.lead}
    fields = sorted(set().union(*(column_names(row.news) for row in judged)) - {SHARED, TAGS})
    if opted_out := [leads[row.pk] for row in judged if SHARED in row.news]:
        Lead.objects.filter(pk__in=opted_out).update(**{SHARED: False})
    values = {pk: [getattr(lead, name) for name in fields] for pk, lead in changed.items()}
    Lead.objects.update_rows(fields, values, updated_at=Now())
    tagged = [row for row in judged if TAGS in row.news]
    links = _tag(tagged, leads, lead_import)
    for row in tagged:
        row.filled = {**row.news, TAGS: links[row.number]}
    return leads
