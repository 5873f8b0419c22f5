"""Companies with rules and leads, and pending events."""

from django.db.models.functions import Now

from capi import services
from capi.models import ConversionEvent, ConversionRule
from crm.models import Company, DuplicateSearch, Lead

TOKEN = "A" * 40
PER_INSERT = 10_000


def connected_company(
    name: str, *, crm_event: str = "lead_created", mapped: bool = True, **fields: int
) -> Company:
    """Create a company with a token and, if `mapped`, a rule for `crm_event`."""
    _end_searches()
    company = Company.objects.create(name=name, slug=name, **fields)
    services.save_token(company=company, token=TOKEN)
    if mapped:
        ConversionRule.objects.create(
            company=company, crm_event=crm_event, linkedin_id="104012", name=name
        )
    return company


def _end_searches() -> None:
    """Stop workers from searching the leads of other measures for duplicates, as they would for an hour."""
    for company in Company.objects.all():
        DuplicateSearch.objects.update_or_create(
            company=company, defaults={"reached_at": Now()}
        )


def waiting_events(company: Company, count: int) -> None:
    """Create this many leads of the company, each with a pending event if the company has a rule for it."""
    for start in range(0, count, PER_INSERT):
        Lead.objects.bulk_create(
            new_leads(company, min(PER_INSERT, count - start), start)
        )


def new_leads(company: Company, count: int, start: int = 0) -> list[Lead]:
    return [
        Lead(
            company=company,
            first_name=f"Lead {number}",
            email=f"lead{number}@example.com",
        )
        for number in range(start, start + count)
    ]


def all_accepted(*companies: Company) -> bool:
    """Return True if these companies have no pending events."""
    return not ConversionEvent.objects.filter(
        company__in=companies, state="pending"
    ).exists()
