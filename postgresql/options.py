"""How a connection notices that its other end has gone without a word, on both sides and before any clock of ours.

https://www.postgresql.org/docs/18/libpq-connect.html and https://www.postgresql.org/docs/18/runtime-config-connection.html
"""

from collections.abc import Mapping
from typing import Any, Final

# After 15 seconds of silence a probe every 5, three at most; what was sent is acknowledged within 20.
TCP: Final = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
USER_TIMEOUT_MILLISECONDS: Final = 20_000
CONNECT_SECONDS: Final = 5  # for each address that a host name stands for


def options(given: Mapping[str, Any], *, idle_seconds: float) -> dict[str, Any]:
    """Django's OPTIONS. What is `given`, in DATABASE_URL, wins.

    `idle_seconds`: for so long a session may do nothing inside a transaction. Whoever freezes or goes there would keep
    its rows locked for ever, a lane's too.
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
    """libpq's `options` with these settings of the session. Of two that set the same the server takes the last."""
    return " ".join([*(f"-c {name}={value}" for name, value in session.items()), options]).strip()
