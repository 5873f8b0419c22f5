"""An outage is logged in full once, then in a line each time, then its end; any other error keeps its traceback."""

import io
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest
import redis
from django.conf import settings as product
from django.db import ConnectionHandler, OperationalError, connection
from redis.backoff import NoBackoff
from redis.retry import Retry

from leadmachine import outages
from leadmachine.log_format import SafeFormatter
from leadmachine.outages import OncePerOutage

pytestmark = pytest.mark.django_db

Fails = Callable[[], Any]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the product's own handler writes, with no outage before."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(SafeFormatter(fmt="{levelname} {name}: {message}", style="{"))
    handler.addFilter(OncePerOutage())
    root = logging.getLogger()
    others, root.handlers = root.handlers, [handler]
    outages._forget()
    yield stream
    root.handlers = others
    outages._forget()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def database(closed_port: int) -> Fails:
    postgres = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "x",
        "HOST": "127.0.0.1",
        "PORT": closed_port,
    }
    return lambda: ConnectionHandler({"default": postgres})[
        "default"
    ].ensure_connection()


@pytest.fixture
def broker(closed_port: int) -> Fails:
    # At once, not after ten tries.
    return lambda: redis.Redis(port=closed_port, retry=Retry(NoBackoff(), 0)).ping()


def log_failure(
    fails: Fails, words: str = "Internal Server Error: %s", *arguments: Any
) -> None:
    try:
        fails()
    except Exception:
        logging.getLogger("django.request").exception(
            words, *(arguments or ("/leads/",))
        )
    else:
        pytest.fail("It did not fail.")


def events(log: io.StringIO) -> list[str]:
    """The lines that are no part of a traceback."""
    return [line for line in log.getvalue().splitlines() if not line.startswith("    ")]


def tracebacks(log: io.StringIO) -> int:
    """How many errors are logged in full. The causes of an error belong to it."""
    return len(re.findall(r"^[A-Z]+ .+\n    Traceback", log.getvalue(), re.MULTILINE))


def connect_again(*statements: str) -> None:
    """Open one more connection to the tests' database, and execute these statements on it."""
    with closing(
        ConnectionHandler({"default": connection.settings_dict})["default"]
    ) as new:
        new.ensure_connection()
        for statement in statements:
            new.cursor().execute(statement)


def test_the_product_logs_with_it() -> None:
    assert "once_per_outage" in product.LOGGING["handlers"]["stderr"]["filters"]
    assert (
        product.LOGGING["filters"]["once_per_outage"]["()"]
        == "leadmachine.outages.OncePerOutage"
    )


def test_a_database_away_is_told_in_full_once_and_then_in_a_line_with_its_error(
    log, database
) -> None:
    for number in range(5):
        log_failure(database, "Internal Server Error: %s", f"/leads/{number}/")

    first, *others = events(log)
    assert tracebacks(log) == 1
    assert first == "ERROR django.request: Internal Server Error: /leads/0/"
    for number, line in enumerate(others, 1):
        assert line.startswith(
            f"ERROR django.request: Internal Server Error: /leads/{number}/ (OperationalError: conn"
        )
        assert "Connection refused" in line


def test_the_end_is_told_with_how_long_it_took_and_how_often_it_failed(
    log, database
) -> None:
    for _ in range(3):
        log_failure(database)

    connect_again()
    connect_again()

    told = [line for line in events(log) if "is back" in line]
    assert len(told) == 1
    assert re.fullmatch(
        r"WARNING leadmachine\.outages: The database is back\. "
        r"It failed 3 times in \d\.\d s, the last time \d\.\d s ago\.",
        told[0],
    )


def test_a_new_connection_without_an_outage_says_nothing(log) -> None:
    connect_again()

    assert events(log) == []


def test_what_comes_and_goes_within_a_minute_is_told_in_full_once(
    log, database, monkeypatch
) -> None:
    for _ in range(3):
        log_failure(database)
        connect_again()
    again = tracebacks(log)
    monkeypatch.setattr(outages, "SAME_OUTAGE_SECONDS", 0.0)
    log_failure(database)

    assert again == 1
    assert tracebacks(log) == 2
    assert len([line for line in events(log) if "It failed once, " in line]) == 3


def test_another_error_during_an_outage_keeps_its_traceback_each_time(
    log, database
) -> None:
    def while_handling() -> None:
        try:
            database()
        except OperationalError:
            {}["a mistake of ours"]

    def because_of_it() -> None:
        try:
            database()
        except OperationalError as error:
            raise ValueError("a mistake of ours") from error

    log_failure(database)

    for mistake in (while_handling, because_of_it, while_handling):
        log_failure(mistake)

    assert tracebacks(log) == 4


