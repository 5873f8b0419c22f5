"""Other leads that may be a person who is to be erased."""

from dataclasses import dataclass
from typing import Final

from crm.models import Lead
from crm.models.lead import LeadQuerySet
from crm.search.folding import folded

SHOWN_AT_MOST: Final = 50
COMPARED_AT_MOST: Final = 1_000  # leads with all words of a name


@dataclass(frozen=True, slots=True)
class Namesake:
    """Another lead with the same name or address. Whether it is the same person, people have to say."""

    lead: Lead
    has_name: bool
    has_address: bool

    @property
    def reason(self) -> str:
        """What is the same, in words."""
        if self.has_name and self.has_address:
            return "same name and address"
        return "same address" if self.has_address else "same name"


def namesakes_of(lead: Lead) -> list[Namesake]:
    """The company's other leads with the name or the address of this one, newest first, SHOWN_AT_MOST.

    The name may be spelled in another case, with other accents, or with the last name first. A lead that was merged
    into another one stands for that one. Five queries.
    """
    own = Lead.objects.for_company(lead.company_id).filter(erased_at=None)
    person = list(own.of_person(lead))
    names = set(map(_name, person)) - {""}
    addresses = set(map(_address, person)) - {""}
    alike = _with_any(own, names, addresses) - set(person)
    kept = {each.merged_into_id or each.pk for each in alike}
    kept -= {each.pk for each in person}
    result = []
    for other in own.filter(pk__in=kept).order_by("-pk")[:SHOWN_AT_MOST]:
        found = [each for each in alike if other.pk in (each.pk, each.merged_into_id)]
        has_name = not names.isdisjoint(map(_name, found))
        has_address = not addresses.isdisjoint(map(_address, found))
        result.append(Namesake(other, has_name, has_address))
    return result


def _with_any(own: LeadQuerySet, names: set[str], addresses: set[str]) -> set[Lead]:
    """The leads with one of these names or addresses."""
    found = set(own.with_address(*addresses)) if addresses else set()
    for name in names:
        with_words = own.search(name).order_by("-pk")[:COMPARED_AT_MOST]
        found.update(each for each in with_words if _name(each) == name)
    return found


def _name(lead: Lead) -> str:
    return " ".join(sorted(folded(f"{lead.first_name} {lead.last_name}").split()))


def _address(lead: Lead) -> str:
    return lead.email.lower()
