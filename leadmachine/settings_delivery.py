"""The settings for delivery, limits and Redis: LinkedIn, timings, Celery and the shared cache."""

import socket
from typing import Any

from leadmachine.environment import DEBUG, IS_MAKE_RUN, PORT, VAR_DIR, env

# LinkedIn

LINKEDIN_REAL_URL = "https://api.linkedin.com"
LINKEDIN_SANDBOX: bool = env.bool("LINKEDIN_SANDBOX", default=IS_MAKE_RUN and DEBUG)
LINKEDIN_SANDBOX_PORT: int = env.int("LINKEDIN_SANDBOX_PORT", default=PORT + 1)
LINKEDIN_SANDBOX_LEDGER = VAR_DIR / "sandbox.jsonl"
LINKEDIN_API_URL: str = env.str(
    "LINKEDIN_API_URL",
    default=f"http://127.0.0.1:{LINKEDIN_SANDBOX_PORT}"
    if LINKEDIN_SANDBOX
    else LINKEDIN_REAL_URL,
).rstrip("/")
LINKEDIN_API_VERSION: str = env.str("LINKEDIN_API_VERSION", default="202609")

# Timings in seconds, which no installation needs to change; tests/settings.py sets small ones for the fault tests.

SEND_TIMEOUT_SECONDS: float = 45  # of a whole request to LinkedIn
CONNECT_TIMEOUT_SECONDS: float = 10
# How long an unresponsive worker keeps a company's lane: longer than two requests, with time to write the result.
LEASE_SECONDS: float = 120
# How often each worker checks for events whose wake-up was lost.
SWEEP_SECONDS: float = 30
# How long a thread of a worker may hang: longer than a statement (WORKER_STATEMENT_SECONDS) or a request.
STANDSTILL_SECONDS: float = 120
# How long nothing may move until /progressz says so: longer than a sweep and a request.
PROGRESS_SECONDS: float = 80
LANE_REST_SECONDS: float = 30  # after a server error at LinkedIn
THROTTLE_SECONDS: float = 60  # at first after "too many requests"
# The delays between the attempts to send an event, before each further attempt, and the time until it is given up.
RETRY_SECONDS: list[float] = [30, 120, 600, 1800, 3600, 7200, 14400]
RETRY_LAST_SECONDS: float = 6 * 3600
RETRY_WINDOW_SECONDS: float = 3 * 24 * 3600
RETRY_AFTER_MAX_SECONDS: float = 24 * 3600  # the longest Retry-After that is obeyed
EVENT_MAX_AGE_DAYS = 90  # LinkedIn's limit
BATCH_SIZE = 5_000  # events per request, LinkedIn's limit
RETENTION_DAYS: int = env.int("LEADMACHINE_RETENTION_DAYS", default=180)
REQUESTS_PER_MINUTE: int = env.int("LEADMACHINE_REQUESTS_PER_MINUTE", default=300)
# For each step of a wake-up through the broker; no save waits for it.
WAKE_TIMEOUT_SECONDS: float = 1
WAKE_BREAKER_SECONDS: float = 5  # the pause after a failure to reach the broker

# Limits for users and scripts: of a company, but for the API's first, which is of a key or a session

TEST_EVENTS_PER_MINUTE = 30
EXPORTS_PER_MINUTE = 10
EXPORTS_PER_HOUR = 120
IMPORTS_PER_MINUTE = 10
IMPORTS_PER_HOUR = 60
API_REQUESTS_PER_MINUTE: int = env.int(
    "LEADMACHINE_API_REQUESTS_PER_MINUTE", default=1200
)
API_COMPANY_PER_MINUTE: int = env.int(
    "LEADMACHINE_API_COMPANY_PER_MINUTE", default=3600
)

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
_KEEPALIVE = {
    "TCP_KEEPIDLE": 4,
    "TCP_KEEPINTVL": 2,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 10_000,
}
REDIS_KEEPALIVE: dict[str, Any] = {
    "socket_keepalive": True,
    "socket_keepalive_options": {
        getattr(socket, o): value
        for o, value in _KEEPALIVE.items()
        if hasattr(socket, o)
    },
}
EMBEDDED_WORKER: bool = env.bool(
    "LEADMACHINE_EMBEDDED_WORKER", default=IS_MAKE_RUN or not REDIS_URL
)
CELERY_BROKER_URL = REDIS_URL or "memory://localhost/"
CELERY_BROKER_TRANSPORT = (
    f"leadmachine.celery_transport:{'Transport' if REDIS_URL else 'MemoryTransport'}"
)
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
# Otherwise anyone who can write to Redis could stop workers.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = "UTC"
# Each worker touches its own file there as long as all its threads make progress.
ALIVE_DIR = VAR_DIR / "alive"

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
