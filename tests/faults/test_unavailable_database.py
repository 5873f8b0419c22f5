"""A PostgreSQL that can be written to no more, reached no more, or not yet: people read why, and the worker goes on."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import requests
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connection

from crm.models import Lead, User
from crm.models.roles import Role
from crm.services.calendar_feeds import renew_feed
from crm.views.errors import NOTHING_SAVED, OUTAGES, Outage
from postgresql.availability import Unavailable
from tests.conftest import PASSWORD, join
from tests.faults import figures
from tests.faults.processes import wait_for
from tests.faults.test_broker_and_database import needs_own_database
from tests.faults.test_log_of_an_outage import tracebacks
from tests.faults.world import ABOUT_DATABASE, World

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.covers("F28"),
]

CSRF = "a" * 32
EXPLAINED = (
    f"{ABOUT_DATABASE}|(Service Unavailable|Internal Server Error): /|InternalError"
    "|/readyz: The database "
)


@contextmanager
def read_only(world: World) -> Iterator[Unavailable]:
    """As an administrator sets it, for all new connections."""
    _execute(
        f'ALTER DATABASE "{world.database_server.name}" SET default_transaction_read_only = on'
    )
    world.database_server.end_connections()
    yield Unavailable.READ_ONLY
    _execute("SET default_transaction_read_only = off")
    _execute(
        f'ALTER DATABASE "{world.database_server.name}" RESET default_transaction_read_only'
    )
    world.database_server.end_connections()


@contextmanager
def no_connection_left(world: World) -> Iterator[Unavailable]:
    """Others have all connections of the server (max_connections)."""
    connection.ensure_connection()
    with ExitStack() as others:
        while True:
            try:
                others.enter_context(
                    psycopg.connect(**world.database_server.parameters)
                )
            except psycopg.OperationalError:
                if not world.database_server.end_connections():
                    break
        yield Unavailable.UNREACHABLE


@contextmanager
def stopped(world: World) -> Iterator[Unavailable]:
    connection.close()
    world.database_server.stop()
    yield Unavailable.UNREACHABLE
    world.database_server.start()


@contextmanager
def starting(world: World) -> Iterator[Unavailable]:
    """It recovers from its log, and lets nobody in."""
    connection.close()
    world.database_server.stop()
    world.database_server.start_as_standby(is_hot=False)
    yield Unavailable.UNREACHABLE
    world.database_server.stop()
    world.database_server.start()


@contextmanager
def standby(world: World) -> Iterator[Unavailable]:
    """It takes over, and is not promoted yet."""
    connection.close()
    world.database_server.stop()
    world.database_server.start_as_standby(is_hot=True)
    yield Unavailable.READ_ONLY
    connection.close()
    world.database_server.promote()


@dataclass(frozen=True)
class People:
    """Everyone who has to do with an installation: each of them sends a request."""

    url: str
    key: str
    feed: str
    member: requests.Session

    def ask(self) -> dict[str, requests.Response]:
        """All requests, by what they are about. Those that end in `!` save something."""
        urls = {
            "alive": "/healthz", "ready": "/readyz", "a list": "/leads/", "a part of a page": "/deals/board/1/",
            "the operator": "/admin/", "a calendar": f"/calendar/{self.feed}.ics", "a missing page": "/nothing/",
            "a file of the installation": "/static/app.css", "signing in": "/login/", "signing up": "/signup/",
        }  # fmt: skip
        answers = {
            name: self.member.get(self.url + path, timeout=30)
            for name, path in urls.items()
        }
        account = {
            "company": "New", "currency": "EUR", "time_zone": "UTC", "first_name": "New", "last_name": "Person",
            "email": "new@example.com", "password1": PASSWORD,
        }  # fmt: skip
        post = {
            "signing in!": (
                "/login/",
                {"username": "sales@example.com", "password": PASSWORD},
            ),
            "signing up!": ("/signup/", account),
            "a new password!": ("/password/reset/", {"email": "sales@example.com"}),
        }
        for name, (path, fields) in post.items():
            answers[name] = fill_in(requests.Session(), self.url, path, fields)
        answers["a script"] = requests.get(
            f"{self.url}/api/v1/leads/", headers=self.bearer, timeout=30
        )
        answers["a script!"] = self.save()
        return answers

    def save(self) -> requests.Response:
        """Add a lead by script."""
        leads = f"{self.url}/api/v1/leads/"
        fields = {"first_name": "Ada", "email": "ada@example.com"}
        return requests.post(leads, json=fields, headers=self.bearer, timeout=30)

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


def fill_in(
    browser: requests.Session, url: str, path: str, fields: dict[str, str]
) -> requests.Response:
    """Send a form, with a token of one's own as its cookie too: no page has to be read first."""
    browser.cookies.set(settings.CSRF_COOKIE_NAME, CSRF)
    form = {"csrfmiddlewaretoken": CSRF, **fields}
    return browser.post(url + path, form, timeout=30, allow_redirects=False)


