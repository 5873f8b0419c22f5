"""LeadMachine's settings plus the baseline's tables."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import CELERY_BROKER_TRANSPORT_OPTIONS, DATABASES, INSTALLED_APPS

# Or Django keeps every statement in memory; settings that depend on DEBUG are already
# set.
DEBUG = False
INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.naive"]
CELERY_IMPORTS = ["benchmarks.naive.tasks"]
MIGRATION_MODULES = {"naive": None}
INSTALLATION = "benchmarks"
if os.environ.get("NAIVE_PLAIN") or os.environ.get("NAIVE_TUNED"):
    # A worker of the recipe is a plain Celery worker without LeadMachine's additions.
    CELERY_WORKER_PREFETCH_MULTIPLIER = 4
    CELERY_WORKER_CONSUMER = "celery.worker.consumer:Consumer"
    CELERY_BROKER_TRANSPORT = None
    CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"] = (
        f"leadmachine:{INSTALLATION}:"  # the same as ours, which sends to it
    )
    SWEEP_SECONDS = 24 * 3600.0
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = False
if os.environ.get("NAIVE_PLAIN"):
    DATABASES["default"]["CONN_MAX_AGE"] = 0  # Django's default
    DATABASES["default"]["OPTIONS"] = {
        name: value
        for name, value in DATABASES["default"].get("OPTIONS", {}).items()
        if name != "server_side_binding"
    }
elif os.environ.get("NAIVE_TUNED"):
    DATABASES["default"]["CONN_MAX_AGE"] = None
