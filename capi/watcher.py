"""A timer inside each worker for what may be slow: looking at companies, and speaking with a mail server."""

import logging

from django.conf import settings

from capi.alerts import look, post
from capi.clock import database_now
from capi.repeating import Repeating

logger = logging.getLogger(__name__)


class Watcher(Repeating):
    """Every `SWEEP_SECONDS`, beside the sweep: look at the companies that are due, then send the mails that are."""

    name = "watch"

    def seconds(self) -> float:
        return settings.SWEEP_SECONDS

    def round(self, number: int) -> None:
        for company_id in look.due_companies():
            try:
                look.look(company_id, now=database_now())
            except Exception:
                logger.exception("Company %s could not be looked at; the next round tries again.", company_id)
        post.send_due()
