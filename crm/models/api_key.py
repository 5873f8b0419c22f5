"""API keys: what a script may do in one company, until when, and from where."""

import secrets
from collections.abc import Iterable
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import ClassVar, Final, Self

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from crm.models.bidi import without_bidi_controls
from crm.models.company import Company
from crm.models.people import User, sha256
from crm.models.roles import Action, Role, may
from crm.models.tenancy import CompanyQuerySet
from crm.models.validators import check_seen

KEY_PREFIX: Final = "lm_"
NETWORKS_AT_MOST: Final = 20


class ApiKeyQuerySet(CompanyQuerySet["ApiKey"]):
    def issue(
        self,
        *,
        company: Company,
        role: str,
        name: str,
        user: User | None = None,
        scopes: Iterable[str] = (),
        networks: Iterable[str] = (),
        expires_at: datetime | None = None,
    ) -> tuple["ApiKey", str]:
        """Create a key. Returns it with its text, which is stored only as a hash.

        No `scopes`: all that the role allows. No `networks`: any address.
        """
        text = KEY_PREFIX + secrets.token_urlsafe(32)
        key = self.create(
            company=company,
            role=role,
            name=name,
            created_by=user,
            prefix=text[:10],
            key_sha256=sha256(text),
            scopes=" ".join(scopes),
            networks=" ".join(networks),
            expires_at=expires_at,
        )
        return key, text

    def unexpired(self) -> Self:
        return self.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=Now()))

    def active(self) -> Self:
        """Keys that work. A key stops working when it expires or its creator is deactivated."""
        working = self.unexpired().filter(revoked_at=None, company__is_active=True)
        return working.exclude(created_by__is_active=False)

    def find(self, text: str) -> "ApiKey | None":
        """The active key with this text, or None."""
        return (
            self.active()
            .filter(key_sha256=sha256(text))
            .select_related("company")
            .first()
        )


class ApiKey(models.Model):
    """A script's access to one company in one role. Stored as a hash, revocable."""

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="api_keys"
    )
    name = models.CharField(max_length=80)
    role = models.CharField(max_length=10, choices=Role.choices)
    # With a space in between; "" for all that the role allows.
    scopes = models.CharField(max_length=500, blank=True, default="", db_default="")
    # In CIDR notation, with a space in between; "" for any address.
    networks = models.CharField(max_length=1000, blank=True, default="", db_default="")
    expires_at = models.DateTimeField(null=True, blank=True)
    prefix = models.CharField(max_length=12)
    # 256 random bits can't be guessed, so no slow hash is needed.
    key_sha256 = models.CharField(max_length=64, unique=True)
    created_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects: ClassVar[ApiKeyQuerySet] = ApiKeyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "API key"
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{without_bidi_controls(self.name)} ({self.prefix}…)"

    def clean(self) -> None:
        """Raise ValidationError for a name that can't be seen."""
        super().clean()
        check_seen(name=self.name)

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def may(self, action: Action) -> bool:
        """True if this key's role may do `action` in its company."""
        return may(self.role, action)

    def lacks(self, scopes: Iterable[str]) -> list[str]:
        """Which of these scopes the key doesn't have."""
        own = self.scopes.split()
        return [scope for scope in scopes if own and scope not in own]

    def works_from(self, address: str) -> bool:
        """True if the key's networks allow a request from this IP address."""
        networks = self.networks.split()
        caller = ip_address(address)
        return not networks or any(caller in ip_network(each) for each in networks)

    def revoke(self) -> None:
        """Revoke the key: the next request with it is rejected."""
        type(self).objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=Now())


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """The network of an IP address or of one in CIDR notation. Raises ValueError.

    Also for an IPv4 network that is mapped to IPv6: callers' addresses are never read like that.
    """
    network = ip_network(text, strict=False)
    if getattr(network.network_address, "ipv4_mapped", None):
        raise ValueError("Enter it as an IPv4 network.")
    return network
