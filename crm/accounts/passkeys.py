"""Passkeys: the fingerprint, face or PIN of a device, as a second factor and for signing in without a password.

allauth's views, with two differences. Each passkey is kept on the device and asks for the finger, face or PIN, so it
serves both purposes. And after an error, the user is back on the page that they came from.
"""

from typing import Any

from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn import views
from allauth.mfa.webauthn.internal import auth
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.urls import reverse, reverse_lazy
from django.utils.decorators import method_decorator

from crm.accounts.decorators import checked_again


class PasskeysView(views.ListWebAuthnView):  # type: ignore[misc]
    def get_queryset(self) -> QuerySet[Authenticator]:
        return super().get_queryset().order_by("pk")  # type: ignore[no-any-return]


@method_decorator(checked_again, name="dispatch")
class AddPasskeyView(views.AddWebAuthnView):  # type: ignore[misc]
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        options = auth.begin_registration(self.request.user, passwordless=True)
        return {**context, "passkey_options": options}

    @transaction.atomic
    def form_valid(self, form: Form) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        return response

    def get_success_url(self) -> str:
        return reverse(
            "mfa_view_recovery_codes"
            if self.did_generate_recovery_codes
            else "mfa_list_webauthn"
        )


class RenamePasskeyView(views.EditWebAuthnView):  # type: ignore[misc]
    success_url = reverse_lazy("mfa_list_webauthn")


class PasskeySignInView(views.LoginWebAuthnView):  # type: ignore[misc]
    def form_invalid(self, form: Form) -> HttpResponse:
        return _again(self.request, form, "login")


class ConfirmByPasskeyView(views.ReauthenticateWebAuthnView):  # type: ignore[misc]
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        return {**context, "passkey_options": context["js_data"]["request_options"]}

    def form_invalid(self, form: Form) -> HttpResponse:
        return _again(self.request, form, "mfa_reauthenticate_webauthn")


class SecondFactorView(AuthenticateView):  # type: ignore[misc]
    """The second step of signing in: a code or a passkey, whichever the user has."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        types = set(
            Authenticator.objects.filter(user=self.stage.login.user).values_list(
                "type", flat=True
            )
        )
        if Authenticator.Type.WEBAUTHN in types and not self.auth_form.errors:
            # The button for the passkey comes first.
            self.auth_form.fields["code"].widget.attrs.pop("autofocus")
        return {
            **context,
            "has_app": Authenticator.Type.TOTP in types,
            "is_locked": self.auth_form.has_error("code", "too_many_codes_in_all"),
            "has_passkey": Authenticator.Type.WEBAUTHN in types,
            "passkey_options": context["js_data"]["request_options"],
        }


def _again(request: HttpRequest, form: Form, page: str) -> HttpResponse:
    """Back to the page with the button, with the error as a message."""
    for message in form.errors.get("credential", []):
        messages.error(request, str(message))
    return redirect_to_login(request.POST.get(REDIRECT_FIELD_NAME, ""), page)
