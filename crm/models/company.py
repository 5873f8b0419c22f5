"""The tenant, and the lead statuses and deal stages that each company defines."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final, Self, TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models, transaction
from django.utils.text import slugify

from crm.models.bidi import without_bidi_controls
from crm.models.picklist import FIRST_TYPE, TONE_OF_MEANING, LeadType, PicklistEntry, PicklistQuerySet
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

    def hold(self, pk: int) -> None:
        """Lock the company's row until the transaction ends: of two at once, the second sees what the first has done.

        Leads and deals that refer to it don't wait.
        """
        self.select_for_update(no_key=True).get(pk=pk)


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

    objects: ClassVar[CompanyTableQuerySet] = CompanyTableQuerySet.as_manager()  # type: ignore[assignment]

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
        """Add the default statuses, stages or lead types if the company has none."""
        _add_defaults(LeadStatus, self, "meaning", DEFAULT_STATUSES)
        _add_defaults(Stage, self, "meaning", DEFAULT_STAGES)
        _add_defaults(LeadType, self, "code", DEFAULT_TYPES)


S = TypeVar("S", bound="PipelineStep", covariant=True)


class StepQuerySet(PicklistQuerySet[S]):
    def first_for(self, company: Company, meaning: str) -> S:
        """The company's first offered step with this meaning, never one with another.

        A company without one that it needs (restored from a fixture) gets it back. Raises ValidationError if it has
        none that it doesn't need.
        """
        steps = self.for_company(company).filter(meaning=meaning).offered()
        if (step := steps.first()) is None:
            self._ensure(company, meaning)
            step = steps.first()
        if step is None:
            raise ValidationError(f"{company} has no {self.model._meta.verbose_name} that means “{meaning}”.")
        return step

    def _ensure(self, company: Company, meaning: str) -> None:
        """Offer a step with this meaning, if the company needs one: those in the archive again, or else a new one."""
        with transaction.atomic():
            Company.objects.hold(company.pk)
            company.ensure_steps()
            steps = self.for_company(company)
            own = steps.filter(meaning=meaning)
            if meaning not in self.model.needed or own.offered().exists() or own.update(archived_at=None):
                return
            taken = set(steps.values_list("name", flat=True))
            label = meaning.capitalize()
            names = (label, *(f"{label} {number}" for number in range(2, len(taken) + 3)))
            self.create(company=company, name=next(name for name in names if name not in taken), meaning=meaning)


class PipelineStep(PicklistEntry):
    """A status or stage. Its meaning, which CRM events depend on, is fixed when it is added."""

    meaning: Any
    needed: ClassVar[frozenset[str]]  # the meanings of which a company has at least one

    class Meta(PicklistEntry.Meta):
        abstract = True

    @property
    def tone(self) -> str:
        return super().tone if self.colour else TONE_OF_MEANING.get(self.meaning, "plain")

    @property
    def same_kind(self) -> dict[str, Any]:
        return {"meaning": self.meaning}

    def why_kept(self, others: Iterable[PicklistEntry]) -> str:
        if self.meaning not in self.needed or any(each.same_kind == self.same_kind for each in others):
            return ""
        label = self.get_meaning_display()  # type: ignore[attr-defined]
        return f"This is the only one that means “{label}”, which your company needs. Add another one first."


class LeadStatus(PipelineStep):
    """A lead's status. Its `meaning` decides which CRM events fire."""

    meaning = models.CharField(max_length=20, choices=LeadMeaning.choices)
    needed = frozenset({LeadMeaning.NEW})

    objects: ClassVar[StepQuerySet[Self]] = StepQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(PipelineStep.Meta):
        verbose_name_plural = "lead statuses"
        constraints = [models.UniqueConstraint(fields=["company", "name"], name="one_lead_status_per_name")]


class Stage(PipelineStep):
    """A deal's stage. Its `meaning` decides which CRM events fire."""

    meaning = models.CharField(max_length=20, choices=StageMeaning.choices)
    needed = frozenset(StageMeaning)

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

DEFAULT_TYPES = [
    ("Inbound", FIRST_TYPE),
    ("Outbound", "outbound"),
    ("Referral", "referral"),
    ("Partner", "partner"),
]


def _add_defaults(
    model: type[PicklistEntry], company: Company, field: str, defaults: Sequence[tuple[str, str]]
) -> None:
    """Add an entry for each name and value of `field`."""
    entries: models.Manager[Any] = model._default_manager
    if not entries.filter(company=company).exists():
        entries.bulk_create(
            model(company=company, name=name, position=position, **{field: value})
            for position, (name, value) in enumerate(defaults, start=1)
        )
