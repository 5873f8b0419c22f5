"""A company's pipelines with their stages."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef

from crm.models import Company, Deal, Pipeline, Stage
from crm.models.steps import IN_USE, StageQuerySet
from crm.selectors.picklists import anchor_of
from crm.services.picklists import STAGES


@dataclass(frozen=True)
class PipelineRow:
    """A pipeline with the number of its stages that are offered, and of its deals."""

    pipeline: Pipeline
    stage_count: int
    deal_count: int

    @property
    def anchor(self) -> str:
        """Where its stages are on the page of lists."""
        return anchor_of(STAGES.kind, self.pipeline)


def pipelines_of(company: Company) -> list[PipelineRow]:
    """The company's pipelines, archived ones too, the default one first. Three queries."""
    stages = _counted(
        Stage.objects.for_company(company).filter(archived_at=None), "pipeline"
    )
    deals = _counted(Deal.objects.for_company(company), "stage__pipeline")
    return [
        PipelineRow(pipeline, stages.get(pipeline.pk, 0), deals.get(pipeline.pk, 0))
        for pipeline in Pipeline.objects.for_company(company)
    ]


def _counted(rows: Any, field: str) -> dict[int, int]:
    return dict(rows.order_by().values_list(field).annotate(Count("pk")))


def stages_on_boards(company: Company) -> StageQuerySet:
    """The stages of the pipelines that are offered, and of each archived one that has an open deal.

    An archived one can get an open deal by an undo, or by a move at the moment at which it is archived.
    """
    open_deals = Deal.objects.open().filter(stage__pipeline=OuterRef("pipeline"))
    return (
        Stage.objects.for_company(company)
        .filter(IN_USE | Exists(open_deals))
        .in_order()
    )


@dataclass(frozen=True)
class PipelineChoice:
    """The pipelines that a page can show, the one that it shows, and the stages of that one, archived ones too."""

    pipelines: Sequence[Pipeline]
    chosen: Pipeline | None  # None without stages
    stages: Sequence[Stage]

    @property
    def offered(self) -> list[Stage]:
        """The stages that a deal can be moved to."""
        return [stage for stage in self.stages if stage.archived_at is None]


def choice_of(stages: Iterable[Stage], wanted: str) -> PipelineChoice:
    """The pipeline with the id `wanted`, or else the first one. `stages` are those of all, with their pipelines."""
    all_stages = list(stages)
    pipelines = list(dict.fromkeys(stage.pipeline for stage in all_stages))
    chosen = next(
        (pipeline for pipeline in pipelines if str(pipeline.pk) == wanted),
        next(iter(pipelines), None),
    )
    return PipelineChoice(
        pipelines, chosen, [stage for stage in all_stages if stage.pipeline == chosen]
    )


def by_pipeline(stages: Iterable[Stage]) -> dict[int, list[Stage]]:
    """The stages by the id of their pipeline, for the moves that each row of a list offers."""
    found: defaultdict[int, list[Stage]] = defaultdict(list)
    for stage in stages:
        found[stage.pipeline_id].append(stage)
    return found


def first_open_stages(
    stages: Iterable[Stage], *, besides: Pipeline | None
) -> list[Stage]:
    """The first open stage of each pipeline except `besides`: a deal that is moved to the pipeline goes there."""
    first: dict[int, Stage] = {}
    for stage in stages:
        if stage.is_open and stage.pipeline != besides:
            first.setdefault(stage.pipeline.pk, stage)
    return list(first.values())
