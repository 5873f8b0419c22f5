"""One company with three people, another company, and a browser that fails the test if a page misbehaves."""

import gc
import os
import re
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from _pytest import runner
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
)
from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.hashers import make_password
from django.core.cache import cache
from django.core.servers.basehttp import WSGIRequestHandler
from django.db import connections
from django.http import HttpRequest
from django.template import Template
from django.test import Client, TransactionTestCase, override_settings
from django.utils import timezone
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import expect

from capi.delivery.wakeup import publisher
from capi.models import ConversionRule
from crm.accounts import codes
from crm.accounts.session_store import SessionStore
from crm.models import Company, Deal, Lead, Membership, Note, Task, User, file_storage
from crm.models.roles import Role
from crm.services import rate_limits
from crm.services.notes import add_note
from crm.services.tasks import save_task
from tests import data_stack, emptying, network, pages, services, size

pytest_plugins = ["tests.fixtures", "tests.faults.tally"]

# Playwright's sync API keeps an event loop in this thread; Django would refuse the ORM.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

# The headless shell first: the same engine in a program without windows, with a third less CPU for the same tests.
CHROMIUM = (
    os.environ.get("CHROMIUM")
    or shutil.which("chromium-headless-shell")
    or shutil.which("chromium")
)
PASSWORD = "correct horse battery staple"
SIZES = ("desktop", "phone")
LONG_TEST = 600  # seconds that a test may take
TOKEN = "AQXdSP_W41_UPs5ioT_t8HESyODB4FqbkJ8LrV_5mff4gPODzOYR"


def pytest_configure() -> None:
    # No example fails because the machine is busy.
    hypothesis_settings.register_profile("without a deadline", deadline=None)
    hypothesis_settings.load_profile("without a deadline")
    # Bounds a wait of a browser test, whatever the load of the machine.
    expect.set_options(timeout=20_000)
    runner.runtestprotocol = data_stack.with_room(runner.runtestprotocol)
    data_stack.give_room_to_threads()
    if not CHROMIUM and os.environ.get("LEADMACHINE_REQUIRE_BROWSER"):
        raise pytest.UsageError(
            "LEADMACHINE_REQUIRE_BROWSER is set, and no Chromium was found."
        )


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None]:
    later = [
        item
        for item in items
        if item.get_closest_marker("thorough") or _is_second_look(item)
    ]
    for item in later:
        item.add_marker("sized")
    if size.SMALL:
        config.hook.pytest_deselected(items=later)
        items[:] = [item for item in items if item not in later]
    for item in items:
        if "page" in getattr(item, "fixturenames", ()) or "browser" in item.path.parts:
            item.add_marker("browser")
            if not CHROMIUM:
                item.add_marker(
                    pytest.mark.skip(
                        reason="no Chromium found: install it, or name it in CHROMIUM"
                    )
                )
    yield  # by now `-m` has deselected what is not asked for, and the order is random
    items[:] = _with_long_ones_first(items)


def pytest_collection_finish() -> None:
    """Exempt what stays to the end anyway from garbage collection, which saves a tenth of the tests' CPU."""
    gc.collect()
    gc.freeze()


def _with_long_ones_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """The same tests, the long ones first in each worker's part: one that starts last outlasts all other workers.

    pytest-xdist gives each worker a part of the list, in order (`--dist worksteal`).
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = sorted(filter(_allowed_minutes, items), key=_allowed_minutes, reverse=True)
    others = [item for item in items if not _allowed_minutes(item)]
    parts = [long[first::workers] for first in range(workers)]
    ordered: list[pytest.Item] = []
    for left, part in zip(range(workers, 0, -1), parts, strict=True):
        count = max(0, (len(items) - len(ordered)) // left - len(part))
        ordered += part + others[:count]
        del others[:count]
    return ordered + others


def _allowed_minutes(item: pytest.Item) -> int:
    """The time limit of a long test in minutes; 0 for the others, which stay in their order."""
    marker = item.get_closest_marker("timeout")
    return marker.args[0] // 60 if marker and marker.args[0] >= LONG_TEST else 0


def _is_second_look(item: pytest.Item) -> bool:
    """True for one of the two sizes of a test that runs at both; the name of the test decides which."""
    size = item.callspec.params.get("size") if hasattr(item, "callspec") else None
    return size in SIZES and size != SIZES[crc32(item.originalname.encode()) % 2]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    services.let_tests_begin_with_a_copy()


@pytest.fixture(scope="session", autouse=True)
def _quick_answers() -> None:
    """Let the live server send head and body at once: otherwise each response waits 40 ms for the client's ACK."""
    WSGIRequestHandler.disable_nagle_algorithm = True


@pytest.fixture(scope="session", autouse=True)
def _quick_emptying() -> None:
    TransactionTestCase._fixture_teardown = emptying.empty  # type: ignore[method-assign]


