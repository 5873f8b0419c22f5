"""What the filters of a list offer: the company's tags, colleagues, types and sources."""

from typing import Final, Protocol

from django.db import connection
from django.db.models import QuerySet

from crm.models import ApiKey, Company, Lead, LeadType, Membership, Tag, User
from crm.models.bidi import without_bidi_controls
from crm.models.people import company_people
from crm.models.picklist import PicklistQuerySet

SOURCES_OFFERED: Final = 50


class FilterRequest(Protocol):
    """What filters need from a request: who asks, and so whose statuses, tags and colleagues can be chosen."""

    @property
    def membership(self) -> Membership | ApiKey: ...


def tags(request: FilterRequest) -> PicklistQuerySet[Tag]:
    return Tag.objects.for_company(request.membership.company)


def colleagues(request: FilterRequest) -> QuerySet[User]:
    """The members of the company, past and present."""
    return company_people(request.membership.company)


def type_choices(company: Company) -> list[tuple[str, str]]:
    return [(each.code, str(each)) for each in LeadType.objects.for_company(company)]


def source_choices(company: Company, asked: str) -> list[tuple[str, str]]:
    """The choices of a source. Leads may have more than are offered, so `asked` is always among the choices if any lead
    has it.
    """
    sources = {*sources_of(company)}
    if asked and "\0" not in asked and asked not in sources:
        sources |= {
            *Lead.objects.for_company(company)
            .filter(source=asked)
            .values_list("source", flat=True)[:1]
        }
    return [
        (source, without_bidi_controls(source))
        for source in sorted(sources, key=str.casefold)
    ]


# Jumps from one source to the next in the index: DISTINCT would read every lead. Erased leads have no source.
SOURCES: Final = """
WITH RECURSIVE found (source) AS (
    SELECT min(source) FROM crm_lead WHERE company_id = %s AND source > ''
    UNION ALL
    SELECT (SELECT min(source) FROM crm_lead WHERE company_id = %s AND source > found.source)
    FROM found WHERE found.source IS NOT NULL
)
(SELECT source FROM found WHERE source IS NOT NULL LIMIT %s)
UNION SELECT name FROM crm_leadsource WHERE company_id = %s
"""


def sources_of(company: Company) -> list[str]:
    """The sources of the company's list, and the first SOURCES_OFFERED of its leads by alphabet. One query."""
    with connection.cursor() as cursor:
        cursor.execute(SOURCES, [company.pk, company.pk, SOURCES_OFFERED, company.pk])
        return [source for (source,) in cursor.fetchall()]
