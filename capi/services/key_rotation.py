"""Report which key seals each secret, and reseal all secrets under the newest key."""

from dataclasses import dataclass

from django.db.models import QuerySet

from capi.models import Connection
from capi.models.token import key_state_of, reseal
from crm.accounts.mfa import rotate_secrets, secret_states
from crm.models import IntakeSource
from crm.models.crypto import KeyState
from crm.services import sign_in_providers


@dataclass(frozen=True, slots=True)
class Inventory:
    """The key state of each secret: tokens and client secrets by company (slug and id), second factors by user id.

    The client secrets are those of sign-in providers and of sources.
    """

    tokens: list[tuple[str, KeyState]]
    client_secrets: list[tuple[str, KeyState]]
    second_factors: list[tuple[int, KeyState]]

    def count(self, state: KeyState) -> int:
        """How many secrets are in this state."""
        return [
            each
            for _, each in (*self.tokens, *self.client_secrets, *self.second_factors)
        ].count(state)


def take_inventory() -> Inventory:
    """Check every secret. Writes nothing."""
    tokens = [
        (
            f"{slug} (company {company_id})",
            key_state_of(company_id=company_id, sealed=sealed),
        )
        for company_id, slug, sealed in _sealed_tokens().values_list(
            "company_id", "company__slug", "sealed_token"
        )
    ]
    return Inventory(
        tokens=tokens,
        client_secrets=[*sign_in_providers.secret_states(), *_source_secret_states()],
        second_factors=secret_states(),
    )


def rotate() -> int:
    """Reseal under the newest key every secret that an older key seals. Returns how many were resealed.

    Unreadable secrets stay as they are. Deliveries continue meanwhile, and the next run finishes an interrupted one.
    """
    tokens = _sealed_tokens().values_list("pk", "company_id", "sealed_token")
    resealed = sum(_rotate(*token) for token in list(tokens))
    sources = _sealed_sources().values_list("pk", "company_id", "sealed_secret")
    resealed += sum(_rotate_source(*source) for source in list(sources))
    return resealed + sign_in_providers.rotate_secrets() + rotate_secrets()


def _rotate(pk: int, company_id: int, sealed: str) -> int:
    if key_state_of(company_id=company_id, sealed=sealed) != KeyState.OLDER:
        return 0
    resealed = reseal(company_id=company_id, sealed=sealed)
    # Only if unchanged since it was read: a token saved meanwhile is already under the newest key.
    return Connection.objects.filter(pk=pk, sealed_token=sealed).update(
        sealed_token=resealed
    )


def _rotate_source(pk: int, company_id: int, sealed: str) -> int:
    if key_state_of(company_id=company_id, sealed=sealed) != KeyState.OLDER:
        return 0
    resealed = reseal(company_id=company_id, sealed=sealed)
    return IntakeSource.objects.filter(pk=pk, sealed_secret=sealed).update(
        sealed_secret=resealed
    )


def _source_secret_states() -> list[tuple[str, KeyState]]:
    return [
        (
            f"{slug} (company {company_id}, source {pk})",
            key_state_of(company_id=company_id, sealed=sealed),
        )
        for pk, company_id, slug, sealed in _sealed_sources().values_list(
            "pk", "company_id", "company__slug", "sealed_secret"
        )
    ]


def _sealed_sources() -> QuerySet[IntakeSource]:
    return IntakeSource.objects.exclude(sealed_secret="").order_by("pk")


def _sealed_tokens() -> QuerySet[Connection]:
    return Connection.objects.exclude(sealed_token="").order_by("pk")