@pytest.fixture(scope="session", autouse=True)
def _quick_templates(django_test_environment: None) -> None:
    Template._render = pages.render  # type: ignore[method-assign]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    pages.disconnect_all()  # before the test's transaction ends


@pytest.fixture(scope="session", autouse=True)
def _pages_as_read() -> None:
    Client.request = pages.read(Client.request)  # type: ignore[method-assign]


@pytest.fixture(scope="session", autouse=True)
def _settings_of_all_tests() -> Iterator[None]:
    codes.ROUNDS = 1  # type: ignore[misc]  # of the hashes of recovery codes
    with override_settings(
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        LINKEDIN_SANDBOX=False,
        # Nothing listens there: a test that sends sets another.
        LINKEDIN_API_URL="http://127.0.0.1:9",
        LINKEDIN_API_VERSION="202609",
        CACHES={"default": {"BACKEND": "leadmachine.cache.OwnCache"}},
    ):
        yield


@pytest.fixture(scope="session")
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    parent = tmp_path_factory.mktemp("own")
    return (parent / str(number) for number in count())


@pytest.fixture
def own_folder(_own_folders: Iterator[Path]) -> Path:
    """A folder of this test, which it has to create. Most don't: creating `tmp_path` took a fifth of an empty test."""
    return next(_own_folders)


@pytest.fixture(autouse=True)
def _untouched(
    own_folder: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Let each test begin with an empty file storage and cache, and with everything in reach."""
    settings.STORAGES = storages_with(own_folder / "files")
    settings.LINKEDIN_SANDBOX_LEDGER = own_folder / "sandbox.jsonl"
    cache.clear()  # failed sign-ins of one test are not counted in another
    monkeypatch.setattr(file_storage, "_rests_until", 0.0)
    monkeypatch.setattr("postgresql.base._last_timeout", float("-inf"))
    yield
    # For a moment, while they are put back, its thread would find no settings.
    publisher.flush(seconds=10)


def storages_with(folder: Path) -> dict[str, Any]:
    """The setting STORAGES, with the files of leads and deals in this folder."""
    storage = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(folder)},
    }
    return {**settings.STORAGES, "attachments": storage}


@pytest.fixture
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the minute that rate limits count in from ending in the middle of a test."""
    monkeypatch.setattr(rate_limits, "WINDOW_SECONDS", 10**9)


@pytest.fixture
def company(db: None) -> Company:
    # Without a grace period, what a test changes is due at once.
    return Company.objects.create(
        name="Northwind BV", slug="northwind", grace_seconds=0
    )


@pytest.fixture
def other_company(db: None) -> Company:
    return Company.objects.create(name="Contoso GmbH", slug="contoso", grace_seconds=0)


def join(company: Company, role: Role, **fields: Any) -> Membership:
    """A new user of the company, with PASSWORD as their password."""
    email = fields.pop("email", f"{role.value}@example.com")
    names = {"first_name": role.label, "last_name": "Jansen", **fields}
    user = User.objects.create(
        username=email, email=email, password=make_password(PASSWORD), **names
    )
    return Membership.objects.create(company=company, user=user, role=role)


@pytest.fixture
def admin(company: Company) -> Membership:
    return join(company, Role.ADMIN)


@pytest.fixture
def sales(company: Company) -> Membership:
    return join(company, Role.SALES)


@pytest.fixture
def ops(company: Company) -> Membership:
    return join(company, Role.OPS)


@pytest.fixture
def client_as() -> Callable[[Membership], Client]:
    return lambda membership: client_of(membership.user)


def client_of(user: User, client: Client | None = None) -> Client:
    """The client (by default a new one), signed in.

    Client.force_login would first save an anonymous session, and give it a new key: ten more statements in each test.
    """
    request = HttpRequest()
    request.session = SessionStore()
    request.session.cycle_key = lambda: None  # type: ignore[method-assign]
    login(request, user, backend="crm.accounts.adapter.EmailBackend")
    request.session.save()
    client = client or Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = request.session.session_key
    return client


def give_password(client: Client) -> Client:
    """The client, after giving its password again, as some pages require."""
    client.post("/account/confirm/", {"password": PASSWORD})
    return client


def code_now(secret: str) -> str:
    """What an authenticator app with this key shows now."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def staff_client(**fields: Any) -> Client:
    """A client of one of the operator's staff (`client.user`), signed in with password and code."""
    names = {
        "email": "root@example.com",
        "is_staff": True,
        "is_superuser": True,
        **fields,
    }
    client, secret = Client(), generate_totp_secret()
    client.user = User.objects.create(password=make_password(PASSWORD), **names)  # type: ignore[attr-defined]
    TOTP.activate(client.user, secret)  # type: ignore[attr-defined]
    client.post("/login/", {"username": names["email"], "password": PASSWORD})
    client.post("/login/code/", {"code": code_now(secret)})
    return client


def make_lead(company: Company, **fields: Any) -> Lead:
    """A lead of the company; Ada, unless told otherwise."""
    return Lead.objects.create(
        company=company, **{"first_name": "Ada", "email": "ada@example.com", **fields}
    )


def all_rules() -> frozenset[int]:
    """The ids of all rules, for a confirmation that any of them may send."""
    return frozenset(ConversionRule.objects.values_list("pk", flat=True))


def make_deal(lead: Lead, **fields: Any) -> Deal:
    """A deal with the lead, worth 1,250 euros unless told otherwise."""
    defaults = {"title": "Forty licences", "amount": "1250.00", "currency": "EUR"}
    return Deal.objects.create(
        company=lead.company, lead=lead, **{**defaults, **fields}
    )


def make_task(membership: Membership, **fields: Any) -> Task:
    """A task of the member, due today unless told otherwise."""
    defaults = {
        "title": "Call Ada",
        "due_on": timezone.localdate(),
        "owner": membership.user,
    }
    return save_task(task=Task(company=membership.company, **{**defaults, **fields}))


def make_note(membership: Membership, subject: Lead | Deal, **fields: Any) -> Note:
    """A note of the member on a lead or a deal."""
    lead, deal = (
        (subject, None) if isinstance(subject, Lead) else (subject.lead, subject)
    )
    note = Note(
        company=membership.company,
        lead=lead,
        deal=deal,
        **{"text": "Wants forty seats", **fields},
    )
    return add_note(note=note, author=membership)


# --- browser ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser_type_launch_args(
    browser_type_launch_args: dict[str, Any],
) -> dict[str, Any]:
    flags = (
        "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync"
    )
    return {
        **browser_type_launch_args,
        "executable_path": CHROMIUM,
        "args": flags.split(),
    }


