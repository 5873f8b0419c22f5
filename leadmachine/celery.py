"""The Celery application. Messages are wake-ups: they hold ids only, and losing one loses nothing."""

import os

from celery import Celery

from leadmachine import workers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmachine.settings")

app = Celery("leadmachine")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(workers.Sweep)
app.steps["consumer"].update((workers.MainLoop, workers.BrokerAnswers))
