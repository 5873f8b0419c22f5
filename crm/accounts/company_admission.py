"""Whom a company's own provider lets in: its members, and people with a pending invitation."""

import logging
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.shortcuts import redirect

from crm.accounts.company_provider import CompanyProvider, ProviderError, app_of
from crm.accounts.sessions import SIGN_OUT_URL
from crm.models import Membership, SignInProvider, User
from crm.services import people
from crm.services.openid_claims import Doubt

logger = logging.getLogger(__name__)

# Key of allauth's state: the id of the invitation that the person has opened.
INVITATION: Final = "invitation"
# Of RFC 6749, 4.1.2.1, and OpenID Connect Core 1.0, 3.1.2.6. Others are not logged: they could contain anything.
ANSWER_ERRORS: Final = frozenset(
    {
        "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "server_error",
        "temporarily_unavailable", "interaction_required", "login_required", "account_selection_required",
        "consent_required", "invalid_request_uri", "invalid_request_object", "request_not_supported",
        "request_uri_not_supported", "registration_not_supported",
    }
)  # fmt: skip


class CompanySignInAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Reads allauth's applications from our table, and lets in only those whom the provider's company has added."""

    def list_apps(
        self,
        request: HttpRequest,
        provider: str | None = None,
        client_id: str | None = None,
    ) -> list[SocialApp]:
        found = SignInProvider.objects.filter(
            code=provider or "", company__is_active=True
        ).first()
        return [app_of(found)] if found and client_id in (None, found.client_id) else []

    def get_app(
        self, request: HttpRequest, provider: str, client_id: str | None = None
    ) -> SocialApp:
        """The provider's application. Raises ValueError if it is gone, as allauth expects when it resumes a sign-in."""
        apps = self.list_apps(request, provider, client_id)
        if not apps:
            raise ValueError("This company has no provider.")
        return apps[0]

    def get_provider(
        self, request: HttpRequest, provider: str, client_id: str | None = None
    ) -> "CompanyProvider":
        return CompanyProvider(request, app=self.get_app(request, provider, client_id))

    def get_requests_session(self) -> NoReturn:
        raise NotImplementedError(
            "Requests to a provider go through crm.services.outbound."
        )

    def is_open_for_signup(
        self, request: HttpRequest, sociallogin: SocialLogin
    ) -> bool:
        return False

    @transaction.atomic
    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Find the member whom the provider identifies, or make the person one who is invited.

        Redirects with an explanation if there is neither.
        """
        provider = SignInProvider.objects.select_related("company").get(
            code=sociallogin.account.provider
        )
        # Outlasts the wait for a second factor.
        sociallogin.state[SIGN_OUT_URL] = sociallogin.sign_out_url
        if not sociallogin.is_existing:
            # First sign-ins are handled one at a time, so an address is never connected to two of the provider's ids.
            SignInProvider.objects.select_for_update(no_key=True).get(pk=provider.pk)
            sociallogin.lookup()
        members = (
            Membership.objects.for_company(provider.company)
            .active()
            .of_open_companies()
        )
        if sociallogin.is_existing:
            if not members.filter(user=sociallogin.user).exists():
                message = (
                    f"You no longer have access to {provider.company}. Ask an admin."
                )
                _refuse(
                    request,
                    provider,
                    message,
                    reason=f"User {sociallogin.user.pk} is no longer a member.",
                )
            return
        address = sociallogin.vouched_address
        if isinstance(address, Doubt):
            _refuse(
                request, provider, address.advice(provider.name), reason=address.reason
            )
        member = members.filter(user__email=address).select_related("user").first()
        user = member.user if member else _join(request, provider, sociallogin)
        if SocialAccount.objects.filter(provider=provider.code, user=user).exists():
            message = (
                f"{address} belongs to someone else at {provider.name}. Ask an admin."
            )
            _refuse(
                request,
                provider,
                message,
                reason=f"User {user.pk} has another id at the provider.",
            )
        sociallogin.connect(request, user)
        if member is None:
            messages.success(request, f"Welcome to {provider.company}.")

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: Mapping[str, Any] | None = None,
    ) -> NoReturn:
        found = SignInProvider.objects.filter(code=provider.sub_id).first()
        if found is None:
            raise ImmediateHttpResponse(redirect("login"))
        if error == AuthError.CANCELLED:
            logger.info(
                "A sign-in with provider %s was cancelled or not allowed there.",
                found.code,
            )
            messages.info(
                request,
                f"You were not signed in: this was cancelled, or {found.name} doesn't allow it.",
            )
            raise ImmediateHttpResponse(redirect("company_sign_in", found.code))
        reason = (
            _about(exception)
            if exception
            else _about_answer(request, has_state="state" in (extra_context or {}))
        )
        _refuse(
            request,
            found,
            f"Signing in with {found.name} did not work. Try again, or ask an admin.",
            reason=reason,
        )


# Why an invitation can't be accepted: what the person reads, and the reason for the log.
REFUSALS: Final[Mapping[type[Exception], tuple[str, str]]] = {
    people.InvitationGone: (
        "{company} has not added {address}. Ask an admin for an invitation.",
        "No member and no pending invitation has the address.",
    ),
    people.AlreadyMember: (
        "You no longer have access to {company}. Ask an admin.",
        "The invited person is a member without access.",
    ),
    people.HasAccount: (
        "{address} already has an account. Open the link in your invitation, and continue from there.",
        "The invited person has an account, and did not come from the invitation.",
    ),
    people.NotConfirmed: (
        "The account of {address} is not confirmed yet. Set a new password by mail, then open your invitation again.",
        "The invited person's account is not confirmed.",
    ),
    IntegrityError: (
        "Someone has just signed up as {address}. Try again.",
        "The account was made at the same moment.",
    ),
}


def _join(
    request: HttpRequest, provider: SignInProvider, sociallogin: SocialLogin
) -> User:
    """The user of the person who is invited, now a member. Redirects with an explanation if there is no invitation."""
    first_name, last_name = sociallogin.names
    try:
        user = people.accept_invitation_by_provider(
            company=provider.company,
            email=sociallogin.vouched_address,
            opened_id=sociallogin.state.get(INVITATION),
            first_name=first_name,
            last_name=last_name,
        )
    except tuple(REFUSALS) as error:
        message, reason = REFUSALS[type(error)]
        message = message.format(
            company=provider.company, address=sociallogin.vouched_address
        )
        _refuse(request, provider, message, reason=reason)
    return user


def _about(error: Exception) -> str:
    """The message of an error of ours, or else only the type: other messages may contain what the provider sent."""
    return str(error) if isinstance(error, ProviderError) else type(error).__name__


def _about_answer(request: HttpRequest, *, has_state: bool) -> str:
    """What is wrong with what the provider sent the browser back with. Of its error, only a code of the standards."""
    if not has_state:
        return "The answer is for no sign-in of this browser: it was used already, or is more than ten minutes late."
    if "error" not in request.GET:
        return "The answer has no code."
    code = request.GET["error"]
    return f"The provider answered {code if code in ANSWER_ERRORS else 'with an unknown error'}."


def _refuse(
    request: HttpRequest, provider: SignInProvider, message: str, *, reason: str
) -> NoReturn:
    """Show the message on the company's sign-in page. The reason is for the log."""
    logger.warning("A sign-in with provider %s failed: %s", provider.code, reason)
    messages.error(request, message)
    raise ImmediateHttpResponse(redirect("company_sign_in", provider.code))
