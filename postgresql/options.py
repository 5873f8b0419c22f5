"""Connection options that let both ends notice a peer that has disappeared, before any timeout of ours.

https://www.postgresql.org/docs/18/libpq-connect.html and https://www.postgresql.org/docs/18/runtime-config-connection.html
"""

from collections.abc import Mapping
from typing import Any, Final

# After 15 idle seconds a probe every 5, three at most. Sent data must be acknowledged within 20.
TCP: Final = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
USER_TIMEOUT_MILLISECONDS: Final = 20_000
CONNECT_SECONDS: Final = 5  # for each address of a host name


def options(given: Mapping[str, Any], *, idle_seconds: float) -> dict[str, Any]:
    """Return Django's OPTIONS. Options `given` in DATABASE_URL override ours.

    The server ends a session that is idle inside a transaction for `idle_seconds`. Otherwise a client that freezes or
    disappears there would keep its rows locked for ever, including a lane's.
    """
    session = {
        "idle_in_transaction_session_timeout": round(idle_seconds * 1000),
        **{f"tcp_{name}": value for name, value in TCP.items()},
        "tcp_user_timeout": USER_TIMEOUT_MILLISECONDS,
    }
    ours = {
        "connect_timeout": CONNECT_SECONDS,
        "keepalives": 1,
        **TCP,
        "tcp_user_timeout": USER_TIMEOUT_MILLISECONDS,
    }
    return {**ours, **given, "options": before(given.get("options", ""), session)}


def before(options: str, session: Mapping[str, int]) -> str:
    """Return libpq's `options` with these session settings in front. If a setting appears twice, the last one wins."""
    return " ".join([*(f"-c {name}={value}" for name, value in session.items()), options]).strip()