@needs_own_database
@pytest.mark.parametrize(
    "state",
    [
        pytest.param(read_only, marks=pytest.mark.representative),
        no_connection_left,
        stopped,
        starting,
        standby,
    ],
)
def test_every_answer_says_why_and_all_goes_on_afterwards(
    state: Any, world: World
) -> None:
    people = _people(world)
    world.start_worker()
    world.wait_for_worker()
    before = people.ask()
    known = world.pids()

    with state(world) as reason:
        during = people.ask()
        wait_for(
            lambda: "failed; it runs again" in world.log("worker1"),
            seconds=30,
            told="the worker notices",
        )
        again = people.ask()
    wait_for(
        lambda: people.save().status_code == 201,
        seconds=20,
        told="leads can be saved again",
    )
    after = people.ask()
    world.wait_for_the_end(seconds=30)

    outage = OUTAGES[reason]
    assert {
        name: answer.status_code
        for name, answer in before.items()
        if answer.status_code >= 500
    } == {}
    for answers in (during, again):
        assert _unhelpful(answers, outage) == {}
        assert {
            name
            for name in answers
            if name.endswith("!") and answers[name].status_code != 503
        } == set()
        assert (
            answers["alive"].status_code
            == answers["a file of the installation"].status_code
            == 200
        )
        assert answers["ready"].status_code == 503
    assert {
        name: answer.status_code
        for name, answer in after.items()
        if answer.status_code >= 500
    } == {}
    assert (before["a script!"].status_code, after["a script!"].status_code) == (
        201,
        201,
    )
    assert Lead.objects.count() == 3
    assert world.pids() == known
    assert tracebacks(world.log("worker1")) <= 2 * len(known["worker1"])
    assert world.broken(explained=EXPLAINED) == []
    figures.count("database outages")


def _people(world: World) -> People:
    company = world.connect()
    membership = join(company, Role.SALES)
    User.objects.update(password=PBKDF2PasswordHasher().encode(PASSWORD, "salt"))
    # DEBUG: pages without `collectstatic`.
    world.environment |= {
        "DEBUG": "on",
        "LEADMACHINE_SIGNUP": "on",
        "EMAIL_URL": "dummymail://",
    }
    world.start_web()
    member = requests.Session()
    account = {"username": membership.user.email, "password": PASSWORD}
    assert fill_in(member, world.url, "/login/", account).status_code == 302
    return People(
        world.url, world.api(company).key, renew_feed(membership=membership), member
    )


def _unhelpful(answers: dict[str, requests.Response], outage: Outage) -> dict[str, str]:
    """The answers that are an error, and don't say that it is an outage, when to try again, and what was saved."""
    return {
        name: f"{answer.status_code} {answer.text[:500]}"
        for name, answer in answers.items()
        if answer.status_code >= 500
        and name != "ready"
        and not _is_helpful(answer, outage, is_write=name.endswith("!"))
    }


def _is_helpful(answer: requests.Response, outage: Outage, *, is_write: bool) -> bool:
    is_outage = answer.status_code == 503 and answer.headers["Retry-After"] == str(
        outage.retry_after
    )
    text = answer.text.replace("&#x27;", "'")
    return is_outage and outage.what in text and (NOTHING_SAVED in text) is is_write


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
