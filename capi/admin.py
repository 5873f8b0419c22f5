"""The operator's view of the LinkedIn integration: read only, and it never shows a token."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from capi.models import Attempt, Connection, ConversionEvent, ConversionRule
from crm.admin import ReadOnlyAdmin


@admin.register(Connection)
class ConnectionAdmin(ReadOnlyAdmin):
    list_display = (
        "company",
        "is_paused",
        "paused_reason",
        "ad_account_id",
        "next_attempt_at",
        "leased_until",
    )
    list_filter = ("is_paused", "paused_reason")
    list_select_related = ("company",)
    fields = (
        "company",
        "ad_account_id",
        "is_paused",
        "paused_reason",
        "paused_at",
        "paused_version",
        "leased_until",
        "next_attempt_at",
        "resting_since",
        "rest_cause",
        "failures_in_a_row",
        "throttles_in_a_row",
        "body_limit",
    )


@admin.register(ConversionRule)
class ConversionRuleAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "company",
        "crm_event",
        "linkedin_id",
        "is_active",
        "is_paused",
        "paused_reason",
    )
    list_filter = ("crm_event", "is_active", "is_paused")
    list_select_related = ("company",)


@admin.register(ConversionEvent)
class ConversionEventAdmin(ReadOnlyAdmin):
    list_display = (
        "event_id",
        "company",
        "rule",
        "state",
        "reason",
        "http_status",
        "attempts",
        "is_test",
        "created_at",
    )
    list_filter = ("state", "is_test")
    list_select_related = ("company", "rule")


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    list_display = (
        "pk",
        "company",
        "rule",
        "started_at",
        "duration_ms",
        "event_count",
        "http_status",
        "code",
    )
    list_select_related = ("company", "rule")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        # Up to 200 kB each, and never displayed.
        return super().get_queryset(request).defer("sent_hashes")
