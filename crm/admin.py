"""The operator's own view of the data, behind Django's admin. Changes here fire CRM events like any other."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from crm.accounts import admin as accounts_admin  # noqa: F401 - registers people
from crm.models import ApiKey, AuditEntry, Company, CrmEvent, Deal, Lead, LeadMeaning, LeadStatus, Stage
from crm.read_only import ReadOnly, Unwritten
from crm.services import change_status, deactivate_company, reactivate_company


@admin.register(Company)
class CompanyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "slug", "is_active", "currency", "created_at")
    list_filter = ("is_active",)
    search_fields = ("name", "slug")
    actions = ("deactivate", "reactivate")

    @admin.action(description="Deactivate: let nobody in and send nothing", permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Company]) -> None:
        for company in queryset:
            deactivate_company(company=company)
        self.message_user(request, "They are deactivated. What was waiting to be sent is cancelled.")

    @admin.action(description="Activate", permissions=["change"])
    def reactivate(self, request: HttpRequest, queryset: QuerySet[Company]) -> None:
        for company in queryset:
            reactivate_company(company=company)
        self.message_user(request, "They are active. What happens from now on is sent.")


@admin.register(LeadStatus, Stage)
class StepAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "company", "meaning", "position")
    list_filter = ("meaning",)
    list_select_related = ("company",)
    search_fields = ("name", "company__name")
    autocomplete_fields = ("company",)


@admin.register(Lead)
class LeadAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "email", "company", "status", "owner", "created_at")
    list_editable = ("status",)
    list_filter = ("status__meaning", "share_with_ad_platforms", "type")
    list_select_related = ("company", "status", "owner")
    search_fields = ("first_name", "last_name", "email", "organisation")
    autocomplete_fields = ("company", "status", "owner")
    actions = ("mark_as_qualified",)

    def has_change_permission(self, request: HttpRequest, obj: Lead | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.erased_at is None)

    @admin.action(description="Mark as qualified")
    def mark_as_qualified(self, request: HttpRequest, queryset: QuerySet[Lead]) -> None:
        """Give each lead its own company's first status with the meaning "qualified"."""
        changed = 0
        for company in Company.objects.filter(leads__in=queryset).distinct():
            status = LeadStatus.objects.first_for(company, LeadMeaning.QUALIFIED)
            own = Lead.objects.for_company(company).filter(pk__in=queryset.values("pk"))
            changed += change_status(leads=own, status=status)
        self.message_user(request, f"{changed} leads were marked as qualified.")


@admin.register(Deal)
class DealAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("title", "lead", "company", "stage", "amount", "currency")
    list_editable = ("stage",)
    list_filter = ("stage__meaning",)
    list_select_related = ("lead", "company", "stage")
    search_fields = ("title", "lead__first_name", "lead__last_name")
    autocomplete_fields = ("company", "lead", "stage", "owner")

    def has_change_permission(self, request: HttpRequest, obj: Deal | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.lead.erased_at is None)


@admin.register(CrmEvent)
class CrmEventAdmin(ReadOnly):
    list_display = ("kind", "company", "lead", "deal", "actor", "api_key", "occurred_at")
    list_filter = ("kind",)
    list_select_related = ("company", "lead", "deal", "actor", "api_key")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    list_display = ("action", "company", "actor_name", "object_label", "summary", "at")
    list_filter = ("action",)
    list_select_related = ("company",)


@admin.register(ApiKey)
class ApiKeyAdmin(Unwritten):
    """To look at and to delete. Keys are made where their text can be shown once: on the company page."""

    list_display = ("name", "prefix", "company", "role", "last_used_at", "revoked_at")
    list_select_related = ("company",)
    exclude = ("key_sha256",)
