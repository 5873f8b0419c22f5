"""The steps that leads and deals go through, as each company defines them: lead statuses, and pipelines of stages."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Lower

from crm.models.bidi import without_bidi_controls
from crm.models.picklist import (
    NAME_LENGTH,
    TONE_OF_MEANING,
    PicklistEntry,
    PicklistQuerySet,
)
from crm.models.tenancy import CompanyQuerySet
from crm.models.validators import check_seen

if TYPE_CHECKING:
    from crm.models.company import Company

USUAL_CHANCE: Final = 50  # per cent
USUAL_PIPELINE: Final = "Sales"


class LeadMeaning(models.TextChoices):
    """The meaning of a lead status, whatever the company calls it."""

    NEW = "new", "New"
    WORKING = "working", "Working"
    QUALIFIED = "qualified", "Qualified"
    UNQUALIFIED = "unqualified", "Unqualified"


class StageMeaning(models.TextChoices):
    """The meaning of a deal stage, whatever the company calls it."""

    OPEN = "open", "Open"
    WON = "won", "Won"
    LOST = "lost", "Lost"


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, with a number if it is taken."""
    names = (
        name,
        *(f"{name[: NAME_LENGTH - 5]} {number}" for number in range(2, len(taken) + 3)),
    )
    return next(each for each in names if each not in taken)


S = TypeVar("S", bound="PipelineStep", covariant=True)


class StepQuerySet(PicklistQuerySet[S]):
    def usual_of(self, company: "Company | int") -> Self:
        """The company's steps in which a new lead or deal may begin."""
        return self.for_company(company)

    def first_for(self, company: "Company", meaning: str) -> S:
        """The company's first offered step with this meaning.

        If the company needs one and has none (restored from a fixture), it gets one. Raises ValidationError if it has
        none and needs none.
        """
        steps = self.usual_of(company).filter(meaning=meaning).offered()
        if (step := steps.first()) is None:
            self._ensure(company, meaning)
            step = steps.first()
        if step is None:
            raise ValidationError(
                f"{company} has no {self.model._meta.verbose_name} that means “{meaning}”."
            )
        return step

    def _ensure(self, company: "Company", meaning: str) -> None:
        """Make sure that a needed step with this meaning is offered: unarchive those that exist, or else add one."""
        with transaction.atomic():
            type(company).objects.hold(company.pk)
            company.ensure_steps()
            steps = self.usual_of(company)
            own = steps.filter(meaning=meaning)
            if (
                meaning not in self.model.needed
                or own.offered().exists()
                or own.update(archived_at=None)
            ):
                return
            name = free_name(
                meaning.capitalize(), set(steps.values_list("name", flat=True))
            )
            self.create(company=company, name=name, meaning=meaning)


class PipelineStep(PicklistEntry):
    """A status or stage. Its meaning, which CRM events depend on, is fixed when it is added."""

    meaning: Any
    # The meanings that a list must have at least one step for.
    needed: ClassVar[frozenset[str]]
    needed_by: ClassVar[str] = "your company"

    class Meta(PicklistEntry.Meta):
        abstract = True

    @property
    def tone(self) -> str:
        return (
            super().tone if self.colour else TONE_OF_MEANING.get(self.meaning, "plain")
        )

    @property
    def same_kind(self) -> dict[str, Any]:
        return {"meaning": self.meaning}

    def why_kept(self, others: Iterable[PicklistEntry]) -> str:
        if self.meaning not in self.needed or any(
            each.same_kind == self.same_kind for each in others
        ):
            return ""
        label = self.get_meaning_display()  # type: ignore[attr-defined]
        return f"This is the only one that means “{label}”, which {self.needed_by} needs. Add another one first."


class LeadStatus(PipelineStep):
    """A lead's status. Its `meaning` decides which CRM events fire."""

    meaning = models.CharField(max_length=20, choices=LeadMeaning.choices)
    needed = frozenset({LeadMeaning.NEW})

    objects: ClassVar[StepQuerySet[Self]] = StepQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(PipelineStep.Meta):
        verbose_name_plural = "lead statuses"
        constraints = [
            models.UniqueConstraint(
                fields=["company", "name"], name="one_lead_status_per_name"
            )
        ]


class PipelineQuerySet(CompanyQuerySet["Pipeline"]):
    def default_of(self, company: "Company") -> "Pipeline":
        """The company's default pipeline, which is added if there is none."""
        return self.get_or_create(
            company=company, is_default=True, defaults={"name": USUAL_PIPELINE}
        )[0]

    def offered(self) -> Self:
        """Pipelines that deals can be moved into."""
        return self.filter(archived_at=None)


