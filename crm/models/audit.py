"""The audit log: who did what in a company. Append-only; it identifies leads only by id."""

from collections.abc import Collection, Iterable
from typing import Any, ClassVar, Final, Never

from django.db import models
from django.db.models.functions import Now

from crm.models.company import Company
from crm.models.tenancy import CompanyQuerySet


class AuditAction(models.TextChoices):
    """Every action in the audit log."""

    SIGN_IN = "sign_in", "Signed in"
    SIGN_IN_FAILED = "sign_in_failed", "Failed to sign in"
    MEMBER_INVITED = "member_invited", "Invited a person"
    INVITATION_RENEWED = "invitation_renewed", "Sent an invitation again"
    INVITATION_REVOKED = "invitation_revoked", "Revoked an invitation"
    MEMBER_JOINED = "member_joined", "Joined"
    MEMBER_DEACTIVATED = "member_deactivated", "Deactivated a person"
    MEMBER_REACTIVATED = "member_reactivated", "Reactivated a person"
    ROLE_CHANGED = "role_changed", "Changed a role"
    SECOND_FACTOR_RESET = "second_factor_reset", "Reset a second factor"
    SIGN_IN_PROVIDER_SAVED = "sign_in_provider_saved", "Saved the sign-in provider"
    SIGN_IN_PROVIDER_REMOVED = (
        "sign_in_provider_removed",
        "Removed the sign-in provider",
    )
    COMPANY_CHANGED = "company_changed", "Changed the company"
    STEPS_CHANGED = "steps_changed", "Changed a list"
    CUSTOM_FIELD_ADDED = "custom_field_added", "Added a custom field"
    CUSTOM_FIELD_CHANGED = "custom_field_changed", "Changed a custom field"
    CUSTOM_FIELD_DELETED = "custom_field_deleted", "Deleted a custom field"
    SOURCE_ADDED = "source_added", "Added a source"
    SOURCE_CHANGED = "source_changed", "Changed a source"
    SOURCE_DELETED = "source_deleted", "Deleted a source"
    API_KEY_CREATED = "api_key_created", "Made an API key"
    API_KEY_REVOKED = "api_key_revoked", "Revoked an API key"
    TOKEN_SAVED = "token_saved", "Saved the access token"
    TOKEN_REMOVED = "token_removed", "Removed the access token"
    AD_ACCOUNT_SAVED = "ad_account_saved", "Saved the ad account"
    CONNECTION_RESUMED = "connection_resumed", "Resumed the connection"
    RULE_CREATED = "rule_created", "Added a rule"
    RULE_CHANGED = "rule_changed", "Changed a rule"
    RULE_RESUMED = "rule_resumed", "Resumed a rule"
    RULE_DELETED = "rule_deleted", "Deleted a rule"
    TEST_SENT = "test_sent", "Sent a test event"
    RETRY = "retry", "Retried events"
    CANCEL = "cancel", "Cancelled events"
    BACKFILL_STARTED = "backfill_started", "Started a backfill"
    BACKFILL_PAUSED = "backfill_paused", "Paused a backfill"
    BACKFILL_RESUMED = "backfill_resumed", "Resumed a backfill"
    BACKFILL_CANCELLED = "backfill_cancelled", "Cancelled a backfill"
    LEAD_DELETED = "lead_deleted", "Deleted a lead"
    LEADS_MERGED = "leads_merged", "Merged two leads"
    MERGE_UNDONE = "merge_undone", "Undid a merge of leads"
    DEAL_DELETED = "deal_deleted", "Deleted a deal"
    ORGANISATION_RENAMED = "organisation_renamed", "Renamed an organisation"
    BULK_CHANGE = "bulk_change", "Changed many leads"
    BULK_CHANGE_CANCELLED = "bulk_change_cancelled", "Cancelled a change of many leads"
    IMPORT = "import", "Imported a file"
    IMPORT_CANCELLED = "import_cancelled", "Cancelled an import"
    IMPORT_UNDONE = "import_undone", "Undid an import"
    EXPORT = "export", "Exported"
    ERASURE = "erasure", "Erased a person"


# Field names that need more than their underscores replaced
FIELD_LABELS: Final = {
    "ad_account_id": "ad account id",
    "crm_event": "CRM event",
    "is_active": "active",
    "linkedin_id": "LinkedIn rule id",
    "send_value": "sends the value",
}


class ActorKind(models.TextChoices):
    USER = "user", "Person"
    API_KEY = "api_key", "API key"
    SYSTEM = "system", "Operator"


class AppendOnly(Exception):
    """Audit entries can only be added, by `crm.services.audit.record`."""


class AuditEntryQuerySet(CompanyQuerySet["AuditEntry"]):
    def update(self, **kwargs: Any) -> Never:
        raise AppendOnly("An audit entry can't be changed.")

    def delete(self) -> Never:
        raise AppendOnly("An audit entry can't be deleted.")

    def bulk_create(
        self,
        objs: Iterable["AuditEntry"],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list["AuditEntry"]:
        if update_conflicts:
            raise AppendOnly("An audit entry can't be changed.")
        return super().bulk_create(objs, batch_size, ignore_conflicts)


class AuditEntry(models.Model):
    """An action or an attempt.

    The actor is stored as an id and a name, which outlive the user or key. `object_label` never has a lead's name.
    `details` hold ids, numbers and field names, never a token, an address or a hash.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="audit_entries", db_index=False
    )
    at = models.DateTimeField(db_default=Now())
    action = models.CharField(max_length=30, choices=AuditAction.choices)
    actor_kind = models.CharField(max_length=10, choices=ActorKind.choices)
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=310)
    object_kind = models.CharField(max_length=30, blank=True)
    object_id = models.BigIntegerField(null=True)
    object_label = models.CharField(max_length=120, blank=True)
    details = models.JSONField(default=dict)

    objects: ClassVar[AuditEntryQuerySet] = AuditEntryQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-pk"]
        indexes = [models.Index(fields=["company", "-id"], name="audit_newest_first")]

    def __str__(self) -> str:
        return f"{self.get_action_display()} #{self.pk}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the entry. Raises AppendOnly if it already exists."""
        if not self._state.adding:
            raise AppendOnly("An audit entry can't be changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Never:
        raise AppendOnly("An audit entry can't be deleted.")

    @property
    def summary(self) -> str:
        """The details as "fields: name, active; active: yes"."""
        return "; ".join(
            f"{_as_text(name)}: {_as_text(value)}"
            for name, value in self.details.items()
        )


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_as_text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return FIELD_LABELS.get(str(value), str(value).replace("_", " "))
