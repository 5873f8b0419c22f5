"""How many of a company's leads LinkedIn can hardly match, and why: it never says itself whom it has matched."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crm.models import Company, Lead
from crm.models.address_problems import AddressProblem
from crm.models.lead import NOT_SHARED, WITHOUT_ADDRESS
from crm.selectors.counts import CountOf


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Leads that LinkedIn can hardly match for one reason. `query` finds them in the list of leads."""

    label: str
    query: str
    count: int
    percent: float


def obstacles_to_matching(company: Company) -> Sequence[Obstacle]:
    """The reasons with the leads that each concerns, in one statement. A lead may have several; empty without leads."""
    current = Lead.objects.for_company(company).current().order_by()
    chosen = {
        ("No e-mail address", "has_email=False"): current.filter(WITHOUT_ADDRESS),
        ("Likely typo in the address", "address_problem=typo"): (
            current.with_address_problem(AddressProblem.TYPO)
        ),
        ("Address of a role, such as info@", "address_problem=role"): (
            current.with_address_problem(AddressProblem.ROLE)
        ),
        ("Disposable address", "address_problem=disposable"): (
            current.with_address_problem(AddressProblem.DISPOSABLE)
        ),
        ("Not shared with ad platforms", "shared=False"): current.filter(NOT_SHARED),
    }
    counts = {
        f"count_{number}": CountOf(leads.values("pk"))
        for number, leads in enumerate([current, *chosen.values()])
    }
    row: dict[str, Any] = dict(
        Company.objects.filter(pk=company.pk).values(**counts).get()
    )
    total, *found = row.values()
    if not total:
        return []
    return [
        Obstacle(label, query, count, 100 * count / total)
        for (label, query), count in zip(chosen, found, strict=True)
    ]
