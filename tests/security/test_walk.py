"""S01, S09, S12: every URL, every method, every caller, and ids of every owner: own, the neighbour's, no one's."""

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.client import ClientHandler

from crm.api import authentication
from crm.models import Lead
from tests.security.matrix import ROWS, Open, Row, row_of
from tests.security.routes import Route, all_routes
from tests.security.rows import checksum
from tests.security.world import NEIGHBOURS_NUMBER, Caller, World, everybody
from tests.size import sized_sample

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ROUTES = all_routes()
NOBODYS_ID = 10**15
KEYS_OF_NOBODY = {"key": "x-y", "uidb36": "1", "token": "x", "kind": "nothing"}
SIGN_IN = re.compile(r"(/admin)?/login/|/admin/$")
NOT_FOUND, NOT_ALLOWED = 404, 405
# Statements that change no row.
LOOK = re.compile(r"SELECT|SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT")
API = {route.name for route in ROUTES if route.name.startswith("api-")} - {"api-docs"}


@dataclass(frozen=True)
class Try:
    """One request, and its outcome."""

    route: Route
    row: Row
    method: str
    caller: Caller
    whose: str
    status: int
    path: str
    location: str
    told: bytes
    did_harm: bool

    def __str__(self) -> str:
        return f"{self.method} {self.route.name} ({self.whose}) as {self.caller.name}: {self.status} {self.location}"

    def is_as_it_should_be(self) -> bool:
        """True if the caller got exactly as far as the matrix says."""
        if self.status >= 500:
            return False
        if Open.PUBLIC in self.row.methods.values():
            return True
        if not self.row.lets_in(self.method, self.role):
            return (
                self.was_turned_away
                or self.status == NOT_ALLOWED
                or self.led_to_its_page
            )
        if Open.SIGNED_IN in self.row.methods.values():
            return True
        if self.whose != "own":
            return self.status == NOT_FOUND
        return not self.was_turned_away and self.status not in (NOT_FOUND, NOT_ALLOWED)

    @property
    def led_to_its_page(self) -> bool:
        """True if a GET of a form's URL was redirected up to the page with the form."""
        return (
            self.method in ("GET", "HEAD")
            and self.status == 302
            and self.path.startswith(self.location)
        )

    @property
    def role(self) -> str | None:
        """The caller's role, if it counts here: keys open the API alone."""
        return (
            None
            if self.caller.is_key and self.route.name not in API
            else self.caller.role
        )

    @property
    def was_turned_away(self) -> bool:
        """True if the caller wasn't let in: 401, 403, or a redirect to a page for signing in."""
        return self.status in (401, 403) or (
            self.status == 302 and SIGN_IN.match(self.location) is not None
        )


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    named = {route.name for route in ROUTES if not route.name.startswith("admin:")}

    assert named == set(ROWS)


@pytest.fixture(autouse=True)
def _as_often_as_it_takes(settings, monkeypatch) -> None:
    settings.API_REQUESTS_PER_MINUTE = settings.API_COMPANY_PER_MINUTE = 10**9
    monkeypatch.setattr(authentication, "WRONG_KEYS_PER_MINUTE", 10**9)


@pytest.fixture
def routes() -> list[Route]:
    """All of them; in `make test` a twentieth."""
    return sized_sample(ROUTES, one_in=20)


@pytest.mark.sized
@pytest.mark.timeout(900)
def test_every_try_at_every_door_goes_as_the_matrix_says(
    routes: list[Route], ours: World, theirs: World, settings: Any, caplog: Any
) -> None:
    settings.LINKEDIN_SANDBOX = True
    # Thousands of refusals are what is asked for.
    caplog.set_level(logging.CRITICAL, "django.request")
    walk = Walk(everybody(ours), ours, theirs, checksum(theirs.company))

    tries = [made for route in routes for made in walk.tries(route, methods(route))]

    seen = [
        str(made)
        for made in tries
        if b"plover" in made.told.lower() or NEIGHBOURS_NUMBER.encode() in made.told
    ]
    print(
        f"\n{len(tries):,} tries at {len(routes)} routes: {dict(Counter(made.status for made in tries))}"
    )
    assert [str(made) for made in tries if not made.is_as_it_should_be()] == []
    assert seen == []
    assert [str(made) for made in tries if made.did_harm] == []
    assert checksum(theirs.company) == walk.unchanged
    assert len(tries) >= 10 * len(routes)


