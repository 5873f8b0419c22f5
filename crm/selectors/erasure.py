"""Other leads that may be a person who is to be erased."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from crm.models import Lead
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
    names, addresses = (
        {_name(each) for each in person} - {""},
        {each.email.lower() for each in person} - {""},
    )
    found = (
        {each.pk: each for each in own.with_address(*addresses)} if addresses else {}
    )
    for name in names:
        found |= {
            each.pk: each
            for each in own.search(name).order_by("-pk")[:COMPARED_AT_MOST]
            if _name(each) == name
        }
    like = [each for each in found.values() if each not in person]
    kept = {each.merged_into_id or each.pk for each in like} - {
        each.pk for each in person
    }
    return [
        Namesake(
            other,
            has_name=any(_name(each) in names for each in _of(other, like)),
            has_address=any(
                each.email.lower() in addresses for each in _of(other, like)
            ),
        )
        for other in own.filter(pk__in=kept).order_by("-pk")[:SHOWN_AT_MOST]
    ]


def _of(kept: Lead, found: Iterable[Lead]) -> list[Lead]:
    return [each for each in found if kept.pk in (each.pk, each.merged_into_id)]


def _name(lead: Lead) -> str:
    return " ".join(sorted(folded(f"{lead.first_name} {lead.last_name}").split()))
