"""The settings for delivery, limits and Redis: LinkedIn, timings, Celery and the shared cache."""

import socket
from pathlib import Path
from typing import Any

from leadmachine.environment import DEBUG, IS_MAKE_RUN, PORT, VAR_DIR, env

# LinkedIn

LINKEDIN_REAL_URL = "https://api.linkedin.com"
LINKEDIN_SANDBOX: bool = env.bool("LINKEDIN_SANDBOX", default=IS_MAKE_RUN and DEBUG)
LINKEDIN_SANDBOX_PORT: int = env.int("LINKEDIN_SANDBOX_PORT", default=PORT + 1)
LINKEDIN_SANDBOX_LEDGER = Path(env.str("LINKEDIN_SANDBOX_LEDGER", default=str(VAR_DIR / "sandbox.jsonl")))
LINKEDIN_API_URL: str = env.str(
    "LINKEDIN_API_URL",
    default=f"http://127.0.0.1:{LINKEDIN_SANDBOX_PORT}" if LINKEDIN_SANDBOX else LINKEDIN_REAL_URL,
).rstrip("/")
LINKEDIN_API_VERSION: str = env.str("LINKEDIN_API_VERSION", default="202609")

# Timings in seconds; the fault tests set all of them to small values.

SEND_TIMEOUT_SECONDS: float = env.float("LEADMACHINE_SEND_TIMEOUT_SECONDS", default=45)
CONNECT_TIMEOUT_SECONDS: float = env.float("LEADMACHINE_CONNECT_TIMEOUT_SECONDS", default=10)
LEASE_SECONDS: float = env.float("LEADMACHINE_LEASE_SECONDS", default=120)
SWEEP_SECONDS: float = env.float("LEADMACHINE_SWEEP_SECONDS", default=30)
# A worker thread spends at most WORKER_STATEMENT_SECONDS (60) on a statement and SEND_TIMEOUT_SECONDS (45) on a
# request. A lease outlasts both.
STANDSTILL_SECONDS: float = env.float("LEADMACHINE_STANDSTILL_SECONDS", default=max(3 * SWEEP_SECONDS, LEASE_SECONDS))
LANE_REST_SECONDS: float = env.float("LEADMACHINE_LANE_REST_SECONDS", default=30)
RETRY_SECONDS: list[float] = [
    float(seconds)
    for seconds in env.list("LEADMACHINE_RETRY_SECONDS", default=["30", "120", "600", "1800", "3600", "7200", "14400"])
]
RETRY_LAST_SECONDS: float = env.float("LEADMACHINE_RETRY_LAST_SECONDS", default=6 * 3600)
RETRY_WINDOW_SECONDS: float = env.float("LEADMACHINE_RETRY_WINDOW_SECONDS", default=3 * 24 * 3600)
RETRY_AFTER_MAX_SECONDS: float = env.float("LEADMACHINE_RETRY_AFTER_MAX_SECONDS", default=24 * 3600)
THROTTLE_SECONDS: float = env.float("LEADMACHINE_THROTTLE_SECONDS", default=60)
EVENT_MAX_AGE_DAYS: int = env.int("LEADMACHINE_EVENT_MAX_AGE_DAYS", default=90)
RETENTION_DAYS: int = env.int("LEADMACHINE_RETENTION_DAYS", default=180)
BATCH_SIZE: int = env.int("LEADMACHINE_BATCH_SIZE", default=5000)
REQUESTS_PER_MINUTE: int = env.int("LEADMACHINE_REQUESTS_PER_MINUTE", default=300)
WAKE_TIMEOUT_SECONDS: float = env.float("LEADMACHINE_WAKE_TIMEOUT_SECONDS", default=1)
WAKE_BREAKER_SECONDS: float = env.float("LEADMACHINE_WAKE_BREAKER_SECONDS", default=5)

# Limits for users and scripts

