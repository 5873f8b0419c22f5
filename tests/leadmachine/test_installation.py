"""An installation has one name, however its processes reach the database; no other has it, or takes its keys."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as django_settings
from django.core.cache import caches
from django.core.checks import Tags, run_checks
from django.db import Error, connection, connections
from kombu import Connection, Consumer, Producer, Queue

from leadmachine import checks, installation
from leadmachine.cache import patience
from leadmachine.celery_transport import Transport
from leadmachine.settings import CACHES
from leadmachine.startup import refusals
from tests.faults.installation import create_database, drop_database
from tests.faults.proxy import Proxy
from tests.faults.servers import Database

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = Queue("tests-of-installations")


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    installation.name.cache_clear()
    yield
    installation.name.cache_clear()


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """From now on, reach the database in another way, as another process may."""

    def reach(**changes: Any) -> None:
        installation.name.cache_clear()
        monkeypatch.setitem(
            connections.settings,
            "default",
            {**connection.settings_dict, "OPTIONS": {}, **changes},
        )

    return reach


@pytest.fixture
def plain_user() -> Iterator[str]:
    """A user of the database who may do nothing in particular."""
    execute("CREATE ROLE plain_user LOGIN")
    yield "plain_user"
    execute("DROP OWNED BY plain_user")
    execute("DROP ROLE plain_user")


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_any_address_and_any_user_of_a_database_lead_to_one_name(
    reached: Any, plain_user: str
) -> None:
    proxy = Proxy(Database().address)
    names = [installation.name()]
    reached(HOST="127.0.0.1", PORT=str(proxy.port))
    names.append(installation.name())
    reached(HOST="127.0.0.1", PORT=str(proxy.port), USER=plain_user)

    names.append(installation.name())

    proxy.down()
    assert len(names[0]) == 12
    assert set(names) == {names[0]}


def test_a_copy_of_a_database_beside_it_has_another_name(reached: Any) -> None:
    first = installation.name()
    url = create_database()
    reached(
        NAME=urlsplit(url).path.strip("/"), OPTIONS=connection.settings_dict["OPTIONS"]
    )

    second = installation.name()

    drop_database(url)
    assert first != second


def test_a_name_that_is_set_needs_no_database(settings: Any, reached: Any) -> None:
    settings.INSTALLATION = "crm-staging"
    reached(HOST="127.0.0.1", PORT="9")

    assert installation.name() == "crm-staging"


def test_with_the_database_away_nothing_is_known_or_refused_and_it_is_asked_again(
    reached: Any,
) -> None:
    proxy = Proxy(Database().address)
    reached(HOST="127.0.0.1", PORT=str(proxy.port))
    proxy.down()

    with pytest.raises(Error):
        installation.name()
    with pytest.raises(
        Transport.connection_errors, match="can't be read from the database"
    ):
        line().channel()
    assert checks.database_identity() == []

    proxy.up()
    assert len(installation.name()) == 12
    proxy.down()


def test_a_database_that_does_not_say_keeps_a_process_from_starting_with_a_sentence_that_helps(
    reached: Any, plain_user: str
) -> None:
    proxy = Proxy(Database().address)
    reached(HOST="127.0.0.1", PORT=str(proxy.port), USER=plain_user)
    execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")

    told = refusals()

    execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
    proxy.down()
    assert [
        line
        for line in told
        if line.startswith("leadmachine.E010") and "GRANT EXECUTE" in line
    ]


def test_the_right_start_refuses_nothing() -> None:
    assert run_checks(tags=[Tags.database], databases=["default"]) == []


def test_none_takes_the_wake_ups_of_another(settings: Any) -> None:
    def taken_by(name: str, *, at_least: int = 0) -> list[Any]:
        be(name)
        taken: list[Any] = []
        with line() as connection:
            listener = Consumer(
                connection, [QUEUE], callbacks=[lambda body, _: taken.append(body)]
            )
            with listener, pytest.raises(TimeoutError):
                while True:
                    connection.drain_events(
                        timeout=0.2 if len(taken) >= at_least else 10
                    )
        return taken

    def be(name: str) -> None:
        settings.INSTALLATION = name
        installation.name.cache_clear()

    be("ours")
    with line() as connection:
        Producer(connection).publish("for us", routing_key=QUEUE.name)

    assert taken_by("theirs") == []
    assert taken_by("ours", at_least=1) == ["for us"]


def line() -> Connection:
    return Connection(
        django_settings.REDIS_URL, transport="leadmachine.celery_transport:Transport"
    )


def test_none_counts_or_reads_in_the_cache_of_another(
    settings: Any, request: pytest.FixtureRequest
) -> None:
    settings.CACHES = {
        "default": {**CACHES["default"], "KEY_PREFIX": request.node.name}
    }
    patience.forget()
    counts = []
    for name in ("ours", "theirs", "ours"):
        settings.INSTALLATION = name
        installation.name.cache_clear()
        counts.append(caches["default"].count(["uses"], 60)[0])

    for pool in caches["default"]._cache._pools.values():
        pool.disconnect()
    del caches["default"]
    assert counts == [1, 1, 2]
