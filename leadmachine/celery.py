"""The Celery application. Messages are wake-ups that contain only ids: if one is lost, no data is."""

import os

from celery import Celery

from leadmachine import workers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmachine.settings")

app = Celery("leadmachine")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(workers.Timers)
app.steps["consumer"].update((workers.MainLoop, workers.BrokerConnected))
