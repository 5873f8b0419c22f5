"""S23: whatever is in a parameter, a field, a cookie or a header, at whatever URL, the response is never a 500."""

import logging
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.apps import apps
from django.contrib import admin
from django.db.models import AutoField
from django.test import Client

from crm.models import Invitation
from crm.models.people import sha256
from crm.models.roles import Role
from tests.conftest import PASSWORD, client_of, give_password, join, staff_client
from tests.faults import figures
from tests.security.matrix import Open, row_of
from tests.security.odd_requests import Door, Names, compose
from tests.security.routes import Route, all_routes
from tests.security.world import World
from tests.size import sized

# How many requests to our own pages for one to the operator's, which are Django's.
OUR_SHARE = 4
TOKEN = "an-invitation"


@pytest.fixture(autouse=True)
def _nothing_limits_the_tries(settings: Any, caplog: Any) -> None:
    settings.LINKEDIN_SANDBOX = settings.SIGNUP = True
    settings.TRUSTED_PROXIES = ["127.0.0.1"]  # what they forward is read
    for logger in ("", "django.request", "django.security"):
        caplog.set_level(logging.CRITICAL, logger)  # refusals are what is asked for


@pytest.fixture
def names() -> Iterator[Names]:
    with Names().watched() as names:
        yield names


@pytest.mark.sized
@pytest.mark.timeout(1800)
@pytest.mark.timeout(600)
def test_odd_values_break_no_page(ours: World, names: Names) -> None:
    chance = random.Random(random.getrandbits(32))

    assert broken(ours, names, chance, tries=sized(500, small=50)) == []


@pytest.mark.long
@pytest.mark.faults
@pytest.mark.skipif(
    figures.RUNS == 1 and not figures.LONG, reason="takes minutes: a part of make chaos"
)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", figures.seeds(figures.rounds(1, long=25)))
def test_odd_values_break_no_page_in_the_long_run(
    number: int, ours: World, names: Names
) -> None:
    """In parts: PostgreSQL keeps a lock for each savepoint of a test, and has room for some ten thousand."""
    with figures.chance(number) as chance:
        assert broken(ours, names, chance, tries=2_000 if figures.LONG else 500) == []


