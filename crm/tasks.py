"""Housekeeping that runs in a worker."""

from celery import shared_task
from django.core.management import call_command

from crm.once import forget_old_forms
from crm.searches import forget_old_searches
from crm.sign_ins import forget_old_sign_ins
from postgresql.bounds import HOUSEKEEPING_SECONDS, statements_may_take


@shared_task(name="crm.clear_sessions")
def clear_sessions() -> None:
    """Delete sessions that have ended, what is on record of old sign-ins, and old searches and forms."""
    with statements_may_take(HOUSEKEEPING_SECONDS):
        call_command("clearsessions")
        forget_old_sign_ins()
        forget_old_searches()
        forget_old_forms()
