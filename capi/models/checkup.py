"""What the doctor found last."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from capi.models.scoping import CompanyQuerySet


class Checkup(models.Model):
    """A company's newest check-up. `findings` is what `capi.diagnostics.findings.as_json` made of it."""

    company = models.OneToOneField("crm.Company", on_delete=models.CASCADE, related_name="checkup")
    ran_at = models.DateTimeField(db_default=Now())
    findings = models.JSONField(default=list)

    objects: ClassVar[CompanyQuerySet["Checkup"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"Check-up of company {self.company_id}"
