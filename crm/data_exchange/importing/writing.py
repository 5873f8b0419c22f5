"""Writes the judged rows of a chunk: new leads, additions to existing ones, and the rows themselves."""

from collections import defaultdict
from collections.abc import Sequence

from django.db import DEFAULT_DB_ALIAS
from django.db.models.functions import Now

from crm.data_exchange.importing.cells import SHARED
from crm.data_exchange.importing.custom_columns import as_columns, column_names
from crm.data_exchange.importing.judging import JUDGEMENT, JudgedRow
from crm.data_exchange.importing.matching import TAGS
from crm.models import (
    Lead,
    LeadImport,
    LeadImportRow,
    LeadTag,
    RowOutcome,
    Tag,
    many_rows,
)
from crm.models.tag import add_links
from crm.models.tracking.origin import acting_as


def reserve_keys(judged: Sequence[JudgedRow], *, after: int = 0) -> None:
    """Reserve the keys of the leads of new rows. A row then needn't be saved again once its lead exists.

    Keys ascend in the order of the file and are higher than `after`: from the first row without such a key on, all
    rows get new ones.
    """
    new = [row for row in judged if row.is_new]
    for index, row in enumerate(new):
        if (row.lead_id or 0) <= after:
            keys = many_rows.new_keys(Lead, len(new) - index, using=DEFAULT_DB_ALIAS)
            for other, key in zip(new[index:], keys, strict=True):
                other.lead_id = key
            return
        after = row.lead_id or 0


def renew_keys(lead_import: LeadImport, judged: Sequence[JudgedRow]) -> None:
    """Like `reserve_keys`, just before the leads are added: no key is lower than those of leads added meanwhile.

    The API lists leads by key. A client that reads on from the newest would never see a lead with a lower key.
    """
    after = 0
    if reserved := [row.lead_id for row in judged if row.is_new and row.lead_id]:
        newer = Lead.objects.for_company(lead_import.company_id).filter(
            pk__gte=min(reserved)
        )
        after = newer.order_by("-pk").values_list("pk", flat=True).first() or 0
    reserve_keys(judged, after=after)


def write(lead_import: LeadImport, judged: Sequence[JudgedRow]) -> None:
    """Add the leads of new rows, fill the existing leads of the others, and save the rows that have changed."""
    new = [row for row in judged if row.is_new]
    updates = [row for row in judged if row.outcome == RowOutcome.UPDATE]
    with acting_as(lead_import.author, history_only=not lead_import.tells_platforms):
        _add(new, lead_import)
        _fill(updates, lead_import)
    save_rows(lead_import, judged)


def save_rows(lead_import: LeadImport, judged: Sequence[JudgedRow]) -> None:
    """Save the judgement of each row whose judgement has changed.

    If an erasure has emptied a row since it was read, the row's key and values are cleared again.
    """
    changed = {row.pk: row.judgement for row in judged if row.has_changed}
    many_rows.update_rows(LeadImportRow, JUDGEMENT, changed, using=DEFAULT_DB_ALIAS)
    if changed:
        own = LeadImportRow.objects.for_company(lead_import.company_id).filter(
            lead_import=lead_import
        )
        these = own.filter(number__range=(judged[0].number, judged[-1].number))
        these.filter(cells=[]).update(key="", filled={}, cell_problems=None)


def _add(judged: Sequence[JudgedRow], lead_import: LeadImport) -> None:
    """Add the leads of these rows."""
    template = Lead(company=lead_import.company, owner_id=lead_import.owner_id)
    reserved = [row.lead_id for row in judged if row.lead_id]
    keys = Lead.objects.insert_like(
        template, [as_columns(row.values) for row in judged], keys=reserved
    )
    for row, key in zip(judged, keys, strict=True):
        row.lead_id = key
    _tag([row for row in judged if TAGS in row.values], lead_import)


def _tag(
    judged: Sequence[JudgedRow], lead_import: LeadImport
) -> defaultdict[int, list[int]]:
    """Tag the leads of these rows. Returns the keys of the added links by row number.

    An undo removes these links: a tag may have been renamed by then, and one that a person has put on again stays.
    """
    known = (
        {tag.name: tag for tag in Tag.objects.for_company(lead_import.company_id)}
        if judged
        else {}
    )
    added: dict[tuple[int, Tag], int] = {}
    for row in judged:
        for name in (row.news or row.values)[TAGS]:
            if name in known and row.lead_id:
                added.setdefault((row.lead_id, known[name]), row.number)
    links: defaultdict[int, list[int]] = defaultdict(list)
    if not added:
        return links
    add_links(Lead, lead_import.company_id, added)
    numbers = {(lead, tag.pk): number for (lead, tag), number in added.items()}
    for pk, lead, tag_pk in LeadTag.objects.filter(
        lead__in={lead for lead, _ in added}
    ).values_list("pk", "lead", "tag"):
        if number := numbers.get((lead, tag_pk)):
            links[number].append(pk)
    return links


def _fill(judged: Sequence[JudgedRow], lead_import: LeadImport) -> None:
    """Fill the empty fields of existing leads."""
    leads: dict[int, Lead] = {}
    opted_out: list[int] = []
    for row in judged:
        row.lead_id = None
        if row.lead:
            row.lead_id = row.lead.pk
            leads[row.lead.pk] = row.lead
            if SHARED in row.news:
                opted_out.append(row.lead.pk)
    if opted_out:
        Lead.objects.filter(pk__in=opted_out).update(**{SHARED: False})
    fields = sorted(
        set().union(*(column_names(row.news) for row in judged)) - {SHARED, TAGS}
    )
    values = {
        pk: [getattr(lead, name) for name in fields] for pk, lead in leads.items()
    }
    Lead.objects.update_rows(fields, values, updated_at=Now())
    tagged = [row for row in judged if TAGS in row.news]
    links = _tag(tagged, lead_import)
    for row in tagged:
        row.filled = {**row.news, TAGS: links[row.number]}
