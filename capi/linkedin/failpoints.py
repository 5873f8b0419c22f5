"""Points at which the fault tests kill or freeze a process. Outside those tests a call does nothing.

`LEADMACHINE_KILL_POINTS` names a folder. A file in it arms the point of its name. Its content is a signal, such as
"SIGKILL", or STAND_STILL for the thread alone. Only the process that takes the file away obeys it.
"""

import os
import signal
import threading
import time
from pathlib import Path

FOLDER = os.environ.get("LEADMACHINE_KILL_POINTS", "")

# In the order of one delivery, from the change of a lead to the written result.
POINTS = (
    "planned",
    "before_wake",
    "after_lease",
    "after_connect",
    "half_body_sent",
    "body_sent",
    "answer_begun",
    "answer_read",
    "first_result_row",
    "before_commit",
    "after_commit",
)

# The thread waits for ever, and the rest of its process goes on.
STAND_STILL = "stand still"

# A delivery has planned a chunk of a backfill, and not committed it.
BACKFILL_POINT = "chunk_planned"


def reached(point: str) -> None:
    """Obey the file for `point`, if there is one. `point` is one of POINTS or BACKFILL_POINT."""
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
