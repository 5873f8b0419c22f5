"""The operator's admin. Changes here fire CRM events like any other."""

from collections.abc import Callable
from typing import Any

from allauth.account.admin import EmailAddressAdmin
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from crm.accounts.forms import AccountEmailField
from crm.forms.deal_outcomes import OutcomeForm
from crm.forms.row_forms import DealRowForm, OwnErrorsMixin
from crm.models import (
    ApiKey,
    AuditEntry,
    Company,
    CrmEvent,
    Deal,
    Invitation,
    Lead,
    LeadMeaning,
    LeadStatus,
    LostReason,
    Membership,
    Pipeline,
    Stage,
    User,
)
from crm.models.roles import Role
from crm.services import people
from crm.services.companies import deactivate_company, reactivate_company
from crm.services.editing import change_status, delete


class KnownKeysSelect(AutocompleteSelect):
    """Django's widget, without its error on a submitted value that can't be a key."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        return super().optgroups(
            name, [each for each in value if self._can_be_key(each)], attr
        )

    def _can_be_key(self, value: object) -> bool:
        try:
            self.field.target_field.to_python(value)
        except ValidationError:
            return False
        return True


class AutocompleteAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """For models that refer to more rows than a drop-down could offer."""

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", KnownKeysSelect(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class DeleteOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """View and delete only. Changes go through the services, with their checks and audit entries."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(DeleteOnlyAdmin):
    """View only."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Company)
class CompanyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "slug", "is_active", "currency", "created_at")
    list_filter = ("is_active",)
    search_fields = ("name", "slug")
    actions = ("deactivate", "reactivate")

    @admin.action(
        description="Deactivate: end all access and send nothing",
        permissions=["change"],
    )
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Company]) -> None:
        for company in queryset:
            deactivate_company(company=company)
        self.message_user(request, "Deactivated. Pending events were cancelled.")

    @admin.action(description="Activate", permissions=["change"])
    def reactivate(self, request: HttpRequest, queryset: QuerySet[Company]) -> None:
        for company in queryset:
            reactivate_company(company=company)
        self.message_user(request, "Activated. New events are sent from now on.")


@admin.register(LeadStatus, Stage)
class StepAdmin(ReadOnlyAdmin):
    """View only. Admins of the company change them, with the checks that keep events true."""

    list_display = ("name", "company", "meaning", "position")
    list_filter = ("meaning",)
    list_select_related = ("company",)
    search_fields = ("name", "company__name")


class DeletionOnRecordAdmin(AutocompleteAdmin):
    """Leads and deals, whose deletion is in their company's audit log."""

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        delete(row=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            delete(row=row)


@admin.register(LostReason, Pipeline)
class CompanyListAdmin(ReadOnlyAdmin):
    """View only, as are statuses and stages."""

    list_display = ("name", "company", "archived_at")
    list_select_related = ("company",)
    search_fields = ("name", "company__name")


@admin.register(Lead)
class LeadAdmin(DeletionOnRecordAdmin):
    list_display = ("name", "email", "company", "status", "owner", "created_at")
    list_editable = ("status",)
    list_filter = ("status__meaning", "share_with_ad_platforms")
    list_select_related = ("company", "status", "owner")
    search_fields = ("first_name", "last_name", "email", "organisation")
    autocomplete_fields = ("company", "status", "owner")
    actions = ("mark_as_qualified",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lead]:
        """Without leads that were merged into others: nothing is written to them, and no deal may get one."""
        return super().get_queryset(request).filter(merged_into=None)

    def has_change_permission(
        self, request: HttpRequest, obj: Lead | None = None
    ) -> bool:
        return super().has_change_permission(request, obj) and (
            obj is None or obj.is_current
        )

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(
            request, **{"form": OwnErrorsMixin, **kwargs}
        )

    @admin.action(description="Mark as qualified")
    def mark_as_qualified(self, request: HttpRequest, queryset: QuerySet[Lead]) -> None:
        """Give each lead its company's first status with the meaning "qualified"."""
        changed = 0
        for company in Company.objects.filter(leads__in=queryset).distinct():
            try:
                status = LeadStatus.objects.first_for(company, LeadMeaning.QUALIFIED)
            except ValidationError as error:
                self.message_user(
                    request, f"Not marked: {error.messages[0]}", messages.ERROR
                )
                continue
            own = Lead.objects.for_company(company).filter(pk__in=queryset.values("pk"))
            changed += change_status(leads=own, status=status)
        self.message_user(request, f"{changed} leads were marked as qualified.")


@admin.register(Deal)
class DealAdmin(DeletionOnRecordAdmin):
    form = OutcomeForm
    list_display = ("title", "lead", "company", "stage", "amount", "currency")
    list_editable = ("stage",)
    list_filter = ("stage__meaning",)
    list_select_related = ("lead", "company", "stage")
    search_fields = ("title", "lead__first_name", "lead__last_name")
    autocomplete_fields = ("company", "lead", "stage", "owner", "lost_reason")

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        # Erased leads too: their deals stay, but can't be changed.
        if db_field.name == "lead":
            kwargs["queryset"] = Lead.objects.filter(merged_into=None)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_change_permission(
        self, request: HttpRequest, obj: Deal | None = None
    ) -> bool:
        return super().has_change_permission(request, obj) and (
            obj is None or obj.lead.erased_at is None
        )

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **{"form": DealRowForm, **kwargs})


