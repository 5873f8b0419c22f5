"""Putting tags on leads and deals, and taking them off."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from crm.models import Company, Deal, DealTag, Lead, LeadTag, Tag
from crm.models.lead import LeadMerged, PersonErased
from crm.models.tag import add_links
from crm.services.picklists import add_entry, list_locked

TAGS_AT_MOST: Final = 20  # of a lead or deal


def put_tag(*, rows: "QuerySet[Lead] | QuerySet[Deal]", tag: Tag) -> int:
    """Put a tag on these leads or deals. Returns how many did not have it. Raises ValidationError if it is archived."""
    if tag.archived_at is not None:
        raise ValidationError(f"“{tag}” was archived, so it can't be put on anything.")
    with transaction.atomic():
        locked = _locked(rows)
        having = _having(rows.model, locked, tag)
        without = [pk for pk in locked if pk not in having]
        add_links(rows.model, tag.company_id, [(pk, tag) for pk in without])
        _touch(rows.model, without)
    return len(without)


def take_tag(*, rows: "QuerySet[Lead] | QuerySet[Deal]", tag: Tag) -> int:
    """Take a tag off these leads or deals. Returns how many had it."""
    with transaction.atomic():
        having = _having(rows.model, _locked(rows), tag)
        _links(rows.model, having).filter(tag=tag).delete()
        _touch(rows.model, having)
    return len(having)


def set_tags(*, row: Lead | Deal, tags: Sequence[Tag]) -> None:
    """Give a new lead or deal these tags."""
    add_links(type(row), row.company_id, [(row.pk, tag) for tag in tags])


@transaction.atomic
def replace_tags(*, row: Lead | Deal, tags: Sequence[Tag]) -> None:
    """Give a lead or deal these tags and no others. Raises PersonErased or LeadMerged."""
    model = type(row)
    if not _locked(model._default_manager.filter(pk=row.pk)):
        lead = Q(pk=row.pk) if isinstance(row, Lead) else Q(deals=row)
        is_merged = Lead.objects.filter(lead, merged_into__isnull=False).exists()
        raise LeadMerged if is_merged else PersonErased
    links = _links(model, [row.pk])
    removed, _ = links.exclude(tag__in=tags).delete()
    had = set(links.values_list("tag_id", flat=True))
    added = [(row.pk, tag) for tag in tags if tag.pk not in had]
    add_links(model, row.company_id, added)
    if removed or added:
        _touch(model, [row.pk])


def tags_named(
    *, company: Company, names: Iterable[str], may_add: bool, has: Collection[Tag] = ()
) -> list[Tag]:
    """The company's tags with these names, ignoring case. Unknown ones are added for anyone who `may_add` them.

    Raises ValidationError if others are unknown, archived or too many, except for those that the lead or deal `has`.
    """
    spelled = [" ".join(name.split()) for name in names]
    wanted = {name.casefold(): name for name in spelled if name}
    known = _tags_by_name(company) if wanted else {}
    found = [known[key] for key in wanted if key in known]
    unknown = [name for key, name in wanted.items() if key not in known]
    _refuse_too_many(found, unknown, has)
    _refuse_archived(found, has)
    if unknown and not may_add:
        raise ValidationError(
            {"tags": f"There is no tag called “{unknown[0]}”. An admin can add it."}
        )
    return found + [add_tag(company=company, name=name) for name in unknown]


def _tags_by_name(company: Company) -> dict[str, Tag]:
    return {tag.name.casefold(): tag for tag in Tag.objects.for_company(company)}


def _refuse_too_many(
    found: Sequence[Tag], unknown: Sequence[str], has: Collection[Tag]
) -> None:
    if len(found) + len(unknown) <= TAGS_AT_MOST:
        return  # without a query for those that it has
    if unknown or not set(has).issuperset(found):
        raise ValidationError({"tags": f"Enter at most {TAGS_AT_MOST} tags."})


def _refuse_archived(found: Sequence[Tag], has: Collection[Tag]) -> None:
    for tag in found:
        if tag.archived_at is not None and tag not in has:
            raise ValidationError(
                {"tags": f"The tag “{tag}” was archived. Choose another one."}
            )


def add_tag(*, company: Company, name: str) -> Tag:
    """A new tag, or the one that another script has just added. Raises ValidationError if the list is full."""
    with list_locked(company.pk):
        if found := _tags_by_name(company).get(name.casefold()):
            return found
        tag = Tag(company=company, name=name)
        try:
            tag.full_clean(exclude=["company"])
            add_entry(entry=tag)
        except ValidationError as error:
            raise ValidationError({"tags": error.messages}) from error
        return tag


def _locked(rows: "QuerySet[Any]") -> list[int]:
    """The keys of the rows whose lead is neither erased nor merged, locked: no erasure can come in between."""
    leads = rows
    if rows.model is not Lead:
        leads = Lead.objects.filter(deals__in=rows)
    current = Lead.objects.filter(erased_at=None, merged_into=None)
    kept = current.filter(pk__in=leads.values("pk")).order_by("pk")
    held = list(kept.select_for_update(no_key=True).values_list("pk", flat=True))
    if rows.model is Lead:
        return held
    deals = rows.filter(lead__in=held).order_by("pk")
    locked = deals.select_for_update(no_key=True, of=("self",))
    return list(locked.values_list("pk", flat=True))


def _links(model: type[Lead] | type[Deal], pks: Collection[int]) -> "QuerySet[Any]":
    if model is Lead:
        return LeadTag.objects.filter(lead__in=pks)
    return DealTag.objects.filter(deal__in=pks)


def _having(model: type[Lead] | type[Deal], pks: Collection[int], tag: Tag) -> set[int]:
    column = "lead" if model is Lead else "deal"
    return set(_links(model, pks).filter(tag=tag).values_list(column, flat=True))


def _touch(model: type[Lead] | type[Deal], pks: Collection[int]) -> None:
    """Count it as a change, which undoing an import must not take away. No event depends on this column."""
    model._default_manager.filter(pk__in=pks).update(updated_at=Now())
