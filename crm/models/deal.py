"""Deals: what a lead may buy."""

from decimal import Decimal
from typing import Any, ClassVar, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.urls import reverse

from crm.models.bidi import without_bidi_controls
from crm.models.company import Company
from crm.models.event import CrmEventKind
from crm.models.lead import Lead
from crm.models.picklist import LostReason
from crm.models.privacy_log import PrivacyChange, log_privacy_change
from crm.models.steps import Pipeline, Stage, StageMeaning
from crm.models.tenancy import check_company
from crm.models.tracking.tracked import Tracked, TrackedQuerySet
from crm.models.validators import check_seen, validate_currency
from crm.search.conditions import deal_matches

FIRST_YEAR: Final = 2000  # of an expected close: earlier years are typing errors
NOTE_LENGTH: Final = 500


class DealQuerySet(TrackedQuerySet["Deal"]):
    def open(self) -> "DealQuerySet":
        """Deals that are neither won nor lost."""
        return self.filter(stage__meaning=StageMeaning.OPEN)

    def in_pipeline(self, pipeline: Pipeline) -> "DealQuerySet":
        """Deals in a stage of the pipeline."""
        return self.filter(stage__in=Stage.objects.of(pipeline))

    def search(self, company: Company, text: str) -> "DealQuerySet":
        """The company's deals with every word of `text` in the title or in the fields of the lead that are searched.

        All deals if there is no text.
        """
        # The index begins with the company.
        return self.filter(deal_matches(text), company=company)