class Pipeline(models.Model):
    """The stages that a kind of deal goes through. A company has one default pipeline, for deals without a stage."""

    company = models.ForeignKey(
        "crm.Company",
        on_delete=models.CASCADE,
        related_name="pipelines",
        db_index=False,
    )
    name = models.CharField(max_length=NAME_LENGTH)
    is_default = models.BooleanField(default=False, db_default=False, editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)

    company_id: int
    objects: ClassVar[PipelineQuerySet] = PipelineQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-is_default", "pk"]
        constraints = [
            models.UniqueConstraint(
                "company", Lower("name"), name="one_pipeline_per_name"
            ),
            models.UniqueConstraint(
                fields=["company"],
                condition=Q(is_default=True),
                name="one_default_pipeline",
            ),
            models.CheckConstraint(
                condition=Q(is_default=False) | Q(archived_at=None),
                name="default_pipeline_not_archived",
            ),
        ]

    def __str__(self) -> str:
        return without_bidi_controls(self.name)

    def clean(self) -> None:
        """Raise ValidationError for a name that can't be seen."""
        super().clean()
        check_seen(name=self.name)


IN_USE: Final = Q(pipeline__archived_at=None)


class StageQuerySet(StepQuerySet["Stage"]):
    def of(self, pipeline: Pipeline) -> Self:
        """The stages of a pipeline."""
        return self.for_company(pipeline.company_id).filter(pipeline=pipeline)

    def usual_of(self, company: "Company | int") -> Self:
        return self.for_company(company).filter(pipeline__is_default=True)

    def in_use(self) -> Self:
        """Stages of pipelines that are not archived, including archived stages."""
        return self.filter(IN_USE)

    def offered(self, current: int | None = None) -> Self:
        """Stages that can be chosen, in pipelines in use, and `current`, the one that the edited deal has."""
        return self.filter(IN_USE & Q(archived_at=None) | Q(pk=current))

    def beside(self, entry: "Stage") -> Self:
        return self.of(entry.pipeline)

    def in_order(self) -> Self:
        """Stages pipeline by pipeline, each with its pipeline."""
        return self.order_by(
            "-pipeline__is_default", "pipeline_id", "position", "pk"
        ).select_related("pipeline")


class Stage(PipelineStep):
    """A deal's stage. Its `meaning` decides which CRM events fire; its `chance` of being won weights sums."""

    pipeline = models.ForeignKey(
        Pipeline, on_delete=models.CASCADE, related_name="stages", editable=False
    )
    meaning = models.CharField(max_length=20, choices=StageMeaning.choices)
    chance = models.PositiveSmallIntegerField(
        "chance in per cent",
        default=USUAL_CHANCE,
        db_default=USUAL_CHANCE,
        validators=[MaxValueValidator(100, message="Enter a number from 0 to 100.")],
    )
    needed = frozenset(StageMeaning)
    needed_by = "its pipeline"

    objects: ClassVar[StageQuerySet] = StageQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(PipelineStep.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["pipeline", "name"], name="one_stage_name_per_pipeline"
            )
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the stage, in the default pipeline if it has none. A won or lost stage has a fixed chance."""
        if not self.pipeline_id:
            self.pipeline = Pipeline.objects.default_of(self.company)
        self.chance = CERTAIN_CHANCES.get(self.meaning, self.chance)
        super().save(*args, **kwargs)

    @property
    def is_open(self) -> bool:
        return self.meaning == StageMeaning.OPEN

    @property
    def is_offered(self) -> bool:
        return super().is_offered and self.pipeline.archived_at is None


CERTAIN_CHANCES: Final[dict[str, int]] = {StageMeaning.WON: 100, StageMeaning.LOST: 0}
USUAL_STAGES: Final = [
    ("Discovery", StageMeaning.OPEN, 25),
    ("Proposal", StageMeaning.OPEN, 50),
    ("Negotiation", StageMeaning.OPEN, 75),
    ("Won", StageMeaning.WON, 100),
    ("Lost", StageMeaning.LOST, 0),
]


def add_usual_stages(pipeline: Pipeline) -> None:
    """Add the usual stages to a new pipeline."""
    Stage.objects.bulk_create(
        Stage(
            company_id=pipeline.company_id,
            pipeline=pipeline,
            name=name,
            meaning=meaning,
            chance=chance,
            position=at,
        )
        for at, (name, meaning, chance) in enumerate(USUAL_STAGES, start=1)
    )
