"""Everything of an installation under fire: LinkedIn, broker and database behind proxies, and processes to kill."""

import itertools
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from capi import services
from capi.models import Connection, ConversionEvent, ConversionRule
from capi.models.choices import OPEN_STATES
from capi.tasks import deliver
from crm.models import ApiKey, Company, Lead
from crm.views import errors
from crm.views.errors import OUTAGES
from leadmachine import installation
from leadmachine.celery import app
from postgresql.availability import Unavailable
from tests.conftest import TOKEN
from tests.faults.forks import Deliveries, Forks
from tests.faults.invariants import Allowed, broken, leased_lanes
from tests.faults.ledger import LinkedIn
from tests.faults.processes import Processes, as_environment, command, wait_for
from tests.faults.proxy import Proxy
from tests.faults.servers import Broker, Database

# The durations of reliability.md's test column, in seconds.
SMALL: Mapping[str, Any] = {
    "SEND_TIMEOUT_SECONDS": 2,
    "CONNECT_TIMEOUT_SECONDS": 1,
    "LEASE_SECONDS": 6,
    "SWEEP_SECONDS": 1.5,
    "STANDSTILL_SECONDS": 30,
    "PROGRESS_SECONDS": 4,
    "LANE_REST_SECONDS": 0.3,
    "RETRY_SECONDS": [0.3, 0.6, 1.2],
    "RETRY_LAST_SECONDS": 2,
    "THROTTLE_SECONDS": 0.5,
    "WAKE_BREAKER_SECONDS": 1,
    "REQUESTS_PER_MINUTE": 6000,
    "WEB_STATEMENT_SECONDS": 3,
}
USUAL_KEYS = ",".join(settings.TOKEN_KEYS)
RECOVERY_SECONDS = (
    SMALL["LEASE_SECONDS"] + SMALL["SWEEP_SECONDS"] + SMALL["SEND_TIMEOUT_SECONDS"]
)

# As it is installed. With DEBUG there are Django's pages for developers, and each statement is kept.
PRODUCTION = {
    "DEBUG": "off",
    "ALLOWED_HOSTS": "127.0.0.1",
    "LEADMACHINE_HTTPS": "off",
    "LINKEDIN_SANDBOX": "on",
}
OUTAGE = OUTAGES[Unavailable.UNREACHABLE]
# What the API says where the database is away: (status, body).
NOTHING_SAVED = (
    503,
    {"detail": f"{OUTAGE.what} {errors.NOTHING_SAVED} {OUTAGE.what_to_do}"},
)
MAY_BE_SAVED = (
    503,
    {"detail": f"{OUTAGE.what} {errors.MAY_BE_SAVED} {OUTAGE.what_to_do}"},
)
SORRY = NOTHING_SAVED, MAY_BE_SAVED

# What a process may say at ERROR while the named part is away: it says so, and goes on.
ABOUT_TIMERS = r"The (sweep|watch|count of the log|housekeeping|post|jobs \d+|check-up of company \d+) failed"
ABOUT_DATABASE = (
    rf"OperationalError|InterfaceError|{ABOUT_TIMERS}"
    r"|Old rows of \S+ could not be deleted|Company \d+ could not be evaluated|psycopg|terminating connection"
    r"|The duplicates of company \d+ could not be found"
)
ABOUT_BROKER = r"celery\.(worker|bootsteps)|redis|broker"

LIKE_A_TOKEN = re.compile(r"AQ[VX]\S{8}")  # of the tests and of LinkedIn alike


