"""Custom fields: what one company wants to know about its leads and deals, in addition to the built-in fields.

The definitions are rows. The values are in the column `custom` of the lead or deal, by the key of their field.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils.text import slugify

from crm.models.bidi import without_bidi_controls
from crm.models.company import Company
from crm.models.tenancy import CompanyQuerySet
from crm.models.validators import check_seen, is_seen

LONGEST_KEY: Final = 40
CHOICES_AT_MOST: Final = 100  # of a field, archived ones included
LONGEST_CHOICE: Final = 80


class FieldSubject(models.TextChoices):
    """What has the field."""

    LEAD = "lead", "Leads"
    DEAL = "deal", "Deals"


class FieldType(models.TextChoices):
    """What may be entered. It never changes: `crm.models.custom_values` has the normal form of each."""

    TEXT = "text", "Text"
    LONG_TEXT = "long_text", "Long text"
    NUMBER = "number", "Number"
    MONEY = "money", "Money"
    DATE = "date", "Date"
    YES_NO = "yes_no", "Yes or no"
    CHOICE = "choice", "Pick one"
    CHOICES = "choices", "Pick several"
    URL = "url", "Web address"
    PHONE = "phone", "Phone"


WITH_CHOICES: Final = (FieldType.CHOICE, FieldType.CHOICES)
# May name a person.
FREE_TEXT: Final = (FieldType.TEXT, FieldType.LONG_TEXT, FieldType.URL, FieldType.PHONE)

Choice = dict[str, Any]  # key, label, and is_archived


class CustomFieldQuerySet(CompanyQuerySet["CustomField"]):
    def of(self, company: Company | int, subject: str) -> Self:
        """The company's fields of leads or of deals, in order, including those that are being deleted."""
        return self.for_company(company).filter(subject=subject)

    def not_removed(self) -> Self:
        """Exclude deleted fields whose values are still being removed."""
        return self.filter(removed_at=None)

    def in_use(self) -> Self:
        """Fields that are shown and can be filled in."""
        return self.not_removed().filter(archived_at=None)


class CustomField(models.Model):
    """A company's own field. `key` names it in the API, in files and in the column `custom`, and never changes.

    An archived field keeps its values, but is not shown and can't be filled in. A deleted one keeps its row, and so its
    key, until its values are gone: no later field can get them.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="custom_fields", db_index=False
    )
    subject = models.CharField("for", max_length=10, choices=FieldSubject.choices)
    key = models.CharField(max_length=LONGEST_KEY, editable=False)
    name = models.CharField(max_length=60)
    type = models.CharField(max_length=10, choices=FieldType.choices)
    help_text = models.CharField(
        "help",
        max_length=200,
        blank=True,
        help_text="Shown below the field where it is filled in.",
    )
    is_required = models.BooleanField("required", default=False)
    is_listed = models.BooleanField("show in the list", default=False)
    position = models.PositiveSmallIntegerField(default=1, editable=False)
    choices = models.JSONField(default=list, blank=True, editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)
    removed_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[CustomFieldQuerySet] = CustomFieldQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["company", "subject", "key"], name="one_custom_field_per_key"
            ),
            models.UniqueConstraint(
                "company",
                "subject",
                Lower("name"),
                name="one_custom_field_per_name",
                condition=Q(removed_at=None),
            ),
        ]
        indexes = [
            models.Index(
                fields=["removed_at"],
                name="custom_fields_removed",
                condition=Q(removed_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return without_bidi_controls(self.name)

    def clean(self) -> None:
        """Raise ValidationError for a name that can't be seen."""
        super().clean()
        check_seen(name=self.name)

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

    @property
    def labels(self) -> dict[str, str]:
        """The choices by key, archived ones too: a value may still be one of them."""
        return {choice["key"]: choice["label"] for choice in self.choices}

    @property
    def choice_lines(self) -> str:
        """The choices that may be chosen, each on a line of its own."""
        return "\n".join(label for _, label in self.offered)

    @property
    def offered(self) -> list[tuple[str, str]]:
        """The choices that may be chosen, in order."""
        return self.offered_beside(())

    def offered_beside(self, chosen: Iterable[str]) -> list[tuple[str, str]]:
        """The choices that may be chosen, and those that are chosen already, in order."""
        kept = set(chosen)
        return [
            (choice["key"], without_bidi_controls(choice["label"]))
            for choice in self.choices
            if not choice["is_archived"] or choice["key"] in kept
        ]


