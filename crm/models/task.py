"""Tasks: what a member of the company is to do, about a lead, about a deal or about neither."""

from datetime import date, datetime, time, timedelta
from typing import ClassVar, Final, Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from crm.models.bidi import without_bidi_controls
from crm.models.company import Company
from crm.models.deal import FIRST_YEAR, Deal
from crm.models.lead import Lead
from crm.models.mail import OutgoingMail
from crm.models.tenancy import CompanyQuerySet, check_company
from crm.models.validators import check_seen

REMINDER_AHEAD: Final = timedelta(hours=1)
REMINDER_OF_A_DAY: Final = time(8)  # when to remind of a task without a time
IN_ORDER: Final = (F("due_on").asc(), F("due_time").asc(nulls_last=True), F("pk").asc())
LAST_YEAR: Final = 9998  # a time zone could move a later day out of the range of dates


class TaskKind(models.TextChoices):
    """What is to be done."""

    TASK = "task", "Task"
    CALL = "call", "Call"
    MEETING = "meeting", "Meeting"


class TaskQuerySet(CompanyQuerySet["Task"]):
    def open(self) -> Self:
        """Tasks that are not done."""
        return self.filter(done_at=None)

    def about(self, lead: Lead) -> Self:
        """Tasks about this lead or about one of its deals.

        Two queries in one: with OR, PostgreSQL reads every deal to find out whose it is. No task is about both.
        """
        every = self.model._default_manager.order_by()
        on_deals = every.filter(deal__lead=lead).values("pk")
        return self.filter(
            pk__in=every.filter(lead=lead).values("pk").union(on_deals, all=True)
        )

    def in_order(self) -> Self:
        """Earliest due first; within a day, tasks without a time come last."""
        return self.order_by(*IN_ORDER)


class Task(models.Model):
    """Something to do by a day, and perhaps a time, in the company's time zone.

    Written only by `crm.services.tasks`, which keeps the reminder in step.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="tasks", db_index=False
    )
    title = models.CharField(max_length=160)
    kind = models.CharField(
        max_length=10,
        choices=TaskKind.choices,
        default=TaskKind.TASK,
        db_default=TaskKind.TASK,
    )
    due_on = models.DateField("due date")
    due_time = models.TimeField("time", null=True, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    # At most one of the two. A task about a deal is also about the deal's current lead.
    lead = models.ForeignKey(
        Lead,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="tasks",
        db_index=False,
    )
    deal = models.ForeignKey(
        Deal,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="tasks",
        db_index=False,
    )
    reminder = models.BooleanField("remind by e-mail", default=False, db_default=False)
    done_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[TaskQuerySet] = TaskQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]
        indexes = [
            # With `done_at`, a page of open tasks reads no others.
            models.Index(
                fields=["lead", "done_at"],
                name="tasks_of_lead",
                condition=Q(lead__isnull=False),
            ),
            models.Index(
                fields=["deal", "done_at"],
                name="tasks_of_deal",
                condition=Q(deal__isnull=False),
            ),
            models.Index(
                fields=["company", "owner", "due_on"],
                name="open_tasks_of_owner",
                condition=Q(done_at=None),
            ),
            models.Index(
                fields=["company", "owner", "-done_at"],
                name="done_tasks_of_owner",
                condition=Q(done_at__isnull=False),
            ),
        ]
        constraints = [
            # For the order of the list, and for the composite foreign keys of `crm.models.tenancy`.
            models.UniqueConstraint(fields=["company", "id"], name="task_of_company"),
            models.CheckConstraint(
                condition=Q(lead=None) | Q(deal=None), name="task_about_one_thing"
            ),
        ]

    def __str__(self) -> str:
        return without_bidi_controls(self.title)

    @property
    def is_done(self) -> bool:
        return self.done_at is not None

    @property
    def subject(self) -> Lead | Deal | None:
        """The lead or deal that the task is about."""
        return self.lead or self.deal

    @property
    def person(self) -> Lead | None:
        """The lead that the task is about, directly or through its deal."""
        return self.deal.lead if self.deal else self.lead

    @property
    def person_id(self) -> int | None:
        return self.deal.lead_id if self.deal else self.lead_id

    def starts_at(self, zone: ZoneInfo) -> datetime | None:
        """When it is due, in this time zone; None for any time of its day."""
        if self.due_time is None:
            return None
        return datetime.combine(self.due_on, self.due_time, zone)

    def remind_at(self, zone: ZoneInfo) -> datetime:
        """When its reminder is due: ahead of its time, or in the morning of its day."""
        starts_at = self.starts_at(zone)
        if starts_at is not None:
            return starts_at - REMINDER_AHEAD
        return datetime.combine(self.due_on, REMINDER_OF_A_DAY, zone)

    def is_late(self, now: datetime) -> bool:
        """True if it should have been done by `now`, which is in the company's time zone."""
        if self.is_done:
            return False
        if self.due_time is None or self.due_on != now.date():
            return self.due_on < now.date()
        return self.due_time < now.time()

    def clean(self) -> None:
        """Raise ValidationError for another company's lead or deal, or for both.

        Also for a day outside FIRST_YEAR to LAST_YEAR, and for an invisible title.
        """
        super().clean()
        if self.lead_id and self.deal_id:
            raise ValidationError({"deal": "Choose a lead or a deal, not both."})
        check_company(
            self,
            lead="Choose one of your company's leads.",
            deal="Choose one of your company's deals.",
        )
        if self.due_on and not FIRST_YEAR <= self.due_on.year <= LAST_YEAR:
            raise ValidationError(
                {"due_on": f"Enter a date from {FIRST_YEAR} to {LAST_YEAR}."}
            )
        check_seen(title=self.title)  # last, as in `Deal.clean`


def next_monday(today: date) -> date:
    """The first day of the next week."""
    return today + timedelta(days=7 - today.weekday())


class TaskReminder(OutgoingMail):
    """The mail that reminds a task's owner of it, deleted once it is settled."""

    task = models.OneToOneField(Task, on_delete=models.CASCADE, related_name="+")

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["due_at"], name="task_reminders_by_time")]

    def __str__(self) -> str:
        return f"Reminder of task {self.task_id}"

    def settle(self, *, is_sent: bool) -> None:
        self.delete()
