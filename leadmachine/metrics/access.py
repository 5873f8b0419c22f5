"""Who may read /metrics: by default no one."""

from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from crm.accounts.client_addresses import came_by_unnamed_proxy, client_address

CLOSED = (
    "Set LEADMACHINE_METRICS_TOKEN or LEADMACHINE_METRICS_NETWORKS to open /metrics."
)
NOT_AUTHORISED = (
    "Send the header Authorization: Bearer, with the LEADMACHINE_METRICS_TOKEN."
)
ELSEWHERE = "This address is not in LEADMACHINE_METRICS_NETWORKS."


def are_open() -> bool:
    """Return True if anyone may read the metrics."""
    return bool(settings.METRICS_TOKEN or settings.METRICS_NETWORKS)


def refusal(request: HttpRequest) -> tuple[int, str] | None:
    """Return the status and the sentence for a request that is refused. Each of the two settings that is set counts."""
    if not are_open():
        return 404, CLOSED
    if settings.METRICS_NETWORKS and not _is_from_networks(request):
        return 403, ELSEWHERE
    if settings.METRICS_TOKEN and not _has_token(request):
        return 401, NOT_AUTHORISED
    return None


def _has_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    is_right = constant_time_compare(token.strip(), settings.METRICS_TOKEN)
    return scheme.lower() == "bearer" and is_right


def _is_from_networks(request: HttpRequest) -> bool:
    if came_by_unnamed_proxy(request):
        return False  # everyone behind it would have its address
    address = ip_address(client_address(request))
    return any(
        address in ip_network(network, strict=False)
        for network in settings.METRICS_NETWORKS
    )