class Deal(Tracked):
    """A deal. Its CRM events are about its `lead`, never about its further `people`.

    The meaning of its stage decides which CRM events fire.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="deals", db_index=False
    )
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="deals")
    title = models.CharField(max_length=160)
    amount = models.DecimalField(
        max_digits=14,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[
            MinValueValidator(Decimal(0), message="Enter an amount of zero or more.")
        ],
    )
    currency = models.CharField(
        max_length=3, blank=True, validators=[validate_currency]
    )
    stage = models.ForeignKey(Stage, on_delete=models.RESTRICT, related_name="deals")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    expected_close = models.DateField(null=True, blank=True)
    lost_reason = models.ForeignKey(
        LostReason,
        null=True,
        blank=True,
        on_delete=models.RESTRICT,
        related_name="deals",
        db_index=False,
    )
    # Why it was won or lost, in a person's own words. An open deal's note is about its next outcome: not shown yet.
    outcome_note = models.CharField(
        "why it was won or lost",
        max_length=NOTE_LENGTH,
        blank=True,
        default="",
        db_default="",
    )
    # Its note before it was last won, lost or reopened, which an undo restores. It is kept here, not in the history: an
    # erasure clears the deal's row anyway, and would have to find the note there.
    former_outcome_note = models.CharField(
        max_length=NOTE_LENGTH, blank=True, default="", db_default="", editable=False
    )
    tags = models.ManyToManyField(
        "crm.Tag", through="crm.DealTag", related_name="deals", editable=False
    )
    people = models.ManyToManyField(
        Lead, through="crm.DealPerson", related_name="further_deals", editable=False
    )
    # See `custom_field`.
    custom = models.JSONField(default=dict, db_default={}, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[DealQuerySet] = DealQuerySet.as_manager()  # type: ignore[assignment]

    step = "stage"
    first_meaning = StageMeaning.OPEN
    created_kind = CrmEventKind.DEAL_CREATED
    kinds_by_meaning: ClassVar[dict[str, CrmEventKind]] = {
        StageMeaning.WON: CrmEventKind.DEAL_WON,
        StageMeaning.LOST: CrmEventKind.DEAL_LOST,
    }
    snapshot_columns = (
        "lead_id",
        "amount",
        "currency",
        "stage_id",
        "owner_id",
        "lost_reason_id",
    )
    watched = frozenset(
        {
            "stage",
            "stage_id",
            "lead",
            "lead_id",
            "amount",
            "currency",
            "owner",
            "owner_id",
            "company",
            "company_id",
            "lost_reason",
            "lost_reason_id",
        }
    )

    class Meta(Tracked.Meta):
        ordering = ["-pk"]
        indexes = [
            # The board and the forecast read their counts and sums in here.
            models.Index(
                fields=["company", "stage", "-updated_at", "-id"],
                name="deal_board",
                include=["owner", "currency", "amount", "expected_close"],
            ),
            # For the list in its usual order, and for searches that find many (`crm.lists.deals`).
            models.Index(
                fields=["company", "-updated_at", "-id"], name="deal_by_change"
            ),
            # For an owner's open deals (`crm.selectors.my_day`) and board, which are counted without reading a deal.
            models.Index(
                fields=["owner", "stage", "expected_close", "id"],
                name="deal_by_owner",
                include=["company", "updated_at", "currency", "amount"],
            ),
            models.Index(
                fields=["lost_reason"],
                name="deals_by_lost_reason",
                condition=Q(lost_reason__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__isnull=True) | Q(amount__gte=0),
                name="deal_amount_not_negative",
            )
        ]

    def __str__(self) -> str:
        return without_bidi_controls(self.title)

    def get_absolute_url(self) -> str:
        return reverse("deal", args=[self.pk])

    @classmethod
    def snapshot_subqueries(cls) -> dict[str, Subquery]:
        own_lead = Lead._default_manager.filter(pk=OuterRef("lead_id"))
        return {
            **super().snapshot_subqueries(),
            "lead_company": Subquery(own_lead.values("company")),
        }

    def outcome_in(self, stage: Stage, **given: Any) -> dict[str, Any]:
        """The outcome fields that a move to the stage writes. `given` has the values that were entered with it.

        Only a lost deal has a lost reason. A note is about one outcome: it is dropped when the deal is won, lost or
        reopened, even if a form or a script that shows the old note sends it along. A note that was written while the
        deal was open stays: it is about the new outcome.
        """
        if stage.meaning != StageMeaning.LOST:
            given = {**given, "lost_reason": None}
        if stage.meaning == self.stage.meaning:
            return given
        note = given.get("outcome_note", self.outcome_note)
        if not self.stage.is_open and note.split() == self.outcome_note.split():
            note = ""
        return {
            "lost_reason": given.get("lost_reason"),
            "outcome_note": note,
            "former_outcome_note": self.outcome_note,
        }

    def move_to(self, stage: Stage, **given: Any) -> list[str]:
        """Set the stage, and the outcome that goes with it. Returns the names of the fields to save."""
        fields = {**self.outcome_in(stage, **given), "stage": stage}
        for name, value in fields.items():
            setattr(self, name, value)
        return list(fields)

    def clean(self) -> None:
        """Clear the lost reason of a deal that is not lost.

        Raise ValidationError for another company's lead, stage or reason, a close before FIRST_YEAR, or a title that
        can't be seen.
        """
        super().clean()
        check_company(
            self,
            lead="Choose one of your company's leads.",
            stage="Choose one of your company's stages.",
            lost_reason="Choose one of your company's lost reasons.",
        )
        if self.stage_id and self.stage.meaning != StageMeaning.LOST:
            self.lost_reason = None
        if self.expected_close and self.expected_close.year < FIRST_YEAR:
            raise ValidationError(
                {"expected_close": f"Enter a date in {FIRST_YEAR} or later."}
            )
        # Last: the API passes over it where the stored title can't be seen.
        check_seen(title=self.title)


@receiver(post_delete, sender=Deal)
def note_deleted_deal(instance: Deal, using: str, **kwargs: Any) -> None:
    row = (instance.pk, instance.created_at)
    log_privacy_change(
        PrivacyChange.DELETED_DEALS,
        company_id=instance.company_id,
        rows=[row],
        using=using,
    )
