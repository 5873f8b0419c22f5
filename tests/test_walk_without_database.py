"""Every URL, every method, while the database takes no write or no connection: no 500, and nothing is written."""

import html
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from crm.views.errors import MAY_BE_SAVED, NOTHING_SAVED, OUTAGES
from postgresql.availability import Unavailable
from tests.conftest import staff_client
from tests.security.matrix import row_of
from tests.security.routes import Route, all_routes
from tests.security.test_walk import KEYS_OF_NOBODY, methods
from tests.security.world import Caller, World, build, everybody
from tests.size import sized_sample

pytestmark = pytest.mark.django_db(transaction=True)

FOREVER = 10**9
NOWHERE = "/nowhere"  # a folder without a socket


@contextmanager
def read_only() -> Iterator[None]:
    """No session may write, as on a standby."""
    _execute("SET default_transaction_read_only = on")
    try:
        yield
    finally:
        _execute("SET default_transaction_read_only = off")


@contextmanager
def unreachable() -> Iterator[None]:
    """No connection can be opened: each request begins without one."""
    usual = connection.settings_dict["OPTIONS"]
    connection.settings_dict["OPTIONS"] = {**usual, "host": NOWHERE}
    try:
        yield
    finally:
        connection.settings_dict["OPTIONS"] = usual


STATES: dict[Unavailable, Callable[[], AbstractContextManager[None]]] = {
    Unavailable.READ_ONLY: read_only,
    Unavailable.UNREACHABLE: unreachable,
}


@pytest.fixture(autouse=True)
def _as_often_as_it_takes(settings: Any) -> None:
    settings.API_REQUESTS_PER_MINUTE = settings.API_COMPANY_PER_MINUTE = FOREVER


@pytest.fixture
def world() -> World:
    return build("Kestrel", "7711")


@pytest.mark.sized
@pytest.mark.timeout(900)
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("reason", STATES)
def test_no_answer_is_a_500_and_nothing_is_written(
    world: World, reason: Unavailable, debug: bool, settings: Any
) -> None:
    settings.DEBUG = debug
    routes = sized_sample(all_routes(), one_in=20)
    callers, operator = _callers(world), staff_client()
    operator.raise_request_exception = False
    before = _everything(), _files()

    with STATES[reason]():
        answers = [
            (f"{method} {route.name} as {name}", method, answer)
            for route in routes
            for method in methods(route)
            for name, client in (
                callers
                if not route.name.startswith("admin:")
                else {"operator": operator}
            ).items()
            for answer in [_ask(client, world, route, method)]
        ]

    print(
        f"\n{len(answers):,} answers: {dict(Counter(answer.status_code for _, _, answer in answers))}"
    )
    assert [
        what
        for what, _, answer in answers
        if answer.status_code >= 500 and answer.status_code != 503
    ] == []
    assert [
        what
        for what, method, answer in answers
        if not _is_helpful(method, answer, reason)
    ] == []
    assert (_everything(), _files()) == before
    assert any(answer.status_code == 503 for _, _, answer in answers)


def _callers(world: World) -> dict[str, Client]:
    """The callers with the most access, and one without any."""
    wanted = ("admin by session", "admin by key", "anonymous")
    found: dict[str, Caller] = {
        caller.name: caller for caller in everybody(world) if caller.name in wanted
    }
    return {name: caller.client() for name, caller in found.items()}


def _ask(client: Client, world: World, route: Route, method: str) -> Any:
    row = row_of(route.name)
    row_id = world.ids.get(row.of, 1)
    values = {
        name: row.values.get(name, KEYS_OF_NOBODY.get(name, row_id))
        for name in route.parameters
    }
    path, body = route.path(**values), row.body(world)
    if connection.settings_dict["OPTIONS"].get("host") == NOWHERE:
        connection.close()
    if (
        route.template.startswith("api/")
        and not row.files
        and method in ("POST", "PUT", "PATCH")
    ):
        return _read(
            client.generic(
                method, path, json.dumps(body), content_type="application/json"
            )
        )
    return _read(
        client.post(path, body) if method == "POST" else client.generic(method, path)
    )


def _read(answer: Any) -> Any:
    """Read a file to its end: it is read from the database or the storage meanwhile."""
    if answer.streaming:
        b"".join(answer)
    return answer


def _is_helpful(method: str, answer: Any, reason: Unavailable) -> bool:
    """True for every answer but a 503 that doesn't say when to try again, what is wrong, and what was saved."""
    if answer.status_code != 503:
        return True
    outage = OUTAGES[reason]
    if answer["Retry-After"] != str(outage.retry_after):
        return False
    if method == "HEAD":
        return True
    is_api = answer.request["PATH_INFO"].startswith("/api/")
    text = answer.json()["detail"] if is_api else html.unescape(answer.content.decode())
    is_write = method not in ("GET", "OPTIONS", "TRACE")
    return (
        outage.what in text
        and (NOTHING_SAVED in text) is is_write
        and MAY_BE_SAVED not in text
    )


def _everything() -> dict[str, str]:
    """What is in each table."""
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_stat_user_tables")
        tables = [name for (name,) in cursor.fetchall()]
        found = {}
        for table in tables:
            cursor.execute(
                f'SELECT md5(string_agg(row::text, chr(10) ORDER BY row::text)) FROM "{table}" AS row'
            )
            [found[table]] = cursor.fetchone()
        return found


def _files() -> set[Path]:
    return set(Path(settings.STORAGES["attachments"]["OPTIONS"]["location"]).rglob("*"))


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
