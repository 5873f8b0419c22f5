"""People in the operator's admin: nothing secret is shown, and what is done to members goes through the services."""

from collections.abc import Callable

from allauth.mfa.models import Authenticator
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest

from crm import members
from crm.models import Invitation, Membership, User
from crm.read_only import Unwritten
from crm.roles import Role

admin.site.register(User, UserAdmin)
admin.site.unregister(Authenticator)


@admin.register(Authenticator)
class SecondFactorAdmin(Unwritten):
    """To look at, and to delete for somebody who lost phone and recovery codes, once it is sure who asks."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    exclude = ("data",)


@admin.register(Invitation)
class InvitationAdmin(Unwritten):
    """To look at, and to delete. Admins of the company invite."""

    list_display = ("email", "company", "role", "invited_by", "sent_at", "accepted_at", "revoked_at")
    list_select_related = ("company", "invited_by")
    exclude = ("token_sha256",)


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Members are added here and changed by the actions, which never leave a company without an admin."""

    list_display = ("user", "company", "role", "is_active")
    list_filter = ("role", "is_active")
    list_select_related = ("user", "company")
    autocomplete_fields = ("user", "company")
    actions = ("make_admin", "make_sales", "make_ops", "deactivate", "reactivate")

    def has_change_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        return False

    @admin.action(description="Give the role Admin")
    def make_admin(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        self._each(request, queryset, lambda one: members.change_role(membership=one, role=Role.ADMIN))

    @admin.action(description="Give the role Sales")
    def make_sales(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        self._each(request, queryset, lambda one: members.change_role(membership=one, role=Role.SALES))

    @admin.action(description="Give the role Ops")
    def make_ops(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        self._each(request, queryset, lambda one: members.change_role(membership=one, role=Role.OPS))

    @admin.action(description="Deactivate")
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        self._each(request, queryset, lambda one: members.deactivate(membership=one))

    @admin.action(description="Reactivate")
    def reactivate(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        self._each(request, queryset, lambda one: members.reactivate(membership=one))

    def _each(self, request: HttpRequest, queryset: QuerySet[Membership], do: Callable[[Membership], None]) -> None:
        for membership in queryset:
            try:
                do(membership)
            except members.LastAdmin:
                self.message_user(request, f"{membership} is their company's last admin, and stays.", messages.ERROR)
            else:
                self.message_user(request, f"{membership.user} was changed.")
