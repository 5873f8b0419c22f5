"""The lists that a company's admins keep: lead statuses, deal stages, lost reasons, lead types, sources and tags.

Rows that have an archived entry keep and show it, but no one can choose it any more.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Final, Self, TypeVar

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Lower

from crm.models.bidi import without_bidi_controls
from crm.models.tenancy import CompanyQuerySet
from crm.models.validators import check_seen

LAST_POSITION: Final = 32_767
FIRST_TYPE: Final = "inbound"  # the code of a new lead's type, unless another is chosen
CODE_LENGTH: Final = 20
NAME_LENGTH: Final = 60


class Colour(models.TextChoices):
    """The colours of the stylesheet, by their everyday names."""

    GREY = "grey", "Grey"
    BLUE = "blue", "Blue"
    GREEN = "green", "Green"
    AMBER = "amber", "Amber"
    RED = "red", "Red"
    PURPLE = "purple", "Purple"


TONES: Final = {
    Colour.GREY: "plain",
    Colour.BLUE: "info",
    Colour.GREEN: "good",
    Colour.AMBER: "wait",
    Colour.RED: "bad",
    Colour.PURPLE: "test",
}
TONE_OF_MEANING: Final = {
    "qualified": "good",
    "won": "good",
    "unqualified": "bad",
    "lost": "bad",
    "working": "wait",
    "new": "info",
}


def named_alike(rows: models.QuerySet[Any], name: str) -> Any:
    """The first of these rows with this name, ignoring case as people do and as the database's constraints do."""
    by_database = (
        rows.alias(lowered=Lower("name")).filter(lowered=Lower(Value(name))).first()
    )
    return by_database or next(
        (row for row in rows if row.name.casefold() == name.casefold()), None
    )


E = TypeVar("E", bound="PicklistEntry", covariant=True)


class PicklistQuerySet(CompanyQuerySet[E]):
    def offered(self, current: int | None = None) -> Self:
        """Entries that can be chosen, and `current`, the one that the edited row has."""
        return self.filter(Q(archived_at=None) | Q(pk=current))

    def beside(self, entry: Any) -> Self:
        """All entries of the list that the entry is in, or will be in."""
        return self.for_company(entry.company_id)


class PicklistEntry(models.Model):
    """An entry of a list. Name, colour and order can be changed freely: no event depends on them."""

    company = models.ForeignKey("crm.Company", on_delete=models.CASCADE)
    name = models.CharField(max_length=NAME_LENGTH)
    colour = models.CharField(
        max_length=10, choices=Colour.choices, blank=True, default="", db_default=""
    )
    position = models.PositiveSmallIntegerField(default=1)
    archived_at = models.DateTimeField(null=True, editable=False)

    company_id: int
    objects: ClassVar[PicklistQuerySet[Self]]

    class Meta:
        abstract = True
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return without_bidi_controls(self.name)

    def clean(self) -> None:
        """Raise ValidationError for a name that can't be seen."""
        super().clean()
        check_seen(name=self.name)

    @property
    def tone(self) -> str:
        """The CSS class that it is shown with."""
        return TONES[Colour(self.colour)] if self.colour in Colour.values else "plain"

    @property
    def is_offered(self) -> bool:
        return self.archived_at is None

    @property
    def same_kind(self) -> dict[str, Any]:
        """The field values that another entry must share with this one to replace it where it is used."""
        return {}

    def why_kept(self, others: Iterable["PicklistEntry"]) -> str:
        """Why it can be neither archived nor deleted, in a sentence, or "". `others` are the other entries on offer."""
        return ""


class LostReason(PicklistEntry):
    """A reason why deals are lost. Only deals in a lost stage have one."""

    objects: ClassVar[PicklistQuerySet[Self]] = PicklistQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(PicklistEntry.Meta):
        constraints = [
            models.UniqueConstraint(
                "company", Lower("name"), name="one_lost_reason_per_name"
            )
        ]


class LeadType(PicklistEntry):
    """How the company and the lead found each other. Leads hold its `code`, which never changes."""

    code = models.CharField(max_length=CODE_LENGTH, editable=False)

    objects: ClassVar[PicklistQuerySet[Self]] = PicklistQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(PicklistEntry.Meta):
        constraints = [
            models.UniqueConstraint(
                "company", Lower("name"), name="one_lead_type_per_name"
            ),
            models.UniqueConstraint(
                fields=["company", "code"], name="one_lead_type_per_code"
            ),
        ]

    def why_kept(self, others: Iterable[PicklistEntry]) -> str:
        if self.code == FIRST_TYPE:
            return (
                "New leads have this type until another is chosen. You can rename it."
            )
        return ""


class LeadSource(PicklistEntry):
    """A source that is suggested for leads. Leads hold its name as text, and any other text is accepted too."""

    name = models.CharField(max_length=80)

    objects: ClassVar[PicklistQuerySet[Self]] = PicklistQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(PicklistEntry.Meta):
        constraints = [
            models.UniqueConstraint(
                "company", Lower("name"), name="one_lead_source_per_name"
            )
        ]


class Tag(PicklistEntry):
    """A tag of leads and deals. In files, several are in one cell."""

    name = models.CharField(
        max_length=60,
        validators=[
            RegexValidator(
                r"[,;|]",
                "Enter a name without a comma, semicolon or |.",
                inverse_match=True,
            )
        ],
    )

    objects: ClassVar[PicklistQuerySet[Self]] = PicklistQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(PicklistEntry.Meta):
        constraints = [
            models.UniqueConstraint("company", Lower("name"), name="one_tag_per_name"),
            models.UniqueConstraint(fields=["company", "id"], name="tag_of_company"),
        ]