def broken(
    ours: World, names: Names, chance: random.Random, *, tries: int
) -> list[str]:
    """Send `tries` requests, after one of each kind to learn names. Prints those that get a 500, returns why."""
    doors, statuses = doors_of(ours), Counter[int]()
    doors = chance.sample(doors, sized(len(doors), small=len(doors) // 6))
    found: list[str] = []
    firsts = [(door, method) for door in doors for method in ("GET", "POST")]
    weights = [
        1 if door.route.name.startswith("admin:") else OUR_SHARE for door in doors
    ]
    for door, method in [*firsts, *drawn(doors, weights, chance, tries)]:
        names.at(door.route)
        sent = compose(door, names, chance, method=method)
        answer = sent.answer()
        statuses[answer.status_code] += 1
        if answer.status_code >= 500 and (place := place_of(answer)) not in found:
            found.append(place)
            print(f"\n{place}\n    {sent}", flush=True)
    print(
        f"\n{statuses.total():,} odd requests at {len(doors)} doors: {dict(sorted(statuses.items()))}"
    )
    print(
        f"{sum(map(len, names.parameters.values()))} names of parameters and fields, {len(names.headers)} headers"
    )
    return found


def drawn(
    doors: list[Door], weights: list[int], chance: random.Random, count: int
) -> Iterator[tuple[Door, str]]:
    for door in chance.choices(doors, weights, k=count):
        yield door, chance.choice([*door.row.methods, "GET"])


def place_of(answer: Any) -> str:
    """The exception behind a 500, and the line of our code that it passed last."""
    kind, error, traceback = answer.exc_info or (None, None, None)
    lines = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        lines.append(f"{code.co_filename}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    ours = [
        line for line in lines if "site-packages" not in line and "/tests/" not in line
    ]
    return f"{kind and kind.__name__}: {str(error)[:200]} at {(ours or lines or ['?'])[-1]} ({(lines or ['?'])[-1]})"


# --- what was found ------------------------------------------------------------------------------------------------

FOUND_ON_PAGES = [
    ("get", "/login/company/%00/", {}),
    ("get", "/login/company/%00/callback/", {}),
    ("post", "/theme/", {"next": "abc"}),
    ("post", "/login/", {"username": "\x00", "password": "x", "next": "abc"}),
    (
        "post",
        "/integrations/linkedin/rules/new/?preview=1",
        {"crm_event": "\x00", "linkedin_id": "99"},
    ),
    (
        "post",
        "/integrations/linkedin/rules/new/",
        {"crm_event": "\x00", "preview": "1"},
    ),
    (
        "get",
        "/integrations/linkedin/rules/new/",
        {"crm_event": "lead_created", "linkedin_id": "\x00"},
    ),
]
FOUND_IN_THE_ADMINISTRATION = [
    ("get", "/admin/crm/company/1/change/", {"_to_field": ""}),
    ("post", "/admin/auth/group/1/delete/", {"_to_field": ""}),
    ("get", "/admin/crm/deal/add/", {"stage": "1.5"}),
    ("post", "/admin/crm/deal/add/", {"company": "Teal BV", "lead": "{", "owner": ""}),
    (
        "post",
        "/admin/crm/lead/",
        {"action": "delete_selected", "_selected_action": "{"},
    ),
    (
        "post",
        "/admin/crm/lead/",
        {"action": "mark_as_qualified", "_selected_action": ["1", "9" * 40]},
    ),
]


def test_what_broke_a_page_breaks_none_any_more(ours: World) -> None:
    member, staff = client_of(ours.members[Role.ADMIN].user), staff_client()

    answers = [
        getattr(member, method)(path, data).status_code
        for method, path, data in FOUND_ON_PAGES
    ]
    answers += [
        getattr(staff, method)(path, data).status_code
        for method, path, data in FOUND_IN_THE_ADMINISTRATION
    ]

    assert answers == [404, 404, 302, 302, 200, 200, 200, 400, 400, 200, 200, 400, 400]


def test_every_row_of_the_administration_has_a_number() -> None:
    """It rejects a selection of rows by anything else."""
    assert all(isinstance(model._meta.pk, AutoField) for model in admin.site._registry)


# --- the doors -------------------------------------------------------------------------------------------------------


def doors_of(ours: World) -> list[Door]:
    """Every URL, with someone who gets in."""
    member = give_password(client_of(ours.members[Role.ADMIN].user))
    staff, half = staff_client(), half_signed_in(ours)
    Invitation.objects.filter(pk=ours.ids["invitation"]).update(
        token_sha256=sha256(TOKEN)
    )
    likely = likely_values(ours)
    return [
        door
        for route in all_routes()
        for door in at(route, ours, likely, member=member, staff=staff, half=half)
    ]


def at(
    route: Route, ours: World, likely: dict[str, Any], **clients: Client
) -> Iterator[Door]:
    row = row_of(route.name)
    values = path_values(route, ours)
    door = {"route": route, "row": row, "values": values, "likely": likely}
    if route.name.startswith("admin:"):
        yield Door(**door, cookies=cookies(clients["staff"]))
        return
    if route.name.startswith("api-"):
        yield Door(**door, cookies="", key=ours.keys[Role.ADMIN])
    yield Door(**door, cookies=cookies(clients["member"]))
    if Open.PUBLIC in row.methods.values():
        yield Door(**door, cookies="")
        yield Door(**door, cookies=cookies(clients["half"]))


def path_values(route: Route, ours: World) -> dict[str, Any]:
    row = row_of(route.name)
    first = {
        "key": "x-y",
        "uidb36": "1",
        "token": TOKEN,
        "kind": "statuses",
        "app_label": "crm",
        "url": "x",
    }
    if route.name.startswith("admin:"):
        first["object_id"] = first["id"] = str(first_row(route.name))
        first["content_type_id"] = "1"
    return {
        name: row.values.get(name, first.get(name, ours.ids.get(row.of, 1)))
        for name in route.parameters
    }


def first_row(name: str) -> object:
    """The key of a row of the model that this page of the administration is about; 1 where there is none."""
    app, _, rest = name.removeprefix("admin:").partition("_")
    model = apps.all_models.get(app, {}).get(rest.rpartition("_")[0])
    row = model._base_manager.first() if model else None
    return row.pk if row else 1


def likely_values(ours: World) -> dict[str, Any]:
    """Valid values by name: with invalid ones alone, no more than the first field of a form would be read."""
    return {
        "world": ours, **ours.ids, "email": "new@example.com", "username": "new@example.com", "password": PASSWORD,
        "password1": PASSWORD, "password2": PASSWORD, "oldpassword": PASSWORD, "company": "Teal BV",
        "first_name": "Ada", "last_name": "Jansen", "currency": "EUR", "time_zone": "Europe/Amsterdam",
        "next": "/leads/", "theme": "dark", "code": "123456", "role": Role.OPS, "name": "Teal", "title": "Forty",
        "period": "7", "page": "1", "confirmed": "1", "type": "inbound", "amount": "1250", "date_style": "iso",
        "action": "delete_selected", "select_across": "0", "_selected_action": "1", "grace_seconds": "60",
        "ad_account_id": "512345678", "token": "M" * 40, "form_key": "0" * 32,
    }  # fmt: skip


def half_signed_in(ours: World) -> Client:
    """Someone who has given a password, and is asked for a code."""
    member, client = join(ours.company, Role.SALES, email="half@example.com"), Client()
    TOTP.activate(member.user, generate_totp_secret())
    client.post("/login/", {"username": "half@example.com", "password": PASSWORD})
    return client


def cookies(client: Client) -> str:
    return "; ".join(
        f"{name}={morsel.value}" for name, morsel in client.cookies.items()
    )
