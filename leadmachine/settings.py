"""Every setting, read from the environment. `.env.example` describes each variable once.

Without `DEBUG` the production rules apply: no setting falls back to an unsafe value. The system checks
(`leadmachine/checks.py`) report what is missing and how to fix it.
"""

from typing import Any
from urllib.parse import urlsplit

from leadmachine.environment import (
    BASE_DIR,
    DEBUG,
    IS_MAKE_RUN,
    PORT,
    VAR_DIR,
    dev_database_url,
    dev_secret_key,
    dev_token_keys,
    env,
    private_folder,
    storage_entry,
)
from leadmachine.settings_accounts import *  # noqa: F403
from leadmachine.settings_delivery import *  # noqa: F403
from leadmachine.settings_delivery import WORKER_STATEMENT_SECONDS
from leadmachine.version import VERSION as VERSION
from postgresql.bounds import options

# The installation
HTTPS: bool = env.bool("LEADMACHINE_HTTPS", default=not DEBUG)
ALLOWED_HOSTS: list[str] = env.list(
    "ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else []
)
TRUSTED_PROXIES: list[str] = env.list("TRUSTED_PROXIES", default=[])
SITE_URL: str = env.str(
    "LEADMACHINE_URL",
    default=f"http://127.0.0.1:{PORT}"
    if DEBUG
    else f"https://{ALLOWED_HOSTS[0].lstrip('.') if ALLOWED_HOSTS else ''}",
).rstrip("/")
# Forms come from the public URL, whatever host and port a proxy passes on.
_site = urlsplit(SITE_URL)
CSRF_TRUSTED_ORIGINS: list[str] = [
    f"{_site.scheme}://{_site.netloc}",
    *env.list("CSRF_TRUSTED_ORIGINS", default=[]),
]

# Who may read /metrics. Neither is set: no one.
METRICS_TOKEN: str = env.str("LEADMACHINE_METRICS_TOKEN", default="")
METRICS_NETWORKS: list[str] = env.list("LEADMACHINE_METRICS_NETWORKS", default=[])

SECRET_KEY: str = env.str("SECRET_KEY", default="") or (
    dev_secret_key() if DEBUG else ""
)
TOKEN_KEYS: list[str] = env.list("LEADMACHINE_TOKEN_KEYS", default=[]) or (
    dev_token_keys() if DEBUG else []
)

# Applications
INSTALLED_APPS = [
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
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
    "csp",
    "rest_framework",
    "drf_spectacular",
]

MIDDLEWARE = [
    # Around all others, to measure them too.
    "leadmachine.metrics.requests.RequestSecondsMiddleware",
    "leadmachine.request_ids.RequestIdMiddleware",
    # Next, so that their headers are also on HTTPS redirects and static files, which other middleware returns early.
    "leadmachine.middleware.ClosedByDefaultMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    # Its random padding hides what BREACH measures, and the CSRF token is masked again in each page.
    "leadmachine.middleware.GZipPagesMiddleware",
    "crm.views.errors.UnavailableMiddleware",
    "leadmachine.middleware.ProbesMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "leadmachine.middleware.PageMethodsMiddleware",
    "leadmachine.request_bodies.RequestBodiesMiddleware",
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
    "crm.views.errors.ExplainedErrorsMiddleware",
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
                "crm.views.undo.unsent",
                "capi.views.connection.connection_state",
            ],
        },
    },
]
FORM_RENDERER = "crm.forms.FormRenderer"

# Database
DATABASE_URL: str = env.str("DATABASE_URL", default="") or (
    dev_database_url() if IS_MAKE_RUN and DEBUG else ""
)
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url_config(DATABASE_URL) if DATABASE_URL else {}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

if "postgresql" in DATABASES["default"].get("ENGINE", ""):
    # Our own backend, which limits how long a statement may take.
    DATABASES["default"]["ENGINE"] = "postgresql"
    DATABASES["default"].setdefault("CONN_MAX_AGE", 60)
    DATABASES["default"].setdefault("CONN_HEALTH_CHECKS", True)
    # So that PostgreSQL can plan the statements of a save once (crm.models.tracking.snapshots).
    DATABASES["default"].setdefault("OPTIONS", {}).update(server_side_binding=True)
    DATABASES["default"]["OPTIONS"] = options(
        DATABASES["default"]["OPTIONS"], idle_seconds=WORKER_STATEMENT_SECONDS
    )
else:
    DATABASES = {"default": {}}  # `leadmachine.checks` says what is wrong