def free_key(
    name: str,
    taken: Iterable[str],
    *,
    longest: int = LONGEST_KEY,
    otherwise: str = "field",
) -> str:
    """A free key made from the name: ASCII letters, digits and single underscores; the first is a letter.

    The database would take digits alone for the index of a list, and our code two underscores for a lookup.
    """
    key = re.sub(r"[^a-z0-9]+", "_", slugify(name)).strip("_")
    if not key[:1].isalpha():
        key = f"{otherwise}_{key}".strip("_")
    key = key[: longest - 4].strip("_")
    used = set(taken)
    if key not in used:
        return key
    numbered = (f"{key}_{number}" for number in range(2, 10_000))
    return next(each for each in numbered if each not in used)


def changed_choices(
    before: Sequence[Choice], labels: Sequence[tuple[str, str]]
) -> list[Choice]:
    """The choices in their new order, from pairs of key and label; new ones have no key yet.

    Missing choices are archived, because values may refer to them; a new one with a known label reuses that choice.
    Raises ValidationError for none, too many, a label that is too long or repeated, and an unknown key.
    """
    known = {choice["key"]: choice for choice in before}
    entered = [(key, " ".join(label.split())) for key, label in labels if label.strip()]
    _check_labels([label for _, label in entered])
    _check_keys([key for key, _ in entered if key], known)
    result: dict[str, Choice] = {}
    for key, label in _with_keys(entered, known):
        result[key] = {"key": key, "label": label, "is_archived": False}
    for key, choice in known.items():
        if key not in result:
            result[key] = {**choice, "is_archived": True}
    if len(result) > CHOICES_AT_MOST:
        raise ValidationError(
            f"Enter at most {CHOICES_AT_MOST} choices. Removed ones count, because values keep them."
        )
    return list(result.values())


def _check_labels(labels: Sequence[str]) -> None:
    if not labels:
        raise ValidationError("Enter at least one choice.")
    used = [label.casefold() for label in labels]
    for label in labels:
        if used.count(label.casefold()) > 1:
            raise ValidationError(
                f"Two choices are called “{label}”. Each must be different."
            )
        if not is_seen(label):
            raise ValidationError(
                "Enter choices that can be seen: one is made of invisible characters only."
            )
        if "\0" in label:  # PostgreSQL has none in JSON
            raise ValidationError("Null characters are not allowed.")
        if len(label) > LONGEST_CHOICE:
            raise ValidationError(
                f"Enter at most {LONGEST_CHOICE} characters for a choice."
            )


def _check_keys(keys: Sequence[str], known: Mapping[str, Choice]) -> None:
    is_repeated = len(keys) != len(set(keys))
    if is_repeated or not known.keys() >= set(keys):
        raise ValidationError("There is no such choice.")


def _with_keys(
    entered: Sequence[tuple[str, str]], known: Mapping[str, Choice]
) -> list[tuple[str, str]]:
    """The choices with a key for each new one: that of a known choice with the same label, or a free one."""
    by_label = {choice["label"].casefold(): key for key, choice in known.items()}
    used = {key for key, _ in entered if key}
    result = []
    for key, label in entered:
        if not key:
            key = by_label.get(label.casefold(), "")
            if not key or key in used:
                key = free_key(label, {*known, *used}, otherwise="choice")
        used.add(key)
        result.append((key, label))
    return result
