"""The lists that a company's admins keep, with how often each entry is used.

crm imports no other app. An app that reports CRM events appends a function to `reported_kinds` at start-up.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Count
from django.urls import reverse

from crm.models import Company, Deal, Lead
from crm.models.company import PipelineStep
from crm.models.picklist import PicklistEntry
from crm.services.picklists import (
    PICKLISTS,
    SOURCES,
    STAGES,
    STATUSES,
    TAGS,
    TYPES,
    Picklist,
    offered_next_to,
    why_not_yet,
)

# Each function returns the kinds of CRM event that are reported for the company.
reported_kinds: Final[list[Callable[[Company], Collection[str]]]] = []


@dataclass(frozen=True)
class PicklistText:
    """What a list is called on its page."""

    title: str
    noun: str
    hint: str
    filter: str  # the parameter of the list of leads, or of deals, that shows what uses an entry


OWN_NAMES: Final = "Name and colour are yours. The meaning stays as it was added."
TEXTS: Final = {
    STATUSES: PicklistText("Lead statuses", "status", OWN_NAMES, "status"),
    STAGES: PicklistText("Deal stages", "stage", OWN_NAMES, "stage"),
    TYPES: PicklistText("Lead types", "type", "How you and the lead found each other.", "type"),
    SOURCES: PicklistText("Sources", "source", "Suggested for new leads. Others can still be typed in.", "source"),
    TAGS: PicklistText("Tags", "tag", "For leads and deals, as many on each as you like.", "tag"),
}


@dataclass(frozen=True)
class Use:
    """How many leads or deals have an entry, and where they are listed."""

    noun: str
    count: int
    url: str


@dataclass(frozen=True)
class PicklistRow:
    """An entry. `why_kept` is a sentence if it can be neither archived nor deleted."""

    entry: Any
    uses: Sequence[Use]
    is_told: bool
    why_kept: str
    is_first: bool = False
    is_last: bool = False


@dataclass(frozen=True)
class PicklistSection:
    """A list with its entries in order, and those that are archived."""

    kind: str
    text: PicklistText
    rows: Sequence[PicklistRow]
    archived: Sequence[PicklistRow]

    @property
    def has_meaning(self) -> bool:
        return issubclass(PICKLISTS[self.kind].model, PipelineStep)


def sections_of(company: Company) -> list[PicklistSection]:
    """All lists of a company, in a fixed number of queries."""
    told = {kind for reported in reported_kinds for kind in reported(company)}
    return [_section(company, picklist, told) for picklist in PICKLISTS.values()]


def _section(company: Company, picklist: Picklist, told: Collection[str]) -> PicklistSection:
    entries = list(picklist.model.objects.for_company(company))
    counts = [(model, _counts(company, picklist, model)) for model in picklist.users]
    offered = [entry for entry in entries if entry.archived_at is None]

    def row(entry: PicklistEntry) -> PicklistRow:
        uses = [_use(picklist, model, entry, counted) for model, counted in counts]
        others = [each for each in offered if each.pk != entry.pk]
        first, last = entry in offered[:1], entry in offered[-1:]
        return PicklistRow(entry, uses, _is_told(picklist, entry, told), entry.why_kept(others), first, last)

    archived = [row(entry) for entry in entries if entry.archived_at is not None]
    return PicklistSection(picklist.kind, TEXTS[picklist], [row(entry) for entry in offered], archived)


def _counts(company: Company, picklist: Picklist, model: type[Lead] | type[Deal]) -> Counter[Any]:
    rows: Any = model.objects.for_company(company)
    rows = rows.not_erased() if model is Lead else rows
    return Counter(dict(rows.order_by().values_list(picklist.field).annotate(Count("pk"))))


def _use(picklist: Picklist, model: type[Lead] | type[Deal], entry: PicklistEntry, counts: Counter[Any]) -> Use:
    value = getattr(entry, picklist.key)
    noun = "lead" if model is Lead else "deal"
    url = f"{reverse(f'{noun}s')}?{urlencode({TEXTS[picklist].filter: value})}"
    return Use(noun, counts[value], url)


def _is_told(picklist: Picklist, entry: PicklistEntry, told: Collection[str]) -> bool:
    """True if a lead or deal that gets this status or stage is reported."""
    if not isinstance(entry, PipelineStep):
        return False
    return any(model.kinds_by_meaning.get(entry.meaning) in told for model in picklist.users)


@dataclass(frozen=True)
class Removal:
    """What deleting an entry would take: what uses it, and where that can be moved. `why_kept`: why it can't be now."""

    uses: Sequence[Use]
    targets: Sequence[PicklistEntry]
    why_kept: str
    takes_off: bool  # a tag is taken off what has it

    @property
    def count(self) -> int:
        return sum(use.count for use in self.uses)

    @property
    def is_stuck(self) -> bool:
        return bool(self.count and not self.targets and not self.takes_off)


def removal_of(entry: PicklistEntry, picklist: Picklist) -> Removal:
    """What deleting the entry would take. Erased leads count, too: they have a status."""
    counted = zip(picklist.users, picklist.uses(entry), strict=True)
    uses = [
        _use(picklist, model, entry, Counter({getattr(entry, picklist.key): rows.count()})) for model, rows in counted
    ]
    takes_off = picklist is TAGS
    targets = [] if takes_off else list(picklist.targets(entry))
    return Removal(uses, targets, entry.why_kept(offered_next_to(entry)) or why_not_yet(entry), takes_off)
