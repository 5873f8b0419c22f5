"""The domain of an organisation: the one that its people seem to have, and who else has the same."""

from collections import Counter
from typing import Final

from crm.models import Company, Lead, OrganisationDetails
from crm.models.address_problems import AddressDomain
from crm.models.organisation_details import PROVIDERS
from crm.models.organisation_figures import names_of

ADDRESSES_READ: Final = 200  # those of the newest leads
NAMED_AT_MOST: Final = 5


def usual_domain(company: Company, key: str) -> str:
    """The domain of most addresses of an organisation's newest leads; "" if providers have all of them."""
    leads = Lead.objects.for_company(company).of_organisation(key).order_by("-pk")
    domains = leads.values_list(AddressDomain("email"), flat=True)[:ADDRESSES_READ]
    counts = Counter(domain for domain in domains if domain not in PROVIDERS)
    del counts[""]
    return counts.most_common(1)[0][0] if counts else ""


def others_with_domain(company: Company, details: OrganisationDetails) -> list[str]:
    """The names of other organisations with the domain of this one, which may be the same."""
    if not details.domain:
        return []
    own = OrganisationDetails.objects.for_company(company)
    others = own.filter(domain=details.domain).exclude(key=details.key)
    keys = list(others.values_list("key", flat=True)[:NAMED_AT_MOST])
    return [name for _, name in names_of(company, keys)]