@admin.register(CrmEvent)
class CrmEventAdmin(ReadOnlyAdmin):
    list_display = (
        "kind",
        "company",
        "lead",
        "deal",
        "actor",
        "api_key",
        "occurred_at",
    )
    list_filter = ("kind",)
    list_select_related = ("company", "lead", "deal", "actor", "api_key")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("action", "company", "actor_name", "object_label", "summary", "at")
    list_filter = ("action",)
    list_select_related = ("company",)


@admin.register(ApiKey)
class ApiKeyAdmin(DeleteOnlyAdmin):
    """View and delete only. Keys are created on the company page, which can show their text once."""

    list_display = (
        "name",
        "prefix",
        "company",
        "role",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_select_related = ("company",)
    exclude = ("key_sha256",)


# People: no secrets are shown, and changes to members go through the services.

admin.site.register(User, UserAdmin)
for model in (
    Authenticator,
    EmailAddress,
    SocialAccount,
    SocialApp,
    SocialToken,
    UserSession,
):
    admin.site.unregister(model)


class AddressForm(forms.ModelForm):  # type: ignore[type-arg]
    """An address in its normal form, as everywhere else: a second spelling would be a second name for an account."""

    email = AccountEmailField()


@admin.register(EmailAddress)
class AddressAdmin(EmailAddressAdmin):  # type: ignore[misc]
    form = AddressForm


@admin.register(Authenticator)
class SecondFactorAdmin(DeleteOnlyAdmin):
    """View only, and delete for a user who has lost their phone and recovery codes. Verify who is asking first."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    exclude = ("data",)


@admin.register(UserSession)
class SessionAdmin(DeleteOnlyAdmin):
    """View only, and delete, which signs the user out there."""

    list_display = ("user", "created_at", "last_seen_at", "ip", "user_agent")
    list_select_related = ("user",)
    search_fields = ("user__username", "ip")
    exclude = ("data",)

    def delete_model(self, request: HttpRequest, obj: UserSession) -> None:
        obj.end()

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[UserSession]
    ) -> None:
        for session in queryset:
            session.end()


@admin.register(Invitation)
class InvitationAdmin(DeleteOnlyAdmin):
    """View and delete only. Admins of the company send invitations."""

    list_display = (
        "email",
        "company",
        "role",
        "invited_by",
        "sent_at",
        "accepted_at",
        "revoked_at",
    )
    list_select_related = ("company", "invited_by")
    exclude = ("token_sha256",)


@admin.register(Membership)
class MembershipAdmin(AutocompleteAdmin):
    """Members are added here and changed with the actions, which always leave a company an admin."""

    list_display = ("user", "company", "role", "is_active")
    list_filter = ("role", "is_active")
    list_select_related = ("user", "company")
    autocomplete_fields = ("user", "company")
    actions = ("make_admin", "make_sales", "make_ops", "deactivate", "reactivate")

    def has_change_permission(
        self, request: HttpRequest, obj: Membership | None = None
    ) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: Membership | None = None
    ) -> bool:
        return False

    @admin.action(description="Give the role Admin")
    def make_admin(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        self._each(
            request,
            queryset,
            lambda one: people.change_role(membership=one, role=Role.ADMIN),
        )

    @admin.action(description="Give the role Sales")
    def make_sales(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        self._each(
            request,
            queryset,
            lambda one: people.change_role(membership=one, role=Role.SALES),
        )

    @admin.action(description="Give the role Ops")
    def make_ops(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        self._each(
            request,
            queryset,
            lambda one: people.change_role(membership=one, role=Role.OPS),
        )

    @admin.action(description="Deactivate")
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        self._each(request, queryset, lambda one: people.deactivate(membership=one))

    @admin.action(description="Reactivate")
    def reactivate(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        self._each(request, queryset, lambda one: people.reactivate(membership=one))

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Membership],
        do: Callable[[Membership], None],
    ) -> None:
        for membership in queryset:
            try:
                do(membership)
            except people.LastAdmin:
                self.message_user(
                    request,
                    f"{membership} is the company's last admin and was not changed.",
                    messages.ERROR,
                )
            else:
                self.message_user(request, f"{membership.user} was changed.")
