"""System checks of what connections to addresses that people enter may reach, and whom they trust."""

import re
import ssl
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from crm.services.outbound_connections import Network, network_of, tls_context
from leadmachine.exposure_checks import is_private

HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9])?")


@register(Tags.security)
def outbound_allowed(**kwargs: Any) -> list[CheckMessage]:
    """E028, E029: LEADMACHINE_OUTBOUND_ALLOWED has hosts and own networks, and no cloud's metadata service."""
    found: list[CheckMessage] = []
    for entry in settings.OUTBOUND_ALLOWED:
        network = network_of(entry)
        if network is None and not HOST.fullmatch(entry):
            text = f"LEADMACHINE_OUTBOUND_ALLOWED contains {entry!r}, which is neither a host nor a network."
            hint = "Write host names, addresses or networks, separated by commas: login.example.internal,10.1.2.0/24"
            found.append(Error(text, hint=hint, id="leadmachine.E028"))
        elif network is not None and not _is_own(network):
            text = f"LEADMACHINE_OUTBOUND_ALLOWED contains {entry}: it is not within a private network."
            hint = (
                "Name the smallest network that has your provider, such as "
                "10.1.2.0/24. The internet is allowed anyway."
            )
            found.append(Error(text, hint=hint, id="leadmachine.E029"))
    return found


def _is_own(network: Network) -> bool:
    """True for a part of a private network. Not for link-local ones, where clouds hand out a machine's credentials."""
    return is_private(network) and not network.is_link_local


@register(Tags.security)
def ca_bundle(**kwargs: Any) -> list[CheckMessage]:
    """E030: the certificates in LEADMACHINE_CA_BUNDLE can be read."""
    try:
        tls_context()
    except (OSError, ssl.SSLError) as error:
        text = f"LEADMACHINE_CA_BUNDLE can't be used ({type(error).__name__}): {settings.CA_BUNDLE}"
        hint = "Set it to a file in PEM format with at least one certificate, which web processes may read."
        return [Error(text, hint=hint, id="leadmachine.E030")]
    return []
