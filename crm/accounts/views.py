"""The account page, and views that differ from allauth's."""

from typing import Any, cast

from allauth.account.models import EmailAddress
from allauth.account.views import EmailVerificationSentView, EmailView, LoginView
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.views import ActivateTOTPView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator

from crm.accounts.codes import use_step
from crm.accounts.company_sign_in import COOKIE, ask_again
from crm.accounts.decorators import checked_again
from crm.accounts.forms import FirstCodeForm, ProfileForm
from crm.accounts.mfa import has_unreadable_factor, second_factors
from crm.accounts.sessions import SIGN_OUT_URL, provider_of
from crm.accounts.typed_forms import is_typed_kept
from crm.models import SignInProvider, User


class SignInView(LoginView):  # type: ignore[misc]
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        known = SignInProvider.objects.filter(
            code=self.request.COOKIES.get(COOKIE, ""), company__is_active=True
        )
        return {
            **super().get_context_data(**kwargs),
            "signup_is_open": settings.SIGNUP,
            "provider": known.select_related("company").first(),
            "is_typed_kept": is_typed_kept(self.request),
        }

    def render_to_response(
        self, context: dict[str, Any], **response_kwargs: Any
    ) -> HttpResponse:
        response: HttpResponse = super().render_to_response(context, **response_kwargs)
        if self.request.htmx:
            # The session ended while a page was open: reload the page, rather than show the form inside part of it.
            response["HX-Refresh"] = "true"
        return response


class CheckYourInboxView(EmailVerificationSentView):  # type: ignore[misc]
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        is_printed = settings.DEBUG and settings.EMAIL_BACKEND.endswith(
            "console.EmailBackend"
        )
        return {**super().get_context_data(**kwargs), "mail_is_printed": is_printed}


def account(request: HttpRequest) -> HttpResponse:
    """The user's account: name, dates, address, password, second factor and sessions. POST saves name and dates."""
    user = cast(User, request.user)
    form = ProfileForm(request.POST or None, instance=User.objects.get(pk=user.pk))
    if form.is_valid():
        form.save()
        messages.success(request, "Your account was saved.")
        return redirect("account")
    factors = second_factors(user)
    codes = Authenticator.objects.filter(
        user=user, type=Authenticator.Type.RECOVERY_CODES
    ).first()
    context = {
        "form": form,
        "provider": SignInProvider.objects.filter(code=provider_of(request, user))
        .select_related("company")
        .first(),
        "new_address": EmailAddress.objects.get_new(user),
        "has_app": Authenticator.Type.TOTP in factors,
        "passkeys": factors.count(Authenticator.Type.WEBAUTHN),
        "unreadable": has_unreadable_factor(user),
        "codes_left": len(codes.wrap().get_unused_codes()) if codes else 0,
    }
    return render(request, "crm/account.html", context)


class AddressView(EmailView):  # type: ignore[misc]
    """Changes the e-mail address. The old one is in use until the new one is confirmed."""

    success_url = reverse_lazy("account")

    @transaction.atomic
    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Make a second request of the same user wait: its address then replaces that of the first, as it should."""
        User.objects.select_for_update().get(pk=cast(User, request.user).pk)
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return response


@method_decorator(checked_again, name="dispatch")
class SetUpAppView(ActivateTOTPView):  # type: ignore[misc]
    """Sets up an authenticator app. The code that confirms it can't be used again to sign in."""

    @transaction.atomic
    def form_valid(self, form: FirstCodeForm) -> HttpResponse:
        step = form.step()
        response: HttpResponse = super().form_valid(form)
        if step is not None:
            use_step(self.request.user.pk, step)
        return response


@method_decorator(login_not_required, name="dispatch")
class SignOutView(LogoutView):
    """Also works after the session has ended. If a company's provider made it, the person signs out there, too."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        code = (
            provider_of(request, request.user) if isinstance(request.user, User) else ""
        )
        url = request.session.get(SIGN_OUT_URL, "")
        response: HttpResponse = super().post(request, *args, **kwargs)
        provider = (
            SignInProvider.objects.filter(code=code).select_related("company").first()
        )
        if provider is None:
            return response
        # Or the person goes on here.
        if url and self.redirect_field_name not in request.POST:
            response = render(
                request,
                "account/company_sign_out.html",
                {"provider": provider, "url": url},
            )
        ask_again(response, code)
        return response