# A new button fades from the browser's grey to its own colour; axe would see it half-way.
AT_REST = {"reduced_motion": "reduce"}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, **AT_REST}


@pytest.fixture(autouse=True)
def steady_network(request: pytest.FixtureRequest) -> Iterator[None]:
    with (
        network.staying_as_it_is()
        if request.node.get_closest_marker("browser")
        else nullcontext()
    ):
        yield


@pytest.fixture(scope="session")
def playwright(playwright: Any) -> Iterator[Any]:
    """As pytest-playwright's. Its event loop runs in this thread, and Django keeps separate connections for it."""
    yield playwright
    # After the loop they can't be found any more, and the database couldn't be dropped.
    connections.close_all()


@contextmanager
def guarded(page: Any, server_url: str) -> Iterator[Any]:
    """The page. Fails the test on a CSP violation, a script error, or a request that leaves this machine.

    The browser and htmx report refused requests as errors too. `page.refusals` has those that a test is about.
    """
    bad: list[str] = []
    page.refusals = set()  # the statuses that the test expects

    def take_console(message: Any) -> None:
        status = re.search(
            r"(?:the server responded with a status of|Response Status Error Code) (\d+)",
            message.text,
        )
        if message.type == "error" and not (status and int(status[1]) in page.refusals):
            bad.append(message.text)

    def take_request(request: Any) -> None:
        if not request.url.startswith((server_url, "data:", "blob:")):
            bad.append(f"left the machine: {request.url}")

    page.add_init_script(
        "document.addEventListener('securitypolicyviolation', "
        "e => console.error('CSP ' + e.effectiveDirective + ' ' + e.blockedURI))"
    )
    page.on("pageerror", lambda error: bad.append(f"script error: {error}"))
    page.on("console", take_console)
    page.on("request", take_request)
    page.server_url = server_url
    yield page
    assert not bad, bad


@pytest.fixture
def page(page: Any, live_server: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    page.is_sized = request.node.get_closest_marker("sized") is not None
    with guarded(page, live_server.url):
        yield page


@pytest.fixture
def another_browser(browser: Any, live_server: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page, guarded as well, in a browser with cookies of its own. Accepts the options of `new_context`."""
    with ExitStack() as stack:

        def open_page(**options: Any) -> Any:
            context = browser.new_context(**AT_REST, **options)
            stack.callback(context.close)
            return stack.enter_context(guarded(context.new_page(), live_server.url))

        yield open_page


@pytest.fixture
def plain_page(another_browser: Callable[..., Any]) -> Any:
    """A page of a browser that runs no script."""
    return another_browser(java_script_enabled=False)


def sign_in(page: Any, membership: Membership) -> None:
    """Sign the browser in, without going through the sign-in page each time."""
    name = settings.SESSION_COOKIE_NAME
    value = client_of(membership.user).cookies[name].value
    page.context.add_cookies([{"name": name, "value": value, "url": page.server_url}])
