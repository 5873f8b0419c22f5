"""Writing down what LinkedIn answered, also where the database is away at that very moment.

What LinkedIn has taken can't be asked for again: without the result, all of the request would go out a second time.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError, connection

from capi import beats

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.25
# The last for a database that is read-only for a while (a standby that is not promoted yet), or that has ended our
# transaction because this process was frozen in it.
PASSING = (OperationalError, InterfaceError, InternalError)
T = TypeVar("T")


def until_written(write: Callable[[bool], T]) -> T:
    """What `write` returns, tried again on new connections for as long as a lease lasts.

    `write` is told whether it is tried again: the commit that failed may have gone through all the same. Raises
    what it raises in the end, and at once whatever is not about the connection, such as LeaseLost.
    """
    ends_at = time.monotonic() + settings.LEASE_SECONDS
    try:
        return write(False)
    except PASSING as error:
        logger.warning("The database is away (%s); trying again to write a result.", type(error).__name__)
    while True:
        connection.close()
        beats.beat()
        time.sleep(PAUSE_SECONDS)
        try:
            return write(True)
        except PASSING:
            if time.monotonic() >= ends_at:
                raise
