"""F79: leads come to a source while a process or a server goes: what was answered with 202 is one lead, and once."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from crm.models import CrmEvent, IntakeSource, Lead, Payload
from crm.services.intake_sources import add_source
from tests.faults import figures
from tests.faults.processes import wait_for
from tests.faults.test_broker_and_database import needs_own_database
from tests.faults.world import ABOUT_BROKER, ABOUT_DATABASE, Allowed, World

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.covers("F79"),
]

SOURCES = 4  # each has a limit per minute
EXPLAINED = f"{ABOUT_BROKER}|{ABOUT_DATABASE}|Service Unavailable: /in/"


class Website:
    """Sends lead after lead, each until it is accepted, as a sender has to. Used as a context."""

    def __init__(self, world: World, company: Any) -> None:
        self._addresses = itertools.cycle(
            [f"{world.url}/in/{_token(company, n)}/" for n in range(SOURCES)]
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self.accepted: set[str] = set()  # the e-mail addresses
        self.refused: list[tuple[int, Any, str | None]] = []

    def __enter__(self) -> "Website":
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        self._stopped.set()
        self._thread.join()

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more are accepted."""
        enough = len(self.accepted) + count
        wait_for(
            lambda: len(self.accepted) >= enough,
            seconds=120,
            told=f"{enough} payloads are accepted; last refused: {self.refused[-1:]}",
        )

    def _send(self) -> None:
        for number in itertools.count():
            fields = {"name": "Ada L", "email": f"sent{number}@example.com"}
            address = next(self._addresses)
            while not self._is_accepted(address, fields):
                if self._stopped.wait(0.05):
                    return
            if self._stopped.wait(0.02):
                return

    def _is_accepted(self, address: str, fields: dict[str, str]) -> bool:
        try:
            answer = requests.post(address, json=fields, timeout=30)
        except OSError:
            return False
        if answer.status_code != 202:
            again = answer.headers.get("Retry-After")
            self.refused.append((answer.status_code, answer.json(), again))
            return False
        self.accepted.add(fields["email"])
        return True


def _token(company: Any, number: int) -> str:
    source = IntakeSource(
        company=company, name=f"Form {number}", shares_without_consent=True
    )
    return add_source(source=source)


def kill_worker(world: World, website: Website) -> None:
    world.kill("worker1")
    figures.count("kills")
    world.start_worker()
    website.wait_for_more(10)


def kill_web(world: World, website: Website) -> None:
    world.kill("web")
    figures.count("kills of a web server")
    world.start_web()
    website.wait_for_more(10)


def restart_database(world: World, website: Website) -> None:
    world.database_server.restart("immediate")
    figures.count("database restarts")
    website.wait_for_more(10)


def freeze_broker(world: World, website: Website) -> None:
    world.broker_server.freeze()
    try:
        website.wait_for_more(10)
    finally:
        world.broker_server.thaw()
    figures.count("broker faults")


@pytest.mark.sized
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("fault", "times"),
    [
        pytest.param(kill_worker, 10, marks=pytest.mark.representative),
        (kill_web, 5),
        pytest.param(restart_database, 2, marks=needs_own_database),
        (freeze_broker, 2),
    ],
)
def test_what_was_accepted_becomes_one_lead(
    fault: Callable[[World, Website], None], times: int, world: World
) -> None:
    world.database_server.keep_commits()
    company = world.connect()
    world.start_web()
    world.start_worker()
    with Website(world, company) as website:
        website.wait_for_more(10)
        for _ in range(figures.rounds(times, long=4 * times)):
            fault(world, website)

    wait_until_all_have_ended()
    world.wait_for_the_end(seconds=60)

    leads = Counter(Lead.objects.values_list("email", flat=True))
    assert website.accepted - leads.keys() == set()
    assert {email: count for email, count in leads.items() if count > 1} == {}
    assert CrmEvent.objects.count() == len(leads)
    outcomes = Counter(Payload.objects.values_list("outcome", flat=True))
    # One whose answer got lost was sent again.
    assert outcomes.keys() <= {"added", "repeated"}
    assert outcomes["added"] == len(leads)
    assert {(status, again) for status, _, again in website.refused} <= {(503, "10")}
    # A worker also delivers, and may be killed while LinkedIn answers.
    assert world.broken(Allowed(hidden_answers=40), explained=EXPLAINED) == []


@pytest.mark.representative
@pytest.mark.parametrize(
    ("count", "ids", "outcome"),
    [(20, ["one"] * 20, "repeated"), (50, [str(n) for n in range(50)], "updated")],
)
def test_the_same_person_many_times_at_once_is_one_lead(
    count: int, ids: list[str], outcome: str, world: World
) -> None:
    company = world.connect()
    address = f"{world.url}/in/{_token(company, 0)}/"
    world.start_all()
    fields = {"name": "Ada L", "email": "ada@example.com"}

    def send(sent_id: str) -> int:
        headers = {"Idempotency-Key": sent_id}
        answer = requests.post(address, json=fields, headers=headers, timeout=30)
        return answer.status_code

    with ThreadPoolExecutor(count) as senders:
        statuses = [*senders.map(send, ids)]

    wait_until_all_have_ended()
    assert statuses == [202] * count
    assert (Lead.objects.count(), CrmEvent.objects.count()) == (1, 1)
    outcomes = Counter(Payload.objects.values_list("outcome", flat=True))
    assert outcomes == {"added": 1, outcome: count - 1}


def wait_until_all_have_ended() -> None:
    wait_for(
        lambda: not Payload.objects.filter(ended_at=None).exists(),
        seconds=180,
        told="each payload has ended",
    )
