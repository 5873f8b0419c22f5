"""The files, calls and statements that one event needs: `python -m benchmarks.trace [--list]`.

On PostgreSQL, with the strict sandbox as a process on a socket, one lead is saved as qualified, its event is delivered,
and Recent Events is shown. Three legs:

    save      from `save()` to the end of its transaction, in the thread that saves
    deliver   from the start of the task `capi.deliver` to the event's settling and the end of the task, all threads
    events    one GET of Recent Events through Django's test client

What is counted. Files: those of the product (`PACKAGES`, without migrations) in which a function was called, not those
that are only imported. Calls: of functions, methods, properties and lambdas in these files. Comprehensions, class
bodies and resumed generators don't count, because Python versions differ there. Statements: those that Django's cursor
executes in any thread, and BEGIN and COMMIT. The database backend (`postgresql/`) passes every statement through the
same four functions, so its calls are counted separately. The wake-up that follows a save, in a thread of its own,
belongs to neither leg. The first event and the first GET don't count: they import modules, open connections and fill
caches. Of the `ROUNDS` that follow, the one with the fewest calls counts: on a busy machine, values that were cached a
moment ago are read again.
"""

import argparse
import dis
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Final

from benchmarks import world

PACKAGES: Final = ("leadmachine", "crm", "capi")
BACKEND: Final = "postgresql"
PAGE: Final = "/integrations/linkedin/events/"
ROUNDS: Final = 4
SETTLE_SECONDS: Final = 1.0  # until the thread of the wake-ups has nothing left to do
RESUME: Final = dis.opmap["RESUME"]
DJANGOS_CURSOR: Final = "django/db/backends/utils.py"
DJANGOS_CONNECTION: Final = "django/db/backends/base/base.py"
BEGINS: Final = "BaseDatabaseWrapper.set_autocommit"
ENDS: Final = {
    "BaseDatabaseWrapper._commit": "COMMIT",
    "BaseDatabaseWrapper._rollback": "ROLLBACK",
}


@dataclass(slots=True)
class Leg:
    """What was recorded: the functions called, by file in the order of the first call, and the statements."""

    name: str
    files: dict[str, dict[str, int]] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)
    backend_calls: int = 0

    def note(self, path: str, function: str) -> None:
        if path.startswith(f"{BACKEND}/"):
            self.backend_calls += 1
            return
        functions = self.files.setdefault(path, {})
        functions[function] = functions.get(function, 0) + 1

    @property
    def calls(self) -> int:
        return sum(sum(functions.values()) for functions in self.files.values())


class Recorder:
    """Records each call in this process during a leg."""

    def __init__(self) -> None:
        self._leg: Leg | None = None
        self._only: int | None = None  # the only thread to record, if not all
        self._lock = threading.Lock()
        sys.setprofile(self._see)
        threading.setprofile(self._see)

    @contextmanager
    def record(self, name: str, *, this_thread: bool = False) -> Iterator[Leg]:
        leg = Leg(name)
        self._only = threading.get_ident() if this_thread else None
        self._leg = leg
        try:
            yield leg
        finally:
            self._leg = None

    def _see(self, frame: FrameType, event: str, argument: object) -> None:
        leg = self._leg
        if (
            leg is None
            or event != "call"
            or self._only not in (None, threading.get_ident())
        ):
            return
        code = frame.f_code
        if code.co_filename.endswith((DJANGOS_CURSOR, DJANGOS_CONNECTION)):
            self._see_django(leg, frame)
        elif (path := _product_file(code)) and _is_call(frame):
            with self._lock:
                leg.note(path, code.co_qualname)

    def _see_django(self, leg: Leg, frame: FrameType) -> None:
        name = frame.f_code.co_qualname
        if name in ("CursorWrapper._execute", "CursorWrapper._executemany"):
            leg.statements.append(re.sub(r"\s+", " ", str(frame.f_locals["sql"])))
        elif name in ENDS:
            leg.statements.append(ENDS[name])
        elif name == BEGINS and not frame.f_locals["autocommit"]:
            leg.statements.append("BEGIN")


def _product_file(code: CodeType) -> str | None:
    path = code.co_filename.removeprefix(f"{world.ROOT}/")
    is_ours = (
        path.partition("/")[0] in (*PACKAGES, BACKEND) and "/migrations/" not in path
    )
    return path if is_ours else None


def _is_call(frame: FrameType) -> bool:
    """False for a comprehension, the body of a class or module, and a generator that is resumed."""
    code = frame.f_code
    if code.co_name.startswith("<") and code.co_name != "<lambda>":
        return False
    # A new frame is at its first RESUME, whose argument is 0. A resumed one is at a later RESUME.
    opcode, argument = (
        code.co_code[frame.f_lasti : frame.f_lasti + 2]
        if frame.f_lasti >= 0
        else (RESUME, 0)
    )
    return opcode != RESUME or argument & 3 == 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Trace one event from save() to sent, and one GET of Recent Events."
    )
    parser.add_argument(
        "--list",
        action="store_true",
        help="each file in the order of visit, its functions, the SQL",
    )
    options = parser.parse_args()
    world.start()
    legs = _trace()
    print(
        f"{'leg':<10}{'files':>7}{'calls':>7}{'statements':>12}{'calls of the backend':>22}"
    )
    for leg in legs:
        print(
            f"{leg.name:<10}{len(leg.files):>7}{leg.calls:>7}{len(leg.statements):>12}{leg.backend_calls:>22}"
        )
    if options.list:
        for leg in legs:
            _list(leg)


def _trace() -> list[Leg]:
    """Record several events and pages. Returns, for each leg, the round with the fewest calls."""
    from django.conf import settings
    from django.db import transaction
    from django.test import Client

    from benchmarks import people
    from capi.models import ConversionEvent
    from capi.tasks import deliver
    from crm.models import LeadStatus, Membership, User

    settings.ALLOWED_HOSTS, settings.HTTPS = ["*"], False
    company = people.connected_company("trace", crm_event="lead_qualified")
    people.waiting_events(company, 1 + ROUNDS)
    qualified = LeadStatus.objects.get(company=company, meaning="qualified")
    user = User.objects.create_user("trace@example.com", "trace@example.com", "x")
    Membership.objects.create(company=company, user=user, role="admin")
    recorder, client = Recorder(), Client()
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
    rounds: list[tuple[Leg, Leg, Leg]] = []
    with world.linkedin():
        for lead in company.leads.all():
            lead.status = qualified
            with (
                recorder.record("save", this_thread=True) as save,
                transaction.atomic(),
            ):
                lead.save()
            time.sleep(SETTLE_SECONDS)
            with recorder.record("deliver") as delivery:
                deliver(company.pk)
            event = ConversionEvent.objects.get(lead=lead)
            assert (event.state, event.http_status) == ("accepted", 201), (
                event.state,
                event.message,
            )
            with recorder.record("events") as page:
                answer = client.get(PAGE)
            assert answer.status_code == 200, answer.status_code
            rounds.append((save, delivery, page))
    return [
        min(legs, key=lambda leg: leg.calls) for legs in zip(*rounds[1:], strict=True)
    ]


def _list(leg: Leg) -> None:
    print(f"\n--- {leg.name}")
    for path, functions in leg.files.items():
        print(
            f"{path}: "
            + ", ".join(
                f"{name} x{n}" if n > 1 else name for name, n in functions.items()
            )
        )
    for number, statement in enumerate(leg.statements, 1):
        print(f"{number:>3}  {statement[:160]}")


if __name__ == "__main__":
    main()
