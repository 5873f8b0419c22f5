"""A timer inside each worker for what may be slow: looking at companies, mail servers, and asking LinkedIn."""

import logging

from django.conf import settings

from capi import checkups, shutdown
from capi.alerts import look, post
from capi.clock import database_now
from capi.repeating import Repeating

logger = logging.getLogger(__name__)


class Watcher(Repeating):
    """Every `SWEEP_SECONDS`, beside the sweep: look at companies, send mails, and check up, where they are due."""

    name = "watch"

    def seconds(self) -> float:
        return settings.SWEEP_SECONDS

    def round(self, number: int) -> None:
        for company_id in look.due_companies():
            if shutdown.has_begun():
                return
            try:
                look.look(company_id, now=database_now())
            except Exception:
                logger.exception("Company %s could not be looked at; the next round tries again.", company_id)
        post.send_due()
        if number:  # the first sweep leaves a sign of life beside this, which a check-up looks for
            checkups.check_up_due(seconds=settings.SWEEP_SECONDS)
