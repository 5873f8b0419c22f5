"""The lists that a company's admins keep, with how often each entry is used.

crm imports no other app. An app that reports CRM events appends a function to `reported_kinds` at start-up.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Count
from django.urls import reverse

from crm.models import Company, Deal, Lead, Pipeline, Stage
from crm.models.picklist import PicklistEntry
from crm.models.steps import PipelineStep
from crm.services.picklists import (
    LOST_REASONS,
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
    # The parameter of the list of leads, or of deals, that shows what uses an entry.
    filter: str


OWN_NAMES: Final = "You can change name and colour, but not the meaning."
TEXTS: Final = {
    STATUSES: PicklistText("Lead statuses", "status", OWN_NAMES, "status"),
    STAGES: PicklistText(
        "Deal stages",
        "stage",
        f"{OWN_NAMES} Sums of deals are weighted by the chance.",
        "stage",
    ),
    LOST_REASONS: PicklistText(
        "Lost reasons",
        "lost reason",
        "Asked for when a deal is lost. If the list is empty, no one is asked.",
        "lost_reason",
    ),
    TYPES: PicklistText(
        "Lead types", "type", "How you and the lead found each other.", "type"
    ),
    SOURCES: PicklistText(
        "Sources",
        "source",
        "Suggested for new leads. Others can still be typed in.",
        "source",
    ),
    TAGS: PicklistText(
        "Tags", "tag", "For leads and deals, as many on each as you like.", "tag"
    ),
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
    is_reported: bool
    why_kept: str
    is_first: bool = False
    is_last: bool = False


@dataclass(frozen=True)
class PicklistSection:
    """A list with its entries in order, and those that are archived. Stages have a list in each `pipeline`.

    `pipeline` is None for other lists, and if the company has only one, which need not be named.
    """

    kind: str
    text: PicklistText
    rows: Sequence[PicklistRow]
    archived: Sequence[PicklistRow]
    pipeline: Pipeline | None = None

    @property
    def title(self) -> str:
        return (
            f"{self.text.title}: {self.pipeline}" if self.pipeline else self.text.title
        )

    @property
    def anchor(self) -> str:
        return anchor_of(self.kind, self.pipeline)

    @property
    def has_meaning(self) -> bool:
        return issubclass(PICKLISTS[self.kind].model, PipelineStep)


def anchor_of(kind: str, pipeline: Pipeline | None = None) -> str:
    """Where the list is on the page: the stages of the default pipeline are where those of the only one would be."""
    return (
        kind if pipeline is None or pipeline.is_default else f"{kind}-of-{pipeline.pk}"
    )


def sections_of(company: Company) -> list[PicklistSection]:
    """All lists of a company, in a fixed number of queries."""
    reported = {kind for kinds_of in reported_kinds for kind in kinds_of(company)}
    return [
        section
        for picklist in PICKLISTS.values()
        for section in _sections(company, picklist, reported)
    ]


def _sections(
    company: Company, picklist: Picklist, reported: Collection[str]
) -> Iterator[PicklistSection]:
    counts = [(model, _counts(company, picklist, model)) for model in picklist.users]
    if picklist is STAGES:
        stages = list(Stage.objects.for_company(company).in_use())
        pipelines = list(Pipeline.objects.for_company(company).offered())
        for pipeline in pipelines if len(pipelines) > 1 else [None]:
            yield _section(
                picklist,
                [stage for stage in stages if _is_in(stage, pipeline)],
                counts,
                reported,
                pipeline,
            )
    else:
        yield _section(
            picklist,
            list(picklist.model.objects.for_company(company)),
            counts,
            reported,
        )


def _is_in(stage: Stage, pipeline: Pipeline | None) -> bool:
    """True for a stage of this pipeline. None is the only one that there is."""
    return pipeline is None or stage.pipeline_id == pipeline.pk


def _section(
    picklist: Picklist,
    entries: Sequence[PicklistEntry],
    counts: Sequence[tuple[type[Lead] | type[Deal], Counter[Any]]],
    reported: Collection[str],
    pipeline: Pipeline | None = None,
) -> PicklistSection:
    offered = [entry for entry in entries if entry.archived_at is None]

    def row(entry: PicklistEntry) -> PicklistRow:
        uses = [_use(picklist, model, entry, counted) for model, counted in counts]
        others = [each for each in offered if each.pk != entry.pk]
        first, last = entry in offered[:1], entry in offered[-1:]
        return PicklistRow(
            entry,
            uses,
            _is_reported(picklist, entry, reported),
            entry.why_kept(others),
            first,
            last,
        )

    archived = [row(entry) for entry in entries if entry.archived_at is not None]
    return PicklistSection(
        picklist.kind,
        TEXTS[picklist],
        [row(entry) for entry in offered],
        archived,
        pipeline,
    )


def _counts(
    company: Company, picklist: Picklist, model: type[Lead] | type[Deal]
) -> Counter[Any]:
    rows: Any = model.objects.for_company(company)
    rows = rows.current() if model is Lead else rows
    return Counter(
        dict(rows.order_by().values_list(picklist.field).annotate(Count("pk")))
    )


def _use(
    picklist: Picklist,
    model: type[Lead] | type[Deal],
    entry: PicklistEntry,
    counts: Counter[Any],
) -> Use:
    value = getattr(entry, picklist.key)
    noun, page = ("lead", "leads") if model is Lead else ("deal", "deal_list")
    url = f"{reverse(page)}?{urlencode({TEXTS[picklist].filter: value})}"
    return Use(noun, counts[value], url)


def _is_reported(
    picklist: Picklist, entry: PicklistEntry, reported: Collection[str]
) -> bool:
    """True if a lead or deal that gets this status or stage is reported."""
    if not isinstance(entry, PipelineStep):
        return False
    return any(
        model.kinds_by_meaning.get(entry.meaning) in reported
        for model in picklist.users
    )


@dataclass(frozen=True)
class Removal:
    """What uses an entry that is to be deleted, and where that can be moved. `why_kept`: why it has to stay for now."""

    uses: Sequence[Use]
    targets: Sequence[PicklistEntry]
    why_kept: str
    takes_off: bool  # a tag is taken off what has it

    @property
    def count(self) -> int:
        return sum(use.count for use in self.uses)

    @property
    def in_use(self) -> Sequence[Use]:
        """The uses that occur: a tag may be on leads alone."""
        return [use for use in self.uses if use.count]

    @property
    def is_stuck(self) -> bool:
        return bool(self.count and not self.targets and not self.takes_off)


def removal_of(entry: PicklistEntry, picklist: Picklist) -> Removal:
    """What uses the entry, and where that can be moved. Erased leads count, too: they have a status."""
    counted = zip(picklist.users, picklist.uses(entry), strict=True)
    uses = [
        _use(
            picklist,
            model,
            entry,
            Counter({getattr(entry, picklist.key): rows.count()}),
        )
        for model, rows in counted
    ]
    takes_off = picklist is TAGS
    targets = [] if takes_off else list(picklist.targets(entry))
    return Removal(
        uses,
        targets,
        entry.why_kept(offered_next_to(entry)) or why_not_yet(entry),
        takes_off,
    )
