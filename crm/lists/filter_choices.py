"""What the filters of a list offer: the company's tags, colleagues, types and sources."""

from typing import Final, Protocol

from django.db import connection
from django.db.models import QuerySet

from crm.models import (
    ApiKey,
    Company,
    Lead,
    LeadType,
    Membership,
    OrganisationDetails,
    Tag,
    User,
)
from crm.models.bidi import without_bidi_controls
from crm.models.people import company_people
from crm.models.picklist import PicklistQuerySet

SOURCES_OFFERED: Final = 50
INDUSTRIES_OFFERED: Final = 200


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


# Jumps from one text to the next in an index: DISTINCT would read every row. Table and column are constants below.
TEXTS: Final = """
WITH RECURSIVE found (text) AS (
    SELECT min({column}) FROM {table} WHERE company_id = %s AND {column} > ''
    UNION ALL
    SELECT (SELECT min({column}) FROM {table} WHERE company_id = %s AND {column} > found.text)
    FROM found WHERE found.text IS NOT NULL
)
SELECT text FROM found WHERE text IS NOT NULL LIMIT %s
"""
INDUSTRIES: Final = TEXTS.format(table="crm_organisationdetails", column="industry")
# Erased leads have no source.
WITH_OWN_LIST: Final = (
    "({found}) UNION SELECT name FROM crm_leadsource WHERE company_id = %s"
)
SOURCES: Final = WITH_OWN_LIST.format(
    found=TEXTS.format(table="crm_lead", column="source")
)


def sources_of(company: Company) -> list[str]:
    """The sources of the company's list, and the first SOURCES_OFFERED of its leads by alphabet. One query."""
    with connection.cursor() as cursor:
        cursor.execute(SOURCES, [company.pk, company.pk, SOURCES_OFFERED, company.pk])
        return [source for (source,) in cursor.fetchall()]


def industries_of(company: Company, asked: str) -> list[str]:
    """The first INDUSTRIES_OFFERED industries by alphabet, and `asked` if an organisation has it."""
    with connection.cursor() as cursor:
        cursor.execute(INDUSTRIES, [company.pk, company.pk, INDUSTRIES_OFFERED])
        industries = {industry for (industry,) in cursor.fetchall()}
    if asked and "\0" not in asked and asked not in industries:
        own = OrganisationDetails.objects.for_company(company).filter(industry=asked)
        industries |= {*own.values_list("industry", flat=True)[:1]}
    return sorted(industries, key=str.casefold)
