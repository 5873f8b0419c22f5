"""Forgetting: finished events and attempts, ended alerts and their mails go after a while."""

import time
from datetime import timedelta

from django.conf import settings
from django.db.models import Model, QuerySet

from capi.clock import database_now
from capi.models import Alert, Attempt, ConversionEvent, Mail
from capi.pipeline import counting
from capi.reasons import OPEN_STATES

BATCH = 1_000
PAUSE_SECONDS = 0.05


def prune() -> int:
    """Delete what came to its end more than the settings' RETENTION_DAYS ago. Returns how many rows went.

    What is open stays, however old: an event on its way, an alert whose cause lasts, a mail that may still be sent. In
    small batches with a breath between them, so that deliveries go on meanwhile. Before, every day is counted anew; the
    counts stay.
    """
    before = database_now() - timedelta(days=settings.RETENTION_DAYS)
    counting.recount()
    counting.seal(before)
    finished = ConversionEvent.objects.exclude(state__in=OPEN_STATES).filter(settled_at__lt=before)
    attempts = Attempt.objects.filter(started_at__lt=before, events=None)
    mails = Mail.objects.filter(due_at=None, created_at__lt=before)
    alerts = Alert.objects.filter(closed_at__lt=before).exclude(mails__due_at__isnull=False)
    return sum(_delete(rows) for rows in (finished, attempts, mails, alerts))


def _delete(rows: QuerySet[Model]) -> int:
    gone = 0
    while pks := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        gone += rows.model._default_manager.filter(pk__in=pks).delete()[0]
        time.sleep(PAUSE_SECONDS)
    return gone
