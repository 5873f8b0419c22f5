"""Places where the fault tests let a process die or freeze. Anywhere else a call is nothing.

`LEADMACHINE_KILL_POINTS` names a folder. A file in it arms the point of its name with the signal that it holds, such
as "SIGKILL", or with STAND_STILL, for the thread alone. The process that takes the file away does so, and no other.
"""

import os
import signal
import threading
import time
from pathlib import Path

FOLDER = os.environ.get("LEADMACHINE_KILL_POINTS", "")

# In the order in which one delivery comes by, from the change of a lead to the written result.
POINTS = (
    "planned", "before_wake", "after_lease", "after_connect", "half_body_sent", "body_sent", "status_line_read",
    "answer_read", "first_result_row", "before_commit", "after_commit",
)  # fmt: skip

STAND_STILL = "stand still"  # the thread waits, for ever, and the rest of its process goes on

BACKFILL_POINT = "chunk_planned"  # where a delivery has planned a chunk of a backfill, before its commit


def reached(point: str) -> None:
    """Say that this process is at `point`, one of POINTS or BACKFILL_POINT."""
    if FOLDER:
        _obey(Path(FOLDER) / point)


def _obey(order: Path) -> None:
    taken = order.with_suffix(f".{os.getpid()}")
    try:
        order.rename(taken)
    except FileNotFoundError:
        return
    if (name := taken.read_text()) == STAND_STILL:
        threading.Event().wait()
    os.kill(os.getpid(), signal.Signals[name])
    time.sleep(0.1)  # the signal is handled before this process does anything more
