"""Renames of organisations, and so merges of two: what an undo needs, kept for a day."""

from datetime import datetime, timedelta
from typing import ClassVar, Final, Self

from django.conf import settings
from django.db import models
from django.db.models import Value
from django.db.models.functions import Now

from crm.models.company import Company
from crm.models.lead import Lead
from crm.models.organisation import OrganisationKey
from crm.models.tenancy import CompanyQuerySet

UNDO_FOR: Final = timedelta(days=1)


class OrganisationRenameQuerySet(CompanyQuerySet["OrganisationRename"]):
    def undoable(self) -> Self:
        return self.filter(renamed_at__gt=Now() - UNDO_FOR)

    def of(self, key: str) -> Self:
        """Those that gave an organisation the name with this key, the latest one first."""
        named = self.alias(key=OrganisationKey("name"))
        return named.filter(key=OrganisationKey(Value(key))).order_by("-pk")


class OrganisationRename(models.Model):
    """An organisation got another name, which another one may have had already.

    `names` has the ids of the leads by the spelling that they had before. `moved_details`: its details have got the new
    name too.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    name = models.CharField(max_length=Lead._meta.get_field("organisation").max_length)
    names = models.JSONField()
    moved_details = models.BooleanField()
    renamed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    renamed_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[OrganisationRenameQuerySet] = (
        OrganisationRenameQuerySet.as_manager()  # type: ignore[assignment]
    )

    class Meta:
        verbose_name = "rename of an organisation"
        verbose_name_plural = "renames of organisations"
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["company", "renamed_at"], name="organisation_renames")
        ]

    def __str__(self) -> str:
        return f"Rename {self.pk}"

    @property
    def undo_until(self) -> datetime:
        return self.renamed_at + UNDO_FOR

    @property
    def former_name(self) -> str:
        """A spelling that its leads had."""
        names: dict[str, list[int]] = self.names
        return next(iter(names))
