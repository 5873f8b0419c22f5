"""S11: another site can make a browser write nothing here, and reading changes nothing."""

import json
from typing import Any
from uuid import UUID

import pytest
from django.core import mail
from django.test import Client
from django.utils.http import int_to_base36

from capi.linkedin.sandbox.server import SandboxServer
from crm.models import Invitation
from crm.models.people import sha256
from crm.models.roles import Role
from tests.security.matrix import ROWS, Open
from tests.security.routes import Route, all_routes
from tests.security.rows import checksum_of_everything
from tests.security.world import Caller, World, everybody
from tests.size import sized, sized_sample

# A session is written when it is used; a key notes its last use.
WRITTEN_BY_READING = frozenset({"django_session"})
# URLs that lead nowhere are 404 for everyone, and nothing is written there.
ROUTES = [
    route
    for route in all_routes()
    if not route.name.startswith("admin:") and route.name != "api-nowhere"
]
# Without a session. Posted by mail programs: what is signed in the URL is the permission, and "x" is not signed.
# Posted by the websites of companies: the token in the URL is the permission, and "x" is none.
WITHOUT_CSRF_TOKEN = {
    "mail_unsubscribe": 404,
    "intake": 404,
    "intake_without_slash": 404,
}
KEYS = {"key": "x-y", "token": "x", "kind": "statuses", "action": UUID(int=1)}


@pytest.fixture
def callers(ours: World) -> dict[str, Caller]:
    return {caller.name: caller for caller in everybody(ours)}


@pytest.fixture
def admin(callers: dict[str, Caller]) -> Caller:
    return callers["admin by session"]


@pytest.fixture
def routes() -> list[Route]:
    """All of them; in `make test` a quarter."""
    return sized_sample(ROUTES, one_in=4)


def strict(caller: Caller) -> Client:
    """The caller's browser, with its CSRF token checked as outside of tests."""
    client = Client(enforce_csrf_checks=True)
    client.cookies.update(caller.client().cookies)
    return client


def address(route: Route, ours: World) -> str:
    row_id = ours.ids.get(ROWS[route.name].of, 1)
    keys = {**KEYS, "uidb36": int_to_base36(ours.members[Role.SALES].user.pk)}
    return route.path(**{name: keys.get(name, row_id) for name in route.parameters})


def unsafe_methods(route: Route) -> list[str]:
    return [method for method in ROWS[route.name].methods if method != "GET"]


def forged(
    client: Client,
    method: str,
    path: str,
    body: dict[str, Any],
    *,
    files: bool,
    **headers: str,
) -> Any:
    if path.startswith("/api/") and not files:
        return client.generic(
            method,
            path,
            json.dumps(body),
            content_type="application/json",
            headers=headers,
        )
    return client.post(path, body, headers=headers)


@pytest.mark.sized
def test_no_write_is_taken_without_a_token_or_with_anothers(
    ours: World, admin: Caller, routes: list[Route]
) -> None:
    before, tries = checksum_of_everything(without=WRITTEN_BY_READING), 0
    headers: list[dict[str, str]] = [
        {},
        {"Origin": "https://evil.example"},
        {"X-CSRFToken": "A" * 64},
    ]

    for route in routes:
        for method in unsafe_methods(route):
            for header in headers:
                row = ROWS[route.name]
                answer = forged(
                    strict(admin),
                    method,
                    address(route, ours),
                    row.body(ours),
                    files=row.files,
                    **header,
                )
                tries += 1
                expected = WITHOUT_CSRF_TOKEN.get(route.name, 403)
                assert answer.status_code == expected, (
                    route.name,
                    method,
                    header,
                    answer.status_code,
                )

    print(f"\n{tries} forged writes")
    assert checksum_of_everything(without=WRITTEN_BY_READING) == before
    assert tries >= sized(500, small=50)


def test_a_foreign_origin_is_refused_even_with_the_right_token(
    ours: World, admin: Caller
) -> None:
    client = strict(admin)
    client.get("/leads/new/")
    token = client.cookies["csrftoken"].value
    own, foreign = (
        {"X-CSRFToken": token},
        {"X-CSRFToken": token, "Origin": "https://evil.example"},
    )

    answers = [
        client.post("/theme/", {"theme": "dark"}, headers=headers).status_code
        for headers in (own, foreign)
    ]

    assert answers == [302, 403]


def test_reading_changes_nothing_and_asks_nobody(
    ours: World, callers: dict[str, Caller], settings: Any, sandbox: SandboxServer
) -> None:
    settings.LINKEDIN_SANDBOX = settings.SIGNUP = True
    member, script, stranger = (
        callers["admin by session"].client(),
        callers["admin by key"].client(),
        Client(),
    )
    script.get("/api/v1/leads/")  # the key's last use is noted once a minute
    Invitation.objects.filter(pk=ours.ids["invitation"]).update(
        token_sha256=sha256(KEYS["token"])
    )
    before = checksum_of_everything(without=WRITTEN_BY_READING)

    for route in ROUTES:
        actions = ROWS[route.name].methods
        if "GET" in actions:
            readers = (
                [stranger, member] if Open.PUBLIC in actions.values() else [member]
            )
            for reader in [script] if route.name.startswith("api-") else readers:
                reader.get(address(route, ours))

    changed = {
        table
        for table, found in checksum_of_everything(without=WRITTEN_BY_READING).items()
        if found != before.get(table)
    }
    assert changed == set()
    assert sandbox.ledger.tail(10) == []
    assert mail.outbox == []