@pytest.mark.sized
def test_methods_that_no_row_names_are_not_allowed(
    routes: list[Route], ours: World, settings: Any
) -> None:
    """S12, for someone who may do everything else."""
    settings.LINKEDIN_SANDBOX = True
    walk = Walk(everybody(ours)[:1], ours, ours, checksum(ours.company))

    wrong = [
        str(made)
        for route in routes
        for made in walk.tries(
            route, sorted({*methods(route)} - {*row_of(route.name).methods, "HEAD"})
        )
        if made.status != NOT_ALLOWED and not made.led_to_its_page
    ]

    assert wrong == []


@pytest.mark.parametrize(("method", "wrote"), [("GET", False), ("DELETE", True)])
def test_a_write_is_told_from_a_look(ours: World, method: str, wrote: bool) -> None:
    client = Client(headers={"Authorization": f"Bearer {ours.keys['admin']}"})
    path = f"/api/v1/deals/{ours.ids['deal']}/"
    client.get(path)  # the first use of a key is written down

    writes = Writes()

    with connection.execute_wrapper(writes):
        client.generic(method, path)

    assert writes.made is wrote


def test_a_checksum_changes_with_a_row_of_its_company_and_with_no_other(
    ours: World, theirs: World
) -> None:
    before = checksum(ours.company), checksum(theirs.company)

    Lead.objects.for_company(theirs.company).update(phone="12")

    assert checksum(ours.company) == before[0]
    assert checksum(theirs.company) != before[1]


def methods(route: Route) -> tuple[str, ...]:
    """All methods; for the operator's hundred pages only two, which are all that they have."""
    return ("GET", "POST") if route.name.startswith("admin:") else METHODS


class Writes:
    """Sees each statement of a request, and whether one of them may have changed a row."""

    made = False

    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        self.made = self.made or LOOK.match(sql) is None
        return execute(sql, *rest)


@dataclass(frozen=True)
class Walk:
    """Sends requests to each route as each caller, with the ids of both companies."""

    callers: list[Caller]
    ours: World
    theirs: World
    unchanged: str
    # One for all requests: loading the middleware again for each took a sixth of the time.
    handler: ClientHandler = field(
        default_factory=partial(ClientHandler, enforce_csrf_checks=False)
    )

    def tries(self, route: Route, methods: Sequence[str]) -> list[Try]:
        """Methods that the row doesn't name are tried as the first caller only: an admin, who may do all the rest."""
        row = row_of(route.name)
        return [
            self._try(route, row, method, caller, whose)
            for method in methods
            for caller in (
                self.callers if method in {*row.methods, "HEAD"} else self.callers[:1]
            )
            for whose in (
                ("own", "the neighbour's", "nobody's") if row.of else ("own",)
            )
        ]

    def _try(
        self, route: Route, row: Row, method: str, caller: Caller, whose: str
    ) -> Try:
        ids = {"own": self.ours.ids, "the neighbour's": self.theirs.ids}.get(whose, {})
        # Where callers see only their own rows, keys have one of their own.
        row_id = (caller.is_key and ids.get(f"{row.of} of a key")) or ids.get(
            row.of, NOBODYS_ID
        )
        keys = {} if row.of == "organisation" else KEYS_OF_NOBODY
        values = {
            name: row.values.get(name, keys.get(name, row_id))
            for name in route.parameters
        }
        client = caller.client()
        client.handler = self.handler
        if method in ("POST", "PUT", "PATCH", "DELETE"):
            writes = Writes()
            with transaction.atomic():
                with connection.execute_wrapper(writes):
                    response = _ask(
                        client,
                        method,
                        route.path(**values),
                        row.body(self.ours),
                        files=row.files,
                    )
                # Of a download, as long as its transaction lasts.
                body = _body(response)
                is_suspect = writes.made and (
                    whose == "the neighbour's" or response.status_code < 400
                )
                harm = is_suspect and checksum(self.theirs.company) != self.unchanged
                # The next request finds everything as before.
                transaction.set_rollback(True)
        else:
            response, harm = _ask(client, method, route.path(**values), {}), False
            body = _body(response)
        told = repr(response.headers).encode() + body
        location = response.headers.get("Location", "")
        path = route.path(**values)
        return Try(
            route,
            row,
            method,
            caller,
            whose,
            response.status_code,
            path,
            location,
            told,
            harm,
        )


def _body(response: Any) -> bytes:
    return b"".join(response) if response.streaming else bytes(response.content)


def _ask(
    client: Client, method: str, path: str, body: dict[str, Any], *, files: bool = False
) -> Any:
    if files and method == "POST":
        return client.post(path, body)
    if files:
        body = {}  # as JSON, which has no files
    if path.startswith("/api/") and method in ("POST", "PUT", "PATCH"):
        return client.generic(
            method, path, json.dumps(body), content_type="application/json"
        )
    return client.post(path, body) if method == "POST" else client.generic(method, path)