class Surroundings:
    """What the worlds of a test run share: LinkedIn, broker and database, their proxies, and a server that forks.

    Because the addresses stay the same, one server that has read them as settings can fork for all worlds.
    """

    def __init__(self, folder: Path, linkedin: LinkedIn, broker: Broker) -> None:
        self.folder = folder
        self.ledger, self.broker_server = linkedin, broker
        self.database_server = Database()
        self.linkedin = Proxy(("127.0.0.1", linkedin.port))
        self.broker = Proxy(("127.0.0.1", broker.port))
        self.database = Proxy(self.database_server.address)
        self.kill_points = folder / "kill-points"
        self.kill_points.mkdir()
        # Bound, but not listening: nobody else gets the port, and a web server may listen on it.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port.bind(("127.0.0.1", 0))
        self.port = int(self._port.getsockname()[1])
        self._forks: Forks | None = None

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        return self.linkedin, self.broker, self.database

    def forks(self, environment: Mapping[str, str]) -> Forks:
        """The server that forks for every world. A first test with other keys must not decide for all."""
        if self._forks is None or not self._forks.is_running():
            usual = {**environment, "LEADMACHINE_TOKEN_KEYS": USUAL_KEYS}
            self._forks = Forks(usual, self.folder / "forks.log")
        return self._forks

    def reset(self) -> None:
        """Remove what the previous world left: connections, faults, armed kill points, messages."""
        for proxy in self.proxies:
            proxy.reset()
            proxy.up()
        for order in self.kill_points.iterdir():
            order.unlink()
        self.ledger.clear()
        with self.broker_server.client() as client:
            client.flushall()

    def close(self) -> None:
        if self._forks:
            self._forks.close()
        for proxy in self.proxies:
            proxy.down()
        self._port.close()


