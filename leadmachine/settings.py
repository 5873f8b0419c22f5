"""Every setting, read from the environment. `.env.example` explains each variable once.

Without `DEBUG` the rules of production hold: nothing here falls back to something unsafe, and what is missing is
reported by the system checks (`leadmachine/checks.py`, `leadmachine/checks.py`) in a sentence that says what to do.
"""

import socket
from pathlib import Path
from typing import Any

import environ

from leadmachine import dev_keys
from postgresql.options import options

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.Env()
env.read_env(BASE_DIR / ".env")

# --- what kind of installation this is ---------------------------------------------------------------------------

DEBUG: bool = env.bool("DEBUG", default=False)
PORT: int = env.int("PORT", default=8000)
HTTPS: bool = env.bool("LEADMACHINE_HTTPS", default=not DEBUG)
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
TRUSTED_PROXIES: list[str] = env.list("TRUSTED_PROXIES", default=[])
SITE_URL: str = env.str(
    "LEADMACHINE_URL",
    default=f"http://127.0.0.1:{PORT}" if DEBUG else f"https://{ALLOWED_HOSTS[0].lstrip('.') if ALLOWED_HOSTS else ''}",
).rstrip("/")

SECRET_KEY: str = env.str("SECRET_KEY", default="") or (dev_keys.secret_key(VAR_DIR) if DEBUG else "")
TOKEN_KEYS: list[str] = env.list("LEADMACHINE_TOKEN_KEYS", default=[]) or (
    dev_keys.token_keys(VAR_DIR) if DEBUG else []
)

# --- applications ------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "crm",
    "capi",
    "leadmachine.apps.LeadMachineConfig",
    "leadmachine.apps.OperatorAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "django_filters",
    "django_htmx",
    "heroicons",
    "csp",
    "rest_framework",
    "drf_spectacular",
]

MIDDLEWARE = [
    # Above what may answer by itself (a redirect to HTTPS, a static file): their headers are on every answer.
    "leadmachine.middleware.ClosedByDefaultMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "leadmachine.middleware.ProbesMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "leadmachine.middleware.PageMethodsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "crm.accounts.middleware.SessionLimitsMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "crm.accounts.middleware.MembershipMiddleware",
    "crm.views.errors.GoneMeanwhileMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "leadmachine.middleware.NotAllowedPageMiddleware",
]

ROOT_URLCONF = "leadmachine.urls"
WSGI_APPLICATION = "leadmachine.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "crm.views.context_processors.shell",
                "capi.views.connection.connection_state",
            ],
        },
    },
]
FORM_RENDERER = "crm.forms.rendering.FormRenderer"

# --- database ----------------------------------------------------------------------------------------------------