TEST_EVENTS_PER_MINUTE: int = env.int("LEADMACHINE_TEST_EVENTS_PER_MINUTE", default=30)
EXPORTS_PER_MINUTE: int = env.int("LEADMACHINE_EXPORTS_PER_MINUTE", default=10)
EXPORTS_PER_HOUR: int = env.int("LEADMACHINE_EXPORTS_PER_HOUR", default=120)
IMPORTS_PER_MINUTE: int = env.int("LEADMACHINE_IMPORTS_PER_MINUTE", default=10)
IMPORTS_PER_HOUR: int = env.int("LEADMACHINE_IMPORTS_PER_HOUR", default=60)
API_REQUESTS_PER_MINUTE: int = env.int("LEADMACHINE_API_REQUESTS_PER_MINUTE", default=1200)
API_COMPANY_PER_MINUTE: int = env.int("LEADMACHINE_API_COMPANY_PER_MINUTE", default=3600)

# The longest wait for one statement, in case the database disappears without closing its connections. For a worker it
# is half of LEASE_SECONDS (60 of 120): after a request of SEND_TIMEOUT_SECONDS (45) and a statement that got no reply
# (60), 15 seconds are left to write the result on another connection.
WEB_STATEMENT_SECONDS: float = env.float("LEADMACHINE_WEB_STATEMENT_SECONDS", default=8)
WORKER_STATEMENT_SECONDS: float = LEASE_SECONDS / 2

# Redis and Celery

REDIS_URL: str = env.str("REDIS_URL", default="")
INSTALLATION: str = env.str("LEADMACHINE_INSTALLATION", default="")
# With these the kernel notices within 10 seconds that a host is gone. TCP_USER_TIMEOUT is in milliseconds, and exists
# on Linux only.
_KEEPALIVE = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
REDIS_KEEPALIVE: dict[str, Any] = {
    "socket_keepalive": True,
    "socket_keepalive_options": {getattr(socket, o): value for o, value in _KEEPALIVE.items() if hasattr(socket, o)},
}
EMBEDDED_WORKER: bool = env.bool("LEADMACHINE_EMBEDDED_WORKER", default=IS_MAKE_RUN or not REDIS_URL)
CELERY_BROKER_URL = REDIS_URL or "memory://localhost/"
CELERY_BROKER_TRANSPORT = f"leadmachine.celery_transport:{'Transport' if REDIS_URL else 'MemoryTransport'}"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    {
        **REDIS_KEEPALIVE,
        "socket_timeout": 3,
        "socket_connect_timeout": 3,
        # The kernel doesn't notice packets that a proxy or a firewall drops. Redis answers a worker's read within a
        # second. A read times out after 3, checked every 2, so a worker misses wake-ups for 5 seconds at most.
        "health_check_interval": 2,
    }
    if REDIS_URL
    else {"polling_interval": 0.05}
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_DEFAULT_QUEUE = "leadmachine"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False  # in development mails are printed as they are
CELERY_WORKER_CONSUMER = "leadmachine.celery_transport:Consumer"
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # otherwise anyone who can write to Redis could stop workers
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = "UTC"
ALIVE_DIR = VAR_DIR / "alive"  # each worker touches its own file there as long as all its threads make progress

# The cache that all web processes share: failed sign-ins, used codes

CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "leadmachine.cache.SharedCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "leadmachine",
        "KEY_FUNCTION": "leadmachine.installation.cache_key",
        "OPTIONS": {
            **REDIS_KEEPALIVE,
            "serializer": "leadmachine.cache.JsonSerializer",
            # Short: a person waits for it, unlike for a wake-up, and each process can do without Redis.
            "socket_timeout": 0.25,
            "socket_connect_timeout": 0.25,
            # No handshake on a new connection: RESP3 and the client's name cost three more round trips.
            "protocol": 2,
            "driver_info": None,
        },
    }
    if REDIS_URL
    else {"BACKEND": "leadmachine.cache.OwnCache"}
}
