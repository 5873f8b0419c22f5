"""A company's sign-in provider, and the people it has vouched for."""

from allauth.socialaccount.models import SocialAccount
from django.db import transaction

from crm.models import AuditAction, Company, SignInProvider
from crm.models.crypto import KeyState, Unreadable, reseal, state_of
from crm.services import audit
from crm.services.openid import OpenIdError, discover
from crm.services.outbound import OutboundClient, ShareInUse


def save_provider(*, provider: SignInProvider, secret: str, fields: list[str]) -> None:
    """Save the provider once it has answered; of an existing one, only these `fields`. Raises OpenIdError.

    An empty `secret` keeps the stored one.

    If the issuer or the client id changes, people's links to it are deleted and their sessions end: the same id may be
    someone else.
    """
    provider.issuer = _answering(provider)
    if secret:
        provider.secret = secret
    with transaction.atomic():
        if {"issuer", "client_id"} & {*fields}:
            SocialAccount.objects.filter(provider=provider.code).delete()
        written = [*fields, "sealed_secret"] if secret else fields
        provider.save(update_fields=None if provider._state.adding else written)
        audit.record(
            company=provider.company_id,
            action=AuditAction.SIGN_IN_PROVIDER_SAVED,
            details={"fields": sorted({*fields} | ({"secret"} if secret else set()))},
        )


def _answering(provider: SignInProvider) -> str:
    """The issuer as the provider itself writes it. Raises OpenIdError."""
    try:
        with OutboundClient(company_id=provider.company_id) as outbound:
            return discover(provider.issuer, outbound=outbound).issuer
    except ShareInUse as error:
        raise OpenIdError(str(error)) from None


@transaction.atomic
def remove_provider(*, company: Company) -> None:
    """Remove the provider. Sessions that it made end with it, and everyone signs in with password or passkey again."""
    for provider in SignInProvider.objects.for_company(company):
        SocialAccount.objects.filter(provider=provider.code).delete()
        provider.delete()
        audit.record(company=company, action=AuditAction.SIGN_IN_PROVIDER_REMOVED)


def secret_states() -> list[tuple[str, KeyState]]:
    """The company (slug and id) and key state of each client secret."""
    providers = SignInProvider.objects.select_related("company").order_by("pk")
    return [
        (f"{each.company.slug} (company {each.company_id})", secret_state(each))
        for each in providers
    ]


def rotate_secrets() -> int:
    """Encrypt secrets that have an older key with the newest one. Returns how many were changed."""
    return sum(map(_rotate, SignInProvider.objects.order_by("pk")))


def secret_state(provider: SignInProvider) -> KeyState:
    """Which key decrypts its secret. Another company's secret is UNREADABLE, whatever its key."""
    try:
        _ = provider.secret
    except Unreadable:
        return KeyState.UNREADABLE
    return state_of(provider.sealed_secret)


def _rotate(provider: SignInProvider) -> int:
    if secret_state(provider) != KeyState.OLDER:
        return 0
    sealed = provider.sealed_secret
    # Only if unchanged since it was read, as for access tokens.
    return SignInProvider.objects.filter(pk=provider.pk, sealed_secret=sealed).update(
        sealed_secret=reseal(sealed)
    )
