"""Pairs of leads that may be one person: how they are recognised, and those that a worker has found.

A page could not look for them itself: among 500,000 leads, most have none.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from operator import attrgetter
from typing import ClassVar, Final

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Now

from crm.models.company import Company
from crm.models.lead import Lead, LeadQuerySet
from crm.models.tenancy import CompanyQuerySet
from crm.search.conditions import SHORT, Contains, phone_digits
from crm.search.folding import folded

CANDIDATES_AT_MOST: Final = 100  # compared for each way in which two leads can be alike
# Last digits that two numbers share, with or without country and area codes.
END_OF_A_PHONE: Final = 7
CLOSE: Final = 0.85  # similarity of two names: one letter in eight may differ
# Letters compared: the time grows with the square of their number.
LONGEST_NAME: Final = 60


class DuplicateReason(models.TextChoices):
    """Why two leads may be one person, the strongest reason first."""

    ADDRESS = "address", "Same e-mail address"
    PHONE = "phone", "Same phone number"
    NAME = "name", "Similar name, same organisation"


def has_phone_ending(digits: str) -> Q:
    """Leads whose phone number ends with these digits, in any grouping."""
    # The first condition has an index, the second is exact.
    return Q(Contains(digits)) & Q(phone__regex="[^0-9]*".join(digits) + "[^0-9]*$")


class LeadDuplicateQuerySet(CompanyQuerySet["LeadDuplicate"]):
    def open(self) -> "LeadDuplicateQuerySet":
        """Pairs that no one has marked as two people."""
        return self.filter(dismissed_at=None)

    def of(self, leads: Iterable[int]) -> "LeadDuplicateQuerySet":
        """Pairs with one of these leads."""
        pks = list(leads)
        return self.filter(Q(first__in=pks) | Q(second__in=pks))


class LeadDuplicate(models.Model):
    """Two leads that may be one person. `first` is the one with the lower key."""

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    first = models.ForeignKey(
        Lead, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    second = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="+")
    reason = models.CharField(max_length=10, choices=DuplicateReason.choices)
    # Someone said that they are two people.
    dismissed_at = models.DateTimeField(null=True, editable=False)
    found_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[LeadDuplicateQuerySet] = LeadDuplicateQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["first", "second"], name="one_pair_of_leads"
            )
        ]
        indexes = [
            models.Index(
                fields=["company", "-id"],
                name="open_pairs_of_leads",
                condition=Q(dismissed_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"Leads {self.first_id} and {self.second_id}"


class DuplicateSearch(models.Model):
    """How far a worker has looked for duplicates among a company's leads, in the order of their last changes."""

    company = models.OneToOneField(
        Company, on_delete=models.CASCADE, related_name="duplicate_search"
    )
    reached_at = models.DateTimeField()
    reached_id = models.BigIntegerField(default=0, db_default=0)

    objects: ClassVar[CompanyQuerySet["DuplicateSearch"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "duplicate searches"

    def __str__(self) -> str:
        return f"Search for duplicates of company {self.company_id}"


@dataclass(frozen=True, slots=True)
class Likeness:
    """A lead that may be the same person as another one, and why."""

    lead: Lead
    reason: DuplicateReason


def likely_duplicates(lead: Lead) -> list[Likeness]:
    """The company's other leads that may be the same person, the likeliest first. Four queries at most.

    The address of a lead that was merged into another one belongs to that person too. A number that CANDIDATES_AT_MOST
    leads have is a company's, and says nothing about a person.
    """
    current = (
        Lead.objects.for_company(lead.company_id)
        .current()
        .exclude(pk=lead.pk)
        .order_by()
    )
    found: dict[int, Likeness] = {}
    for reason, rows in _candidates(lead, current):
        # The query has no order: to order by key, PostgreSQL would read the newest leads one by one.
        others = sorted(rows[:CANDIDATES_AT_MOST], key=attrgetter("pk"), reverse=True)
        if reason == DuplicateReason.PHONE and len(others) == CANDIDATES_AT_MOST:
            continue
        for other in others:
            if _IS_ALIKE[reason](lead, other):
                found.setdefault(other.pk, Likeness(other, reason))
    return list(found.values())


def _candidates(
    lead: Lead, current: LeadQuerySet
) -> Iterator[tuple[DuplicateReason, LeadQuerySet]]:
    if addresses := _addresses(lead):
        with_address = Lead.objects.for_company(lead.company_id).with_address(
            *addresses
        )
        yield (
            DuplicateReason.ADDRESS,
            current.filter(
                pk__in=with_address.values_list(Coalesce("merged_into", "pk"))
            ),
        )
    end = phone_digits(lead.phone)[-END_OF_A_PHONE:]
    if len(end) == END_OF_A_PHONE:
        yield DuplicateReason.PHONE, current.filter(has_phone_ending(end))
    names = [
        word
        for word in folded(f"{lead.first_name} {lead.last_name}").split()
        if len(word) >= SHORT
    ]
    organisation = [word for word in _words(lead.organisation) if len(word) >= SHORT]
    if names and organisation:
        # One word of a name may have a typo, but not all. Both conditions use one index. Only the organisation's first
        # word counts, because one of the two may have no other.
        has_name = Q()
        for word in {names[0], names[-1]}:
            has_name |= Q(Contains(word))
        yield DuplicateReason.NAME, current.filter(has_name, Contains(organisation[0]))


def _addresses(lead: Lead) -> list[str]:
    """The lead's address, and those of the leads that were merged into it."""
    merged = lead.merged_leads.values_list("email", flat=True) if lead.pk else ()
    return [address for address in (lead.email, *merged) if address]


def _is_same_number(lead: Lead, other: Lead) -> bool:
    """True if one number ends with the other: only country and area codes may come before."""
    shorter, longer = sorted(
        (phone_digits(lead.phone), phone_digits(other.phone)), key=len
    )
    return longer.endswith(shorter)


def _is_close(lead: Lead, other: Lead) -> bool:
    return _is_same_organisation(lead, other) and _is_close_name(
        _name(lead), _name(other)
    )


def _name(lead: Lead) -> list[str]:
    return _words(f"{lead.first_name} {lead.last_name}")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", folded(text))


def _is_same_organisation(lead: Lead, other: Lead) -> bool:
    """True if one name begins with the other: only the legal form or a branch may follow."""
    shorter, longer = sorted(
        (_words(lead.organisation), _words(other.organisation)), key=len
    )
    return bool(shorter) and longer[: len(shorter)] == shorter


def _is_close_name(name: Sequence[str], other: Sequence[str]) -> bool:
    """True for equal names, and if one has initials, a typo, or its words in another order."""
    if not name or not other:
        return False
    if (
        len(name) > 1
        and len(other) > 1
        and name[-1] == other[-1]
        and _is_initial(name[0], other[0])
    ):
        return True
    first, second = (" ".join(sorted(words))[:LONGEST_NAME] for words in (name, other))
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    return matcher.quick_ratio() >= CLOSE and matcher.ratio() >= CLOSE


def _is_initial(first: str, other: str) -> bool:
    shorter, longer = sorted((first, other), key=len)
    return longer.startswith(shorter)


_IS_ALIKE: Final[Mapping[DuplicateReason, Callable[[Lead, Lead], bool]]] = {
    DuplicateReason.ADDRESS: lambda lead, other: True,  # the query is exact
    DuplicateReason.PHONE: _is_same_number,
    DuplicateReason.NAME: _is_close,
}