DATABASE_URL: str = env.str("DATABASE_URL", default="") or f"sqlite:///{VAR_DIR / 'leadmachine.sqlite3'}"
DATABASES: dict[str, dict[str, Any]] = {"default": env.db_url_config(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

if "sqlite" in DATABASES["default"]["ENGINE"]:
    # A write transaction takes its lock when it begins and others wait for it: "database is locked" is then
    # a matter of 20 seconds of queueing, not of two readers that both want to write.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    # A file for the tests too: the tables of a shared in-memory database lock each other without any waiting.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
    Path(DATABASES["default"]["NAME"]).parent.mkdir(parents=True, exist_ok=True)
else:
    DATABASES["default"].setdefault("CONN_MAX_AGE", 60)
    DATABASES["default"].setdefault("CONN_HEALTH_CHECKS", True)
    # So that the statements of a save can be planned once (crm.models.snapshots).
    DATABASES["default"].setdefault("OPTIONS", {}).update(server_side_binding=True)

# --- people and sessions -----------------------------------------------------------------------------------------

AUTH_USER_MODEL = "crm.User"
AUTHENTICATION_BACKENDS = ["crm.accounts.backends.EmailBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SIGNUP: bool = env.bool("LEADMACHINE_SIGNUP", default=DEBUG)
PASSWORD_RESET_TIMEOUT = 3600
SESSION_COOKIE_AGE = 7 * 24 * 3600
SESSION_IDLE_SECONDS = 8 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "crm.accounts.middleware.csrf_failure"

ACCOUNT_ADAPTER = "crm.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nobody can have us write to strangers
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_USER_DISPLAY = str
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "5/15m/key",  # the key is an address on the net and a name: see AccountAdapter
}
ACCOUNT_FORMS = {
    "login": "crm.accounts.forms.SignInForm",
    "signup": "crm.accounts.forms.SignUpForm",
    "reset_password": "crm.accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "crm.accounts.forms.NewPasswordForm",
    "change_password": "crm.accounts.forms.ChangePasswordForm",
    "reauthenticate": "crm.accounts.forms.PasswordAgainForm",
}
MFA_ADAPTER = "crm.accounts.adapter.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_TOLERANCE = 1  # one step of drift either way
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_FORMS = {
    "authenticate": "crm.accounts.forms.CodeForm",
    "reauthenticate": "crm.accounts.forms.CodeAgainForm",
    "activate_totp": "crm.accounts.forms.FirstCodeForm",
}

# --- mail --------------------------------------------------------------------------------------------------------

# On the console, where a developer reads it; in production through a mail server on the same machine unless set.
EMAIL_URL: str = env.str("EMAIL_URL", default="") or ("consolemail://" if DEBUG else "")
vars().update(env.email_url_config(EMAIL_URL or "smtp://localhost:25"))
if vars()["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend":
    EMAIL_BACKEND = "leadmachine.mail.SmtpBackend"  # ours, which has a bound on the whole
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="LeadMachine <leadmachine@localhost>")

# --- what a browser may do ---------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"

SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # a probe comes by the machine's address, and by plain HTTP
if HTTPS:
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_SECURE = True
    CSRF_COOKIE_NAME = "__Host-csrftoken"

# --- static files ------------------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG  # straight from static/, also in tests
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- language and time -------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en-gb"
TIME_ZONE: str = env.str("TIME_ZONE", default="UTC")
USE_I18N = False
USE_TZ = True

# --- LinkedIn ----------------------------------------------------------------------------------------------------

LINKEDIN_REAL_URL = "https://api.linkedin.com"
LINKEDIN_SANDBOX: bool = env.bool("LINKEDIN_SANDBOX", default=False)
LINKEDIN_SANDBOX_PORT: int = env.int("LINKEDIN_SANDBOX_PORT", default=PORT + 1)
LINKEDIN_SANDBOX_LEDGER = Path(env.str("LINKEDIN_SANDBOX_LEDGER", default=str(VAR_DIR / "sandbox.jsonl")))
LINKEDIN_API_URL: str = env.str(
    "LINKEDIN_API_URL",
    default=f"http://127.0.0.1:{LINKEDIN_SANDBOX_PORT}" if LINKEDIN_SANDBOX else LINKEDIN_REAL_URL,
).rstrip("/")
LINKEDIN_API_VERSION: str = env.str("LINKEDIN_API_VERSION", default="202609")

# --- delivery: durations in seconds, all of them small in the fault tests ------------------------------------------

SEND_TIMEOUT_SECONDS: float = env.float("LEADMACHINE_SEND_TIMEOUT_SECONDS", default=45)
CONNECT_TIMEOUT_SECONDS: float = env.float("LEADMACHINE_CONNECT_TIMEOUT_SECONDS", default=10)
LEASE_SECONDS: float = env.float("LEADMACHINE_LEASE_SECONDS", default=120)
SWEEP_SECONDS: float = env.float("LEADMACHINE_SWEEP_SECONDS", default=30)
# A step of a worker's thread takes WORKER_STATEMENT_SECONDS (60) at most for a statement and SEND_TIMEOUT_SECONDS (45)
# for a request: a lease outlasts either.
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

# How long a statement may take before it is given up, so that nobody waits for a database that has silently gone. A
# worker has half of LEASE_SECONDS (60 of 120): after a request of SEND_TIMEOUT_SECONDS (45) and a statement without an
# answer (60), 15 seconds are left to write the result on another connection.
WEB_STATEMENT_SECONDS: float = env.float("LEADMACHINE_WEB_STATEMENT_SECONDS", default=8)
WORKER_STATEMENT_SECONDS: float = LEASE_SECONDS / 2

if "postgresql" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["ENGINE"] = "postgresql"  # ours, which keeps these bounds
    DATABASES["default"]["OPTIONS"] = options(DATABASES["default"]["OPTIONS"], idle_seconds=WORKER_STATEMENT_SECONDS)

# --- Celery ------------------------------------------------------------------------------------------------------

REDIS_URL: str = env.str("REDIS_URL", default="")
INSTALLATION: str = env.str("LEADMACHINE_INSTALLATION", default="")
# A host that is gone says nothing. The kernel finds out in 10 seconds (the last is in milliseconds, and Linux's alone).
_KEEPALIVE = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
REDIS_KEEPALIVE: dict[str, Any] = {
    "socket_keepalive": True,
    "socket_keepalive_options": {getattr(socket, o): value for o, value in _KEEPALIVE.items() if hasattr(socket, o)},
}
EMBEDDED_WORKER: bool = env.bool("LEADMACHINE_EMBEDDED_WORKER", default=not REDIS_URL)
CELERY_BROKER_URL = REDIS_URL or "memory://localhost/"
CELERY_BROKER_TRANSPORT = f"leadmachine.celery_transport:{'Transport' if REDIS_URL else 'MemoryTransport'}"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    {
        **REDIS_KEEPALIVE,
        "socket_timeout": 3,
        "socket_connect_timeout": 3,
        # What a proxy or a firewall swallows, no kernel notices: a worker's read that Redis should have answered after
        # a second is given up after 3, and looked at every 2. So a worker is deaf for 5 seconds at most.
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
CELERY_WORKER_CONSUMER = "leadmachine.celery_transport:Consumer"
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # anyone who can write to Redis could end workers by it
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = "UTC"
ALIVE_DIR = VAR_DIR / "alive"  # each worker touches a file of its own there while all its threads get on

# --- what all web processes know together: failed sign-ins, used codes ------------------------------------------------

CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "leadmachine.cache.SharedCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "leadmachine",
        "KEY_FUNCTION": "leadmachine.installation.cache_key",
        "OPTIONS": {
            **REDIS_KEEPALIVE,
            "serializer": "leadmachine.cache.JsonSerializer",
            # Short: unlike a wake-up, it is waited for by a person, and without Redis each process knows its own.
            "socket_timeout": 0.25,
            "socket_connect_timeout": 0.25,
            # A new connection greets nobody: with RESP3 and the client's name it cost three round trips more.
            "protocol": 2,
            "driver_info": None,
        },
    }
    if REDIS_URL
    else {"BACKEND": "leadmachine.cache.OwnCache"}
}

TEST_EVENTS_PER_MINUTE: int = env.int("LEADMACHINE_TEST_EVENTS_PER_MINUTE", default=30)
EXPORTS_PER_MINUTE: int = env.int("LEADMACHINE_EXPORTS_PER_MINUTE", default=10)

# --- REST API ----------------------------------------------------------------------------------------------------

API_REQUESTS_PER_MINUTE: int = env.int("LEADMACHINE_API_REQUESTS_PER_MINUTE", default=1200)
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "crm.api.authentication.ApiKeyAuthentication",
        "crm.api.authentication.MemberSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["crm.api.permissions.RolePermission"],
    "DEFAULT_THROTTLE_CLASSES": ["crm.api.throttling.CallerThrottle"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "crm.api.pagination.KeysetPagination",
    "EXCEPTION_HANDLER": "crm.api.exceptions.handle_exception",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "PAGE_SIZE": 100,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "LeadMachine API",
    "DESCRIPTION": "Leads, deals, conversion rules and the log of conversion events of one company.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,  # what can't be written is not in what is written
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "crm.api.schema.add_error_responses"],
    "ENUM_NAME_OVERRIDES": {"ReasonEnum": "capi.models.choices.Reason"},
}

# --- logging -----------------------------------------------------------------------------------------------------

DEFAULT_EXCEPTION_REPORTER = "leadmachine.log_format.Report"
DEFAULT_EXCEPTION_REPORTER_FILTER = "leadmachine.log_format.ReportFilter"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "leadmachine.log_format.SafeFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "filters": {
        "in_one_line": {"()": "leadmachine.log_format.InOneLine"},
        "once_per_outage": {"()": "leadmachine.outages.OncePerOutage"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["once_per_outage"]}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="WARNING")},
    "loggers": {
        "crm": {"level": env.str("LOG_LEVEL", default="INFO")},
        "capi": {"level": env.str("LOG_LEVEL", default="INFO")},
        "leadmachine": {"level": env.str("LOG_LEVEL", default="INFO")},
        "django": {"handlers": []},  # with DEBUG it has one of its own, and each line would come twice
        "django.request": {"filters": ["in_one_line"]},
        # urllib3 at DEBUG prints request lines, and its header dumps would hold the token: never below INFO.
        "urllib3": {"level": "INFO"},
    },
}
