"""The Django admin, for the operator's staff. It uses our own sign-in page and requires a second factor."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import TO_FIELD_VAR
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from crm.accounts.mfa import has_shown_second_factor, second_factors
from crm.accounts.sessions import provider_of
from leadmachine.version import VERSION
from postgresql.bounds import LONG_SECONDS, statements_may_take

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def _refusing_odd_names(view: View) -> View:
    """Raise SuspiciousOperation (400) if `_to_field` is empty or a selected row is no number: Django fails on both."""

    @wraps(view)
    def careful(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if any(
            values.get(TO_FIELD_VAR) == "" for values in (request.GET, request.POST)
        ):
            raise SuspiciousOperation(f"{TO_FIELD_VAR} is empty.")
        if not all(
            re.fullmatch("[0-9]{1,18}", row)
            for row in request.POST.getlist(ACTION_CHECKBOX_NAME)
        ):
            raise SuspiciousOperation("A selected row is no number.")
        return view(request, *args, **kwargs)

    return cast(View, careful)


class DeclaredLookupsAdmin(ModelAdmin):  # type: ignore[type-arg]
    """A list is filtered by the fields in its `list_filter` and by no others, and rows are named by their keys alone.

    Django allows every column of the model, also those that no page shows: with `?session_key__startswith=ab`, the key
    of a session could be read character by character.
    """

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        fields = self.get_list_filter(request)
        # Of Django's filters by choice and by relation.
        declared = {
            f"{field}{ending}"
            for field in fields
            for ending in ("__exact", "__isnull", "__id__exact")
        }
        return lookup in declared and super().lookup_allowed(lookup, value, request)

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        return to_field == self.opts.pk.name


class OperatorSite(AdminSite):
    site_header = site_title = "LeadMachine"
    index_title = f"LeadMachine {VERSION}"

    def register(
        self, model_or_iterable: Any, admin_class: Any = None, **options: Any
    ) -> None:
        """Register our admins and those of packages, limited by DeclaredLookupsAdmin."""
        given = admin_class or ModelAdmin
        super().register(
            model_or_iterable,
            type(given.__name__, (DeclaredLookupsAdmin, given), {}),
            **options,
        )

    def has_permission(self, request: Any) -> bool:
        """Return True for active staff who signed in with a second factor, and not by a company's provider."""
        is_trusted = super().has_permission(request) and has_shown_second_factor(
            request
        )
        return is_trusted and not provider_of(request, request.user)

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Wrap the view as Django does, with a longer statement limit: deleting a large company takes a while."""
        return statements_may_take(LONG_SECONDS)(
            _refusing_odd_names(super().admin_view(view, cacheable))
        )

    @method_decorator(never_cache)
    @method_decorator(login_not_required)
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect users without access to the page where they get it. Raises PermissionDenied for non-staff users."""
        next_url = request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index")
        if not request.user.is_authenticated:
            return redirect_to_login(next_url, settings.LOGIN_URL)
        if not request.user.is_staff:
            raise PermissionDenied(
                "The administration is for the staff of this installation."
            )
        if provider_of(request, request.user):
            raise PermissionDenied(
                "The administration needs your own password: sign out, then sign in with it."
            )
        factors = second_factors(request.user)
        if Authenticator.Type.TOTP in factors:
            return redirect_to_login(next_url, "mfa_reauthenticate")
        if factors:
            return redirect_to_login(next_url, "mfa_reauthenticate_webauthn")
        messages.warning(
            request,
            "The administration needs a second factor. Set up an authenticator app first.",
        )
        return redirect_to_login(next_url, "mfa_activate_totp")