def log_timer(fails: Fails, name: str = "sweep") -> None:
    try:
        fails()
    except Exception:
        logging.getLogger("leadmachine.timers").exception(
            "The %s failed; it runs again in %s seconds.", name, 2
        )


def test_timers_and_tasks_say_it_once_a_minute(log, database, monkeypatch) -> None:
    for number in range(30):
        log_timer(database, f"timer {number}")
    within_a_minute = events(log)
    monkeypatch.setattr(outages, "REPEATED_AFTER_SECONDS", 0.0)
    log_timer(database)

    assert tracebacks(log) == 1
    assert within_a_minute == [
        "ERROR leadmachine.timers: The timer 0 failed; it runs again in 2 seconds."
    ]
    assert events(log)[1].startswith(
        "ERROR leadmachine.timers: The sweep failed; it runs again in 2 seconds. (Operatio"
    )
    connect_again()
    assert "It failed 31 times " in events(log)[-1]


def test_where_some_connections_can_be_made_nothing_is_said_of_failures_that_were_not_logged(
    log, database
) -> None:
    for _ in range(5):
        log_timer(database)
        connect_again()

    assert len(events(log)) == 2
    assert "It failed once, " in events(log)[1]


@pytest.mark.parametrize("code", ["53100", "25006", "53200"])
def test_a_full_or_read_only_database_is_an_outage_that_a_connection_does_not_end(
    log, code, monkeypatch
) -> None:
    refused = partial(
        connect_again, f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$"
    )
    for _ in range(10):
        log_timer(refused)
    within_a_minute = events(log), tracebacks(log)
    monkeypatch.setattr(outages, "SAME_OUTAGE_SECONDS", 0.0)
    log_timer(refused)

    assert (len(within_a_minute[0]), within_a_minute[1]) == (1, 1)
    assert "is back" not in log.getvalue()
    assert tracebacks(log) == 2  # another outage


def test_a_cancelled_statement_is_no_outage(log) -> None:
    for _ in range(2):
        log_failure(
            partial(connect_again, "SET statement_timeout = 1", "SELECT pg_sleep(1)")
        )

    assert tracebacks(log) == 2
    assert "is back" not in log.getvalue()


def test_a_session_that_the_database_ends_is_one(log) -> None:
    for _ in range(2):
        log_failure(
            partial(connect_again, "SELECT pg_terminate_backend(pg_backend_pid())")
        )

    assert tracebacks(log) == 1
    # The second connection was made: it answered in between.
    assert log.getvalue().count("It failed once, ") == 1


def test_a_broker_away_is_counted_apart_from_the_database(
    log, database, broker
) -> None:
    for _ in range(2):
        log_failure(database)
        log_failure(broker)
    outages.BROKER.ended()

    assert tracebacks(log) == 2
    assert events(log)[-1].startswith(
        "WARNING leadmachine.outages: The broker is back."
    )
    assert "It failed 2 times " in events(log)[-1]


def test_what_celery_says_of_the_broker_in_a_line_is_counted_and_stays_as_it_is(
    log, broker
) -> None:
    with pytest.raises(redis.ConnectionError) as caught:
        broker()
    line = "consumer: Cannot connect to %s: %s.\n%s"
    logging.getLogger("celery.worker.consumer").error(
        line, "redis://127.0.0.1", caught.value, "Trying again"
    )

    log_failure(broker)
    outages.BROKER.ended()

    assert tracebacks(log) == 1  # the first that there is
    assert "Connection refused.. Trying again" in events(log)[0]
    assert "It failed 2 times " in events(log)[-1]


@pytest.mark.parametrize(
    "refusal", [redis.exceptions.ReadOnlyError, redis.exceptions.OutOfMemoryError]
)
def test_a_broker_that_refuses_to_write_is_told_in_full_once(log, refusal) -> None:
    def write() -> None:
        raise refusal("You can't write now.")

    for _ in range(3):
        log_failure(write)

    assert tracebacks(log) == 1
    assert len(events(log)) == 3


def test_a_password_that_redis_refuses_is_no_outage(log) -> None:
    for _ in range(2):
        log_failure(
            redis.Redis.from_url(
                product.REDIS_URL, username="nobody", password="wrong"
            ).ping
        )

    assert tracebacks(log) == 2


def test_many_threads_at_once_tell_it_in_full_once_and_none_is_lost(
    log, database
) -> None:
    threads = [
        threading.Thread(target=lambda: [log_failure(database) for _ in range(20)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outages.DATABASE.ended()

    assert tracebacks(log) == 1
    assert len(events(log)) == 161
    assert "It failed 160 times " in events(log)[-1]
