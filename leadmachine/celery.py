"""The Celery application. Messages are wake-ups: they hold ids only, and losing one loses nothing."""

import os
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmachine.settings")

app = Celery("leadmachine")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.worker_ready.connect
def start_sweeper(**kwargs: Any) -> None:
    """Every worker sweeps by its own timer, so that no lane waits for a message that got lost."""
    from capi.sweeper import Sweeper

    Sweeper().start()