# Mail
# By default mail goes to the console with DEBUG, and in production to a mail server on the same machine.
EMAIL_URL: str = env.str("EMAIL_URL", default="") or ("consolemail://" if DEBUG else "")
vars().update(env.email_url_config(EMAIL_URL or "smtp://localhost:25"))
if vars()["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend":
    # Our own, which limits a whole session.
    EMAIL_BACKEND = "leadmachine.smtp.SmtpBackend"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str(
    "DEFAULT_FROM_EMAIL", default="LeadMachine <leadmachine@localhost>"
)

# Browser security
# For views that take no files: crm/accounts/bodies.py.
FILE_UPLOAD_HANDLERS = ["leadmachine.request_bodies.NoFiles"]
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

# Probes and Prometheus use the machine's address and plain HTTP.
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|progressz|metrics)$"]
if HTTPS:
    SECURE_SSL_REDIRECT = True
    # A browser that has seen these obeys them until they expire, so a long time and other hosts are up to the operator.
    SECURE_HSTS_SECONDS: int = env.int("LEADMACHINE_HSTS_SECONDS", default=24 * 3600)
    SECURE_HSTS_INCLUDE_SUBDOMAINS: bool = env.bool(
        "LEADMACHINE_HSTS_SUBDOMAINS", default=False
    )
    SECURE_HSTS_PRELOAD: bool = env.bool("LEADMACHINE_HSTS_PRELOAD", default=False)
    # Django's warnings that the two switches above are off.
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_SECURE = True
    CSRF_COOKIE_NAME = "__Host-csrftoken"

# Files on leads and deals, and what a company may keep: these, imports and exports
FILES_DIR: str = env.str("LEADMACHINE_FILES_DIR", default="") or str(
    private_folder(VAR_DIR / "files")
)
FILES_MB_PER_COMPANY: int = env.int("LEADMACHINE_FILES_MB_PER_COMPANY", default=5120)
FILES_ON_DISK: dict[str, Any] = {
    "BACKEND": "django.core.files.storage.FileSystemStorage",
    "OPTIONS": {
        "location": FILES_DIR,
        "file_permissions_mode": 0o600,
        "directory_permissions_mode": 0o700,
    },
}
_files_storage: str = env.str("LEADMACHINE_FILES_STORAGE", default="")

# Static files
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Straight from static/, in tests too.
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "attachments": storage_entry(_files_storage) if _files_storage else FILES_ON_DISK,
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# Language and time
LANGUAGE_CODE = "en-gb"
FORMAT_MODULE_PATH = "leadmachine.formats"
TIME_ZONE: str = env.str("TIME_ZONE", default="UTC")
USE_I18N = False
USE_TZ = True

# REST API
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "crm.api.authentication.ApiKeyAuthentication",
        "crm.api.authentication.MemberSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["crm.api.permissions.RolePermission"],
    "DEFAULT_THROTTLE_CLASSES": ["crm.api.permissions.CallerThrottle"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_FILTER_BACKENDS": ["crm.api.filters.FilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "crm.api.pagination.KeysetPagination",
    "EXCEPTION_HANDLER": "crm.api.viewsets.handle_exception",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "PAGE_SIZE": 100,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "LeadMachine API",
    "DESCRIPTION": "Leads, deals, conversion rules and the log of conversion events of one company.",
    "VERSION": "1",
    "CONTACT": {"name": "The operator of this LeadMachine", "url": SITE_URL},
    "SERVERS": [{"url": "/", "description": "This installation"}],
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,  # read-only fields are not in the request schemas
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "crm.api.schema.complete_schema",
    ],
    "ENUM_NAME_OVERRIDES": {
        "ReasonEnum": "capi.models.choices.Reason",
        "KindEnum": "crm.models.task.TaskKind",
        "StateEnum": "capi.models.choices.State",
        "LeadMeaningEnum": "crm.models.steps.LeadMeaning",
        "StageMeaningEnum": "crm.models.steps.StageMeaning",
        "BulkKindEnum": "crm.models.bulk_change.BulkKind",
        "JobStateEnum": "crm.models.job.JobState",
        "ListEnum": "crm.lists.registry.LISTS",
        "ImportObjectEnum": "crm.models.lead_import.ImportSubject",
    },
}

# Logging
LOG_FORMAT: str = env.str("LEADMACHINE_LOG_FORMAT", default="") or "text"
DEFAULT_EXCEPTION_REPORTER = "leadmachine.log_format.MaskedReport"
DEFAULT_EXCEPTION_REPORTER_FILTER = "leadmachine.log_format.ReportFilter"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "leadmachine.log_format.SafeFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
        "json": {"()": "leadmachine.log_format.JsonFormatter"},
    },
    "filters": {
        "in_one_line": {"()": "leadmachine.log_format.InOneLine"},
        "not_each_probe": {"()": "leadmachine.probe_log.NotEachProbe"},
        "once_per_outage": {"()": "leadmachine.outages.OncePerOutage"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json" if LOG_FORMAT == "json" else "line",
            "filters": ["once_per_outage"],
        }
    },
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="WARNING")},
    "loggers": {
        **{
            name: {"level": env.str("LOG_LEVEL", default="INFO")}
            for name in ("crm", "capi", "leadmachine")
        },
        # Has to be repeated after a backup is restored.
        "crm.models.privacy_log": {"level": "INFO"},
        # With DEBUG Django adds its own, and each line would come twice.
        "django": {"handlers": []},
        "django.request": {"filters": ["in_one_line", "not_each_probe"]},
        # It logs a line for each request that waits a moment for a thread.
        "waitress.queue": {"level": "ERROR"},
        # Never below INFO: at DEBUG urllib3 prints request lines, and headers with the token.
        "urllib3": {"level": "INFO"},
    },
}
