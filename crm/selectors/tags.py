"""The tags of a lead or deal, and those that can be put on it."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from crm.models import Company, Deal, DealTag, Lead, Tag


def tag_choices(row: Lead | Deal) -> dict[str, Any]:
    """The context of `crm/tags/_tags.html`: the `row_tags`, and the `free_tags` that it doesn't have. Two queries."""
    has = list(row.tags.all())
    others = Tag.objects.for_company(row.company_id).offered()
    return {"row_tags": has, "free_tags": [tag for tag in others if tag not in has]}


def tags_of(company: Company, deals: Iterable[Deal]) -> dict[int, list[Tag]]:
    """The tags of each of the company's deals that has some, by the deal's id. One query.

    `prefetch_related` makes a queryset for each deal, which takes as long as the rest of reading it.
    """
    links = (
        DealTag.objects.for_company(company)
        .filter(deal__in=[deal.pk for deal in deals])
        .select_related("tag")
    )
    found: defaultdict[int, list[Tag]] = defaultdict(list)
    for link in links.order_by("tag__position", "tag__pk"):
        found[link.deal_id].append(link.tag)
    return dict(found)
