"""Changing a company's pipelines. No deal changes with them, so no CRM event is recorded.

Their stages are changed like any other list (`crm/services/picklists.py`), under the same lock.
"""

from typing import Final

from django.db.models.functions import Now

from crm.models import AuditAction, Deal, Pipeline, Stage, StageMeaning
from crm.models.steps import add_usual_stages
from crm.services import audit
from crm.services.picklists import list_locked

# Of a company, archived ones included: pages show them all, with their stages.
PIPELINES_AT_MOST: Final = 20
FULL: Final = f"There are {PIPELINES_AT_MOST} pipelines, the most that a company can have. Rename one instead."


class PipelineError(Exception):
    """The pipeline has to stay as it is. The message is for the user."""


def add_pipeline(*, pipeline: Pipeline) -> Pipeline:
    """Save a new pipeline, with the usual stages. Raises PipelineError if the company has PIPELINES_AT_MOST."""
    with list_locked(pipeline.company_id):
        if (
            Pipeline.objects.for_company(pipeline.company_id).count()
            >= PIPELINES_AT_MOST
        ):
            raise PipelineError(FULL)
        pipeline.save()
        add_usual_stages(pipeline)
        _record(pipeline, "added")
    return pipeline


def rename_pipeline(*, pipeline: Pipeline) -> None:
    """Save the name of a pipeline."""
    with list_locked(pipeline.company_id):
        pipeline.save(update_fields=["name"])
        _record(pipeline, "changed")


def make_default(*, pipeline: Pipeline) -> None:
    """Make this the pipeline of deals that are added without a stage. An archived one is offered again.

    Raises PipelineError if it offers no open stage: such a deal would be won or lost at once.
    """
    with list_locked(pipeline.company_id):
        if (
            not Stage.objects.of(pipeline)
            .filter(archived_at=None, meaning=StageMeaning.OPEN)
            .exists()
        ):
            raise PipelineError(
                f"{pipeline} has no open stage, and new deals need one. Add it first."
            )
        Pipeline.objects.for_company(pipeline.company_id).filter(
            is_default=True
        ).update(is_default=False)
        Pipeline.objects.filter(pk=pipeline.pk).update(
            is_default=True, archived_at=None
        )
        _record(pipeline, "made the default")


def archive_pipeline(*, pipeline: Pipeline) -> None:
    """Archive the pipeline; its deals stay. Raises PipelineError for the default one, or one with open deals."""
    with list_locked(pipeline.company_id):
        if Pipeline.objects.filter(pk=pipeline.pk, is_default=True).exists():
            raise PipelineError(
                f"{pipeline} is the default pipeline. Make another one the default first."
            )
        if count := Deal.objects.open().in_pipeline(pipeline).count():
            deals, them = ("deal", "it") if count == 1 else ("deals", "them")
            raise PipelineError(
                f"{pipeline} has {count:,} open {deals}. Close or move {them} first."
            )
        if Pipeline.objects.filter(pk=pipeline.pk, archived_at=None).update(
            archived_at=Now()
        ):
            _record(pipeline, "archived")


def unarchive_pipeline(*, pipeline: Pipeline) -> None:
    """Offer an archived pipeline again."""
    with list_locked(pipeline.company_id):
        if (
            Pipeline.objects.filter(pk=pipeline.pk)
            .exclude(archived_at=None)
            .update(archived_at=None)
        ):
            _record(pipeline, "unarchived")


def _record(pipeline: Pipeline, change: str) -> None:
    details: audit.Details = {"kind": "pipelines", "change": change}
    audit.record(
        company=pipeline.company_id,
        action=AuditAction.STEPS_CHANGED,
        about=pipeline,
        details=details,
    )
