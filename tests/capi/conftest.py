"""Works a company's lane, and reads what the stand-in for LinkedIn received. The fixtures are in tests/fixtures.py."""

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from capi.delivery.deliver import deliver
from capi.delivery.sending import DeliveryResult
from capi.linkedin.sandbox.server import SandboxServer
from capi.models import ConversionEvent
from crm.models import Company


def send_all(company: Company) -> DeliveryResult:
    """Work the company's lane until nothing is due."""
    return deliver(company.pk)


def received(sandbox: SandboxServer) -> list[dict[str, Any]]:
    """All elements that the sandbox accepted, oldest first."""
    taken = [
        entry
        for entry in reversed(sandbox.ledger.tail(10_000))
        if 200 <= (entry.status or 0) < 300
    ]
    return [element for entry in taken for element in entry.elements]


def requests_made(sandbox: SandboxServer) -> list[int | None]:
    """The status of each request, oldest first."""
    return [entry.status for entry in reversed(sandbox.ledger.tail(10_000))]


def states(company: Company) -> list[str]:
    """The states of the company's events, oldest first."""
    return list(
        ConversionEvent.objects.for_company(company)
        .order_by("pk")
        .values_list("state", flat=True)
    )


def wait_is_over() -> None:
    """Make every pending event due, as if its wait were over."""
    ConversionEvent.objects.filter(state="pending").update(
        next_attempt_at=Now() - timedelta(seconds=1)
    )


def hashes(sandbox: SandboxServer) -> list[str]:
    """The hashed addresses that the sandbox accepted, oldest first."""
    return [element["user"]["userIds"][0]["idValue"] for element in received(sandbox)]
