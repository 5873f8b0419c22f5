"""Housekeeping that runs in a worker."""

from celery import shared_task
from django.core.management import call_command


@shared_task(name="crm.clear_sessions")
def clear_sessions() -> None:
    """Delete sessions that have ended."""
    call_command("clearsessions")
