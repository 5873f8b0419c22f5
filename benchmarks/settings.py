"""LeadMachine's settings, with the baseline's tables beside ours."""

import os

from leadmachine.settings import *  # noqa: F403
from leadmachine.settings import CELERY_BROKER_TRANSPORT_OPTIONS, DATABASES, INSTALLED_APPS

DEBUG = False  # Django keeps every statement in memory otherwise; what else DEBUG decides is decided by now
INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.naive"]
CELERY_IMPORTS = ["benchmarks.naive.tasks"]
MIGRATION_MODULES = {"naive": None}
INSTALLATION = "benchmarks"
if os.environ.get("NAIVE_PLAIN") or os.environ.get("NAIVE_TUNED"):
    # A worker of the recipe is one of plain Celery, and does nothing of LeadMachine's own.
    CELERY_WORKER_PREFETCH_MULTIPLIER = 4
    CELERY_WORKER_CONSUMER = "celery.worker.consumer:Consumer"
    CELERY_BROKER_TRANSPORT = None
    CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"] = f"leadmachine:{INSTALLATION}:"  # as ours, which sends to it
    SWEEP_SECONDS = 24 * 3600.0
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = False
if os.environ.get("NAIVE_PLAIN"):
    DATABASES["default"]["CONN_MAX_AGE"] = 0  # Django's own default
    DATABASES["default"]["OPTIONS"] = {
        name: value for name, value in DATABASES["default"].get("OPTIONS", {}).items() if name != "server_side_binding"
    }
elif os.environ.get("NAIVE_TUNED"):
    DATABASES["default"]["CONN_MAX_AGE"] = None
