"""The tenant, and the lead statuses and deal stages that each company defines."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final, Self, TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models, transaction
from django.utils.text import slugify

from crm.models.bidi import without_bidi_controls
from crm.models.tenancy import CompanyQuerySet
from crm.models.validators import usual_time_zone, validate_currency, validate_name, validate_time_zone

USUAL_GRACE_SECONDS: Final = 30
MAX_GRACE_SECONDS: Final = 600


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


class CompanyTableQuerySet(models.QuerySet["Company"]):
    def bulk_create(self, objs: Iterable["Company"], *args: Any, **kwargs: Any) -> list["Company"]:
        with transaction.atomic(using=self.db):
            companies = super().bulk_create(objs, *args, **kwargs)
            for company in companies:
                company.ensure_steps()
        return companies


class Company(models.Model):
    """A customer of LeadMachine. Every other row belongs to exactly one."""

    name = models.CharField(max_length=120, validators=[validate_name])
    slug = models.SlugField(max_length=60, unique=True)
    currency = models.CharField(max_length=3, default="EUR", validators=[validate_currency])
    # If false, its people and keys have no access and nothing is sent. Changed only by `crm.services`.
    is_active = models.BooleanField(default=True, editable=False)
    time_zone = models.CharField(max_length=60, default=usual_time_zone, validators=[validate_time_zone])
    # How long a change that a person makes in the browser can be taken back before any ad platform is told.
    grace_seconds = models.PositiveSmallIntegerField(
        default=USUAL_GRACE_SECONDS, db_default=USUAL_GRACE_SECONDS, validators=[MaxValueValidator(MAX_GRACE_SECONDS)]
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager["Company"]] = CompanyTableQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "companies"
        ordering = ["name"]

    def __str__(self) -> str:
        return without_bidi_controls(self.name)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the company. A new one gets the default statuses and stages."""
        self.slug = self.slug or slugify(self.name)[:60] or "company"
        adding = self._state.adding
        with transaction.atomic(using=kwargs.get("using")):
            super().save(*args, **kwargs)
            if adding:
                self.ensure_steps()

    def ensure_steps(self) -> None:
        """Add the default statuses or stages if the company has none."""
        _add_defaults(LeadStatus, self, DEFAULT_STATUSES)
        _add_defaults(Stage, self, DEFAULT_STAGES)


S = TypeVar("S", bound="PipelineStep", covariant=True)


class StepQuerySet(CompanyQuerySet[S]):
    def first_for(self, company: Company, meaning: str) -> S:
        """The company's first step with this meaning, or else its first step.

        A company without steps (restored from a fixture) gets the default ones. Raises ValidationError if none has
        the meaning.
        """
        steps = self.for_company(company)
        step = steps.filter(meaning=meaning).first() or steps.first()
        if step is None:
            company.ensure_steps()
            step = steps.filter(meaning=meaning).first()
        if step is None:
            raise ValidationError(f"{company} has no {self.model._meta.verbose_name}: add one first.")
        return step


class PipelineStep(models.Model):
    """A status or stage. Name and order are free; the meaning is fixed, so renaming breaks nothing."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE)
    name = models.CharField(max_length=60)
    position = models.PositiveSmallIntegerField(default=1)

    meaning: Any

    class Meta:
        abstract = True
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return without_bidi_controls(self.name)


class LeadStatus(PipelineStep):
    """A lead's status. Its `meaning` decides which CRM events fire."""

    meaning = models.CharField(max_length=20, choices=LeadMeaning.choices)

    objects: ClassVar[StepQuerySet[Self]] = StepQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(PipelineStep.Meta):
        verbose_name_plural = "lead statuses"
        constraints = [models.UniqueConstraint(fields=["company", "name"], name="one_lead_status_per_name")]


class Stage(PipelineStep):
    """A deal's stage. Its `meaning` decides which CRM events fire."""

    meaning = models.CharField(max_length=20, choices=StageMeaning.choices)

    objects: ClassVar[StepQuerySet[Self]] = StepQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(PipelineStep.Meta):
        constraints = [models.UniqueConstraint(fields=["company", "name"], name="one_stage_per_name")]


DEFAULT_STATUSES = [
    ("New", LeadMeaning.NEW),
    ("Contacted", LeadMeaning.WORKING),
    ("Qualified", LeadMeaning.QUALIFIED),
    ("Unqualified", LeadMeaning.UNQUALIFIED),
]
DEFAULT_STAGES = [
    ("Discovery", StageMeaning.OPEN),
    ("Proposal", StageMeaning.OPEN),
    ("Negotiation", StageMeaning.OPEN),
    ("Won", StageMeaning.WON),
    ("Lost", StageMeaning.LOST),
]


def _add_defaults(model: type[LeadStatus] | type[Stage], company: Company, defaults: Sequence[tuple[str, str]]) -> None:
    steps: models.Manager[Any] = model._default_manager
    if not steps.filter(company=company).exists():
        steps.bulk_create(
            model(company=company, name=name, meaning=meaning, position=position)
            for position, (name, meaning) in enumerate(defaults, start=1)
        )
