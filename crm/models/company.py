"""The tenant, and the lists that a new company starts with. And when its days begin."""

from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Any, ClassVar, Final

from django.core.validators import MaxValueValidator
from django.db import models, transaction
from django.utils import timezone
from django.utils.text import slugify

from crm.models.bidi import without_bidi_controls
from crm.models.picklist import FIRST_TYPE, LeadType
from crm.models.steps import (
    USUAL_PIPELINE,
    LeadMeaning,
    LeadStatus,
    Pipeline,
    Stage,
    add_usual_stages,
)
from crm.models.validators import (
    usual_time_zone,
    validate_currency,
    validate_name,
    validate_time_zone,
)

USUAL_GRACE_SECONDS: Final = 30
MAX_GRACE_SECONDS: Final = 600


class CompanyTableQuerySet(models.QuerySet["Company"]):
    def bulk_create(
        self, objs: Iterable["Company"], *args: Any, **kwargs: Any
    ) -> list["Company"]:
        with transaction.atomic(using=self.db):
            companies = super().bulk_create(objs, *args, **kwargs)
            for company in companies:
                company.ensure_steps()
        return companies

    def hold(self, pk: int) -> None:
        """Lock the company's row until the transaction ends: the second of two sees what the first has done.

        Writes of leads and deals that refer to it don't wait.
        """
        self.select_for_update(no_key=True).get(pk=pk)


class Company(models.Model):
    """A customer of LeadMachine. Every other row belongs to exactly one."""

    name = models.CharField(max_length=120, validators=[validate_name])
    slug = models.SlugField(max_length=60, unique=True)
    currency = models.CharField(
        max_length=3, default="EUR", validators=[validate_currency]
    )
    # If false, its people and keys have no access and nothing is sent. Changed only by `crm.services`.
    is_active = models.BooleanField(default=True, editable=False)
    time_zone = models.CharField(
        max_length=60, default=usual_time_zone, validators=[validate_time_zone]
    )
    # How long a change that a person makes in the browser can be taken back before it is sent to any ad platform.
    grace_seconds = models.PositiveSmallIntegerField(
        default=USUAL_GRACE_SECONDS,
        db_default=USUAL_GRACE_SECONDS,
        validators=[MaxValueValidator(MAX_GRACE_SECONDS)],
    )
    # If true, a person who moves a deal to a lost stage has to say why.
    requires_lost_reason = models.BooleanField(default=False, db_default=False)
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
                _add_statuses(self)
                add_usual_stages(
                    Pipeline.objects.create(
                        company=self, is_default=True, name=USUAL_PIPELINE
                    )
                )
                _add_types(self)

    def ensure_steps(self) -> None:
        """Add the default statuses, stages or lead types if the company has none."""
        if not LeadStatus.objects.for_company(self).exists():
            _add_statuses(self)
        if not Stage.objects.for_company(self).exists():
            add_usual_stages(Pipeline.objects.default_of(self))
        if not LeadType.objects.for_company(self).exists():
            _add_types(self)


DEFAULT_STATUSES = [
    ("New", LeadMeaning.NEW),
    ("Contacted", LeadMeaning.WORKING),
    ("Qualified", LeadMeaning.QUALIFIED),
    ("Unqualified", LeadMeaning.UNQUALIFIED),
]
DEFAULT_TYPES = [
    ("Inbound", FIRST_TYPE),
    ("Outbound", "outbound"),
    ("Referral", "referral"),
    ("Partner", "partner"),
]


def _add_statuses(company: Company) -> None:
    LeadStatus.objects.bulk_create(
        LeadStatus(company=company, name=name, meaning=meaning, position=position)
        for position, (name, meaning) in enumerate(DEFAULT_STATUSES, start=1)
    )


def _add_types(company: Company) -> None:
    LeadType.objects.bulk_create(
        LeadType(company=company, name=name, code=code, position=position)
        for position, (name, code) in enumerate(DEFAULT_TYPES, start=1)
    )


def start_of(day: date) -> datetime:
    """When the day begins, in the active time zone (the company's).

    Filters by day are comparisons of times, which an index serves, unlike a cast to a date.
    """
    return timezone.make_aware(datetime.combine(day, time.min))
