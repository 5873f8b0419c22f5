"""Loaded by a worker (`--include`): its main loop stops as soon as a file asks for it."""

import threading
from pathlib import Path
from typing import Any

from celery.signals import worker_ready

from capi.linkedin import failpoints

POINT = "main_loop"


@worker_ready.connect
def stand_still_when_told(sender: Any, **kwargs: Any) -> None:
    def look() -> None:
        order = Path(failpoints.FOLDER) / POINT
        if order.exists():
            order.unlink()
            threading.Event().wait()

    sender.timer.call_repeatedly(0.1, look)