class World(Processes):
    """Used as a context. The tests' own database is the database of all processes."""

    lease_seconds = float(SMALL["LEASE_SECONDS"])

    def __init__(self, folder: Path, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self.ledger, self.broker_server = (
            surroundings.ledger,
            surroundings.broker_server,
        )
        self.database_server = surroundings.database_server
        self.linkedin, self.broker, self.database = surroundings.proxies
        self.kill_points = surroundings.kill_points
        self._deliveries: Deliveries | None = None
        super().__init__(
            folder,
            port=surroundings.port,
            LINKEDIN_API_URL=f"http://127.0.0.1:{self.linkedin.port}",
            DATABASE_URL=self.database_server.url(port=self.database.port),
            REDIS_URL=f"redis://127.0.0.1:{self.broker.port}/0",
            LEADMACHINE_API_REQUESTS_PER_MINUTE="1000000",
            LEADMACHINE_API_COMPANY_PER_MINUTE="1000000",
            LEADMACHINE_KILL_POINTS=str(self.kill_points),
            **as_environment(SMALL),
            **PRODUCTION,
        )
        self.environment["LEADMACHINE_TOKEN_KEYS"] = ",".join(settings.TOKEN_KEYS)
        self.forks = surroundings.forks(self.environment)
        self._own_forks: Forks | None = None

    def __enter__(self) -> "World":
        self._surroundings.reset()
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        try:
            for name in self.running:
                self.send_signal(name, signal.SIGKILL)
            if self._deliveries is not None:
                self._deliveries.kill()
            self.kill(*list(self.running))
        finally:
            for proxy in self._surroundings.proxies:
                proxy.reset()
            if self._own_forks is not None:
                self._own_forks.close()
            # pytest shows it if the test has failed.
            print(
                "\n".join(
                    line for line in self.logs().splitlines() if " INFO " not in line
                )
            )

    # --- our side ---

    def start_web(self) -> None:
        self.start("web", command("web"))
        self.wait_for_web()

    @property
    def deliveries(self) -> Deliveries:
        """Deliveries without Celery, for kills by the hundred."""
        if self._deliveries is None:
            forks = self._surroundings.forks(self.environment)
            if forks.environment != self.environment:
                forks = self._own_forks = Forks(
                    self.environment, self.folder / "forks.log"
                )
            self._deliveries = Deliveries(forks, self.folder / "deliveries.log")
        return self._deliveries

    def stop_forking(self) -> None:
        """From now on, let each web server and worker load its own modules, as in production."""
        self.forks = None

    def arm(self, point: str, order: str = "SIGKILL") -> None:
        """The next process that comes to the kill point gets this signal."""
        waiting = self.kill_points / "order"
        waiting.write_text(order)
        waiting.rename(self.kill_points / point)

    def is_armed(self, point: str) -> bool:
        """True until a process has come to the point."""
        return (self.kill_points / point).exists()

    def wait_until_hit(self, point: str) -> None:
        wait_for(
            lambda: not self.is_armed(point),
            seconds=20,
            told=f"a process comes to {point}",
        )

    def let_leases_lapse(self) -> None:
        """Let every lease lapse, as if its time were up."""
        Connection.objects.exclude(lease_id=None).update(leased_until=Now())
        time.sleep(0.002)

    def pids(self) -> dict[str, set[int]]:
        """The process ids behind each name now: that of the process that was started, and those of its pool."""
        return {
            name: {process.pid, *(child.pid for child in self.children(name))}
            for name, process in self.running.items()
        }

    # --- what happens in it ---

    def connect(
        self,
        slug: str = "northwind",
        *,
        token: str = TOKEN,
        rules: tuple[str, ...] = ("lead_created",),
    ) -> Any:
        """A company with a token and a rule for each of these CRM events."""
        company = Company.objects.create(
            name=slug.capitalize(), slug=slug, grace_seconds=0
        )
        services.save_token(company=company, token=token)
        for number, name in enumerate(rules, 104_012):
            ConversionRule.objects.create(
                company=company, crm_event=name, linkedin_id=str(number), name=name
            )
        return company

    @property
    def queue(self) -> str:
        """The list of Redis in which the wake-ups of this installation wait."""
        return f"leadmachine:{installation.name()}:{settings.CELERY_TASK_DEFAULT_QUEUE}"

    def queue_wake_ups(self, company: Company, count: int) -> list[str]:
        """Queue so many wake-ups for the company, past the broker's proxy and its troubles. Returns their ids."""
        with (
            app.connection_for_write(self.broker_server.url) as line,
            app.amqp.producer_pool.acquire(),
        ):
            producer = app.amqp.Producer(line)
            return [
                deliver.apply_async([company.pk], producer=producer).id
                for _ in range(count)
            ]

    def wait_until_heard(self, company: Company, name: str = "worker1") -> None:
        """Wait until the worker has handled a wake-up that is queued now."""
        [wake_up] = self.queue_wake_ups(company, 1)
        wait_for(
            lambda: f"[{wake_up}] succeeded" in self.log(name),
            seconds=60,
            told=f"{name} hears a new wake-up",
        )

    def api(self, company: Company) -> "Api":
        _, key = ApiKey.objects.issue(company=company, role="sales", name="For a test")
        return Api(self.url, key)

    # --- and what came of it ---

    def wait_for_the_end(
        self, *, seconds: float = RECOVERY_SECONDS + 2, held: Q | None = None
    ) -> None:
        """Wait until no event is open and no lane leased. Fails if that takes longer than the bound R."""
        events = ConversionEvent.objects.filter(state__in=OPEN_STATES)
        if held is not None:
            events = events.exclude(held)
        told = f"no event is open (I7); {len(self.ledger.entries())} requests so far"
        wait_for(lambda: not events.exists(), seconds=seconds, told=told)
        wait_for(
            lambda: not leased_lanes().exists(),
            seconds=self.lease_seconds + 1,
            told="no lane is leased",
        )

    def broken(
        self, allowed: Allowed | None = None, *, explained: str = ""
    ) -> list[str]:
        """Returns what breaks any invariant. `explained` is a pattern of the complaints that the fault explains."""
        # Late wake-ups take a lane for a moment to find that there is nothing to do.
        end = time.monotonic() + self.lease_seconds
        while (
            found := broken(self.ledger.entries(), allowed)
        ) and time.monotonic() < end:
            if not all(line.endswith("still leased.") for line in found):
                break
            time.sleep(0.05)
        return [*found, *self.complaints(explained)]

    def complaints(self, explained: str = "") -> list[str]:
        """I8 and I10: what the logs hold that they must not."""
        found = []
        for path in self._log_paths():
            for line in path.read_text(errors="replace").splitlines():
                if LIKE_A_TOKEN.search(line) or "@example." in line:
                    found.append(f"I8: {path.stem} logs a token or an address: {line}")
                if re.search(r"\b(ERROR|CRITICAL)\b", line) and not (
                    explained and re.search(explained, line)
                ):
                    found.append(f"I10: {path.stem}: {line}")
        return found


class Api:
    """A script that saves leads over HTTP."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self.key = url, key
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {key}"

    def save_lead(self, number: int) -> tuple[int, float]:
        """Add a lead. Returns the status of the answer, and the seconds that it took."""
        start = time.monotonic()
        answer = self.add_lead(
            {"first_name": f"Lead {number}", "email": f"lead{number}@example.com"}
        )
        return answer.status_code, time.monotonic() - start

    def add_lead(self, fields: Mapping[str, Any]) -> requests.Response:
        return self._session.post(f"{self._url}/api/v1/leads/", json=fields, timeout=30)

    def addresses(self) -> set[str]:
        """The e-mail addresses of all leads that are there, page by page."""
        found: set[str] = set()
        page: str | None = f"{self._url}/api/v1/leads/?page_size=500"
        while page:
            answer = self._session.get(page, timeout=30).json()
            found.update(lead["email"] for lead in answer["results"])
            page = answer["next"]
        return found


class Saver:
    """A person who saves lead after lead, whatever happens, and keeps the answers. Used as a context."""

    def __init__(self, api: Api, *, start: int = 0) -> None:
        self._api = api
        self._numbers = itertools.count(start)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._save)
        self.saved: set[str] = set()  # the addresses that were answered with 201
        # Every other answer; one that never came is none.
        self.refused: list[tuple[int, Any]] = []
        # The addresses of which the answer said that nothing was saved.
        self.not_saved: set[str] = set()
        # How long they waited for an answer at most, in seconds, whether it came or
        # not.
        self.slowest = 0.0

    def __enter__(self) -> "Saver":
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        self._stopped.set()
        self._thread.join()

    @property
    def lost(self) -> set[str]:
        """The addresses that were confirmed as saved, but are not there."""
        return self.saved - set(Lead.objects.values_list("email", flat=True))

    @property
    def saved_all_the_same(self) -> set[str]:
        """The addresses that were answered with "Nothing was saved.", but are there."""
        return self.not_saved & set(Lead.objects.values_list("email", flat=True))

    def _save(self) -> None:
        while not self._stopped.wait(0.01):
            fields = {
                "first_name": "Saved",
                "email": f"saved{next(self._numbers)}@example.com",
            }
            start = time.monotonic()
            try:
                answer = self._api.add_lead(fields)
            except OSError:
                continue
            finally:
                self.slowest = max(self.slowest, time.monotonic() - start)
            if answer.status_code == 201:
                self.saved.add(fields["email"])
            else:
                self.refused.append((answer.status_code, answer.json()))
                if self.refused[-1] == NOTHING_SAVED:
                    self.not_saved.add(fields["email"])


def make_leads(company: Company, count: int, *, start: int = 0) -> None:
    """So many new leads in one go."""
    numbers = range(start, start + count)
    Lead.objects.bulk_create(
        Lead(company=company, first_name=f"Lead {n}", email=f"lead{n}@example.com")
        for n in numbers
    )


@contextmanager
def timed(at_most: float) -> Iterator[None]:
    """Fails if the block takes longer than so many seconds."""
    start = time.monotonic()
    yield
    took = time.monotonic() - start
    assert took <= at_most, f"took {took:.1f} s, allowed are {at_most} s"


__all__ = [
    "ABOUT_BROKER",
    "ABOUT_DATABASE",
    "MAY_BE_SAVED",
    "NOTHING_SAVED",
    "PRODUCTION",
    "RECOVERY_SECONDS",
    "SMALL",
    "SORRY",
    "Allowed",
    "Api",
    "Saver",
    "Surroundings",
    "World",
    "make_leads",
    "timed",
]
