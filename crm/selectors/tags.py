"""The tags of a lead or deal, and those that can be put on it."""

from typing import Any

from crm.models import Deal, Lead, Tag


def tag_choices(row: Lead | Deal) -> dict[str, Any]:
    """The context of `crm/tags/_tags.html`: the `row_tags`, and the `free_tags` that it doesn't have. Two queries."""
    has = list(row.tags.all())
    others = Tag.objects.for_company(row.company_id).offered()
    return {"row_tags": has, "free_tags": [tag for tag in others if tag not in has]}
