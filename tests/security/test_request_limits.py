"""S57: no person, company or address occupies a web process: what is refused, with which words, and what goes on."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread
from typing import Any

import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import reverse

from crm.accounts import limiter as limits
from crm.accounts.limiter import Limiter, limiter
from crm.accounts.request_limits import Asker
from crm.models import ApiKey, Company, Lead, Membership
from crm.models.roles import Role
from crm.services import rate_limits
from tests.conftest import join, make_lead
from tests.crm.api.calling import caller

pytestmark = [pytest.mark.django_db, pytest.mark.covers("S57")]

BUSY = "Too many requests of yours or of your company are being answered at the moment."
LEAD = {"first_name": "Grace", "type": "inbound"}
HTMX = {"HX-Request": "true"}
ClientAs = Callable[[Membership], Client]


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WAIT_SECONDS", 0.05)


def person(member: Membership) -> Asker:
    return Asker("person", member.user_id, member.company_id)


@contextmanager
def answering(asker: Asker, times: int, *, heavy: bool = False) -> Iterator[None]:
    """While so many requests of the asker are being answered."""
    kinds = [asker.pages(), *([asker.heavy()] if heavy else [])]
    with ExitStack() as stack:
        for _ in range(times):
            limiter.begin()
            stack.callback(limiter.end)
            for kind in kinds:
                assert limiter.acquire(kind)
                stack.callback(limiter.release, kind)
        yield


# --- at a time -------------------------------------------------------------------------------------------------------


def test_a_person_has_three_of_eight_threads_and_their_page_loads_again(client_as: ClientAs, sales: Membership) -> None:
    client = client_as(sales)

    with answering(person(sales), 2):
        second = client.get("/leads/")
    with answering(person(sales), 3):
        refused = client.get("/leads/")

    assert (second.status_code, refused.status_code) == (200, 429)
    assert f"{BUSY} This page loads again in 2 seconds." in refused.content.decode()
    assert (refused["Retry-After"], refused["Refresh"]) == ("2", "2")
    assert client.get("/leads/").status_code == 200


def test_a_company_has_four_and_others_go_on(
    client_as: ClientAs, admin: Membership, sales: Membership, ops: Membership, other_company: Company
) -> None:
    stranger = join(other_company, Role.SALES, email="sales@contoso.example")

    with answering(person(admin), 3), answering(person(sales), 1):
        answers = [client_as(member).get("/leads/").status_code for member in (ops, stranger)]

    assert answers == [429, 200]


def test_what_is_saved_is_refused_with_nothing_written(client_as: ClientAs, sales: Membership) -> None:
    client = client_as(sales)

    with answering(person(sales), 3):
        page = client.post("/leads/new/", LEAD)
        part = client.post("/leads/new/", LEAD, headers=HTMX)

    assert (page.status_code, part.status_code) == (429, 429)
    assert "Nothing was saved. Reload this page in 2 seconds to send it again, or go back." in page.content.decode()
    assert f"<span data-toast>{BUSY} Nothing was saved. Try again in 2 seconds.</span>" in part.content.decode()
    assert "Refresh" not in page
    assert not Lead.objects.exists()


def test_a_part_of_a_page_says_when_to_try_again(client_as: ClientAs, sales: Membership) -> None:
    client = client_as(sales)

    with answering(person(sales), 3):
        part = client.get("/deals/funnel/", headers=HTMX)

    assert f"<span data-toast>{BUSY} Try again in 2 seconds.</span>" in part.content.decode()
    assert "Refresh" not in part


def test_the_api_answers_in_json_for_sessions_and_keys(client_as: ClientAs, sales: Membership) -> None:
    session, script = client_as(sales), caller(sales.company, "sales")
    key = Asker("key", ApiKey.objects.get().pk, sales.company_id)

    with answering(person(sales), 3):
        by_session = session.get("/api/v1/leads/")
        by_key = script.get("/api/v1/leads/")
    with answering(key, 3):
        by_key_again = script.get("/api/v1/leads/")

    assert (by_session.status_code, by_key.status_code, by_key_again.status_code) == (429, 200, 429)
    for refused in (by_session, by_key_again):
        assert refused.json() == {"detail": "Too many requests. Try again in 2 seconds."}
        assert refused["Retry-After"] == "2"


def test_a_header_that_is_no_key_hides_no_session(client_as: ClientAs, sales: Membership) -> None:
    client = client_as(sales)

    with answering(person(sales), 3):
        refused = [client.get("/api/v1/leads/", headers={"Authorization": "Basic eA=="}) for _ in range(2)]

    assert [answer.status_code for answer in refused] == [429, 429]


def test_wrong_and_revoked_keys_are_counted_by_address(company: Company) -> None:
    wrong, script = Client(headers={"Authorization": "Bearer lm_wrong"}), caller(company, "sales")
    script.get("/api/v1/leads/")
    ApiKey.objects.get().revoke()
    first = script.get("/api/v1/leads/")

    with answering(Asker("address", "127.0.0.1"), 4):
        answers = [client.get("/api/v1/leads/").status_code for client in (wrong, script)]

    assert (first.status_code, answers) == (401, [429, 429])


def test_keys_of_several_companies_behind_one_address_are_counted_by_themselves(
    company: Company, other_company: Company
) -> None:
    scripts = [caller(company, "sales"), caller(other_company, "sales")]
    for script in scripts:
        script.get("/api/v1/leads/")

    with answering(Asker("address", "127.0.0.1"), 4):
        assert [script.get("/api/v1/leads/").status_code for script in scripts] == [200, 200]


def test_heavy_pages_are_fewer_and_others_go_on(client_as: ClientAs, sales: Membership) -> None:
    client = client_as(sales)
    make_lead(sales.company)

    with answering(person(sales), 2, heavy=True):
        answers = [client.get(url).status_code for url in ("/deals/funnel/", "/leads/export/", "/leads/", "/exports/")]
        filtered = client.post("/deals/funnel/", {"period": "this_year"})
        uploaded = client.post("/leads/import/", {})

    assert answers == [429, 429, 200, 200]
    assert (filtered.status_code, uploaded.status_code) == (302, 429)


def test_heavy_requests_of_a_key_are_counted_with_those_of_people(sales: Membership) -> None:
    script, sent = caller(sales.company, "sales"), {"kind": "leads", "format": "csv"}
    make_lead(sales.company)

    with answering(person(sales), 2, heavy=True):
        answers = [script.post("/api/v1/exports/", sent).status_code, script.get("/api/v1/exports/").status_code]

    assert answers == [429, 200]


def test_a_download_counts_until_it_has_been_sent_but_not_as_a_page(
    client_as: ClientAs, admin: Membership, sales: Membership
) -> None:
    client, first = client_as(admin), client_as(admin).post("/company/audit/export/")
    second = client.post("/company/audit/export/")
    assert isinstance(first, StreamingHttpResponse)
    with answering(person(sales), 3):
        assert client.get("/leads/").status_code == 200
    with answering(person(sales), 3), answering(person(admin), 1):
        assert client.get("/leads/").status_code == 429

    assert all(b"".join(download) for download in (first, second))

    assert all(limiter.acquire(person(admin).downloads()) for _ in range(3))


def test_more_downloads_than_a_share_are_refused(client_as: ClientAs, admin: Membership) -> None:
    for _ in range(3):
        limiter.acquire(person(admin).downloads())

    refused = client_as(admin).post("/company/audit/export/")

    assert (refused.status_code, refused.streaming) == (429, False)


def test_signing_in_is_counted_by_address(client: Client) -> None:
    office = Asker("address", "203.0.113.7")

    with answering(office, 4):
        here = client.get("/login/", REMOTE_ADDR="203.0.113.7").status_code
        there = client.get("/login/", REMOTE_ADDR="198.51.100.1").status_code
        still = [client.get(url, REMOTE_ADDR="203.0.113.7").status_code for url in ("/healthz", "/static/app.css")]

    assert (here, there, still) == (429, 200, [200, 200])


def test_an_address_at_its_limit_has_no_other_one_refused(client: Client) -> None:
    client.get("/login/", REMOTE_ADDR="203.0.113.7")

    with answering(Asker("address", "203.0.113.7"), 4), answering(Asker("person", 1, 1), 3):
        there = client.get("/login/", REMOTE_ADDR="198.51.100.1").status_code

    assert there == 200


def test_all_who_are_not_signed_in_leave_threads_for_those_who_are(client_as: ClientAs, sales: Membership) -> None:
    with answering(Asker("address", "203.0.113.7"), 3), answering(Asker("address", "198.51.100.1"), 3):
        stranger = Client().get("/login/", REMOTE_ADDR="192.0.2.1").status_code
        member = client_as(sales).get("/leads/").status_code

    assert (stranger, member) == (429, 200)


@pytest.mark.parametrize("url", ["/leads/", "/nowhere/", "/leads/999/", "/company/", "/leads/1/status/"])
def test_each_answer_ends_what_it_counted_for(client_as: ClientAs, sales: Membership, url: str) -> None:
    client = client_as(sales)

    for _ in range(10):
        client.get(url)

    assert client.get("/leads/").status_code == 200


def test_an_error_ends_what_the_request_counted_for(
    client_as: ClientAs, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_as(sales)
    client.raise_request_exception = False
    with monkeypatch.context() as broken:
        broken.setattr("crm.views.funnels.funnel_of", None)
        assert [client.get("/deals/funnel/").status_code for _ in range(5)] == [500] * 5

    assert client.get("/deals/funnel/").status_code == 200


def test_a_flood_is_refused_without_a_query(
    client_as: ClientAs, sales: Membership, django_assert_num_queries: Any
) -> None:
    client = client_as(sales)
    client.get("/leads/")

    with answering(person(sales), 3), answering(Asker("address", "192.0.2.1"), 4), django_assert_num_queries(0):
        refused = client.get("/leads/")

    assert refused.status_code == 429


def test_it_is_logged_once_a_minute_by_number(
    client_as: ClientAs, sales: Membership, caplog: pytest.LogCaptureFixture, one_minute: None
) -> None:
    client = client_as(sales)

    with answering(person(sales), 3), caplog.at_level(logging.WARNING):
        for _ in range(3):
            client.get("/leads/")

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"Requests of person {sales.user_id}, company {sales.company_id}, are refused. {BUSY}"
    ]


# --- in a minute -----------------------------------------------------------------------------------------------------


@pytest.fixture
def half_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits.time, "time", lambda: 1_800_000_030.0)


def test_a_person_who_asks_too_often_is_told_when_to_come_again(
    half_past: None, client_as: ClientAs, admin: Membership, sales: Membership, settings: Any
) -> None:
    settings.PAGES_PER_MINUTE = 3
    client, colleague = client_as(sales), client_as(admin)

    answers = [client.get("/leads/") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3]["Retry-After"] == answers[3]["Refresh"] == "31"
    assert "sent too many requests in this minute. This page loads again in 31 seconds." in answers[3].content.decode()
    assert (client.get("/api/v1/leads/").status_code, colleague.get("/leads/").status_code) == (200, 200)


def test_a_company_has_a_limit_of_its_own(
    half_past: None, client_as: ClientAs, admin: Membership, sales: Membership, other_company: Company, settings: Any
) -> None:
    settings.COMPANY_PAGES_PER_MINUTE = 3
    stranger = client_as(join(other_company, Role.SALES, email="sales@contoso.example"))
    clients = [client_as(admin), client_as(sales)] * 2

    answers = [client.get("/leads/").status_code for client in clients]

    assert (answers, stranger.get("/leads/").status_code) == ([200, 200, 200, 429], 200)


def test_the_next_minute_is_a_new_one(
    half_past: None, client_as: ClientAs, sales: Membership, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PAGES_PER_MINUTE = 1
    client = client_as(sales)
    assert [client.get("/leads/").status_code for _ in range(2)] == [200, 429]

    monkeypatch.setattr(rate_limits.time, "time", lambda: 1_800_000_060.0)

    assert client.get("/leads/").status_code == 200


# --- the limiter -----------------------------------------------------------------------------------------------------

KEY = ("page", "company", 7)


def waiting(own: Limiter) -> tuple[Thread, list[bool]]:
    """A request of the same company that waits for another to end, and its outcome."""
    outcome: list[bool] = []
    has_begun = Event()

    def wait() -> None:
        own.begin()
        has_begun.set()
        outcome.append(own.acquire({KEY: 1}))

    thread = Thread(target=wait)
    thread.start()
    assert has_begun.wait(10)
    return thread, outcome


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Limiter:
    monkeypatch.setattr(limits, "WAIT_SECONDS", 60.0)
    own = Limiter()
    own.begin()
    assert own.acquire({KEY: 1})
    return own


def test_a_request_waits_for_another_to_end(patient: Limiter) -> None:
    thread, outcome = waiting(patient)
    time.sleep(0.05)
    assert not outcome

    patient.release([KEY])
    thread.join(10)

    assert outcome == [True]


def test_a_request_that_waits_gives_way_once_threads_are_needed(patient: Limiter) -> None:
    thread, outcome = waiting(patient)
    time.sleep(0.05)
    assert not outcome

    for _ in range(5):
        patient.begin()
    thread.join(10)

    assert outcome == [False]


def test_no_request_waits_without_an_idle_thread(patient: Limiter) -> None:
    for _ in range(6):
        patient.begin()

    assert not patient.acquire({KEY: 1})
    assert patient.would_refuse({KEY: 1})


@pytest.mark.parametrize(("threads", "expected"), [(8, (4, 3, 2, 6, 2)), (4, (2, 1, 1, 3, 1)), (1, (1, 1, 1, 1, 1))])
def test_the_shares_follow_the_number_of_threads(settings: Any, threads: int, expected: tuple[int, ...]) -> None:
    settings.WEB_THREADS = threads
    share = limits.shares()

    assert (share.company, share.person, share.heavy, share.total, share.spare) == expected


def test_the_web_server_has_as_many_threads(settings: Any) -> None:
    from leadmachine import gunicorn

    assert gunicorn.threads == settings.WEB_THREADS == 8


def test_every_view_that_may_take_long_is_counted_as_heavy() -> None:
    names = ["funnel", "lead_export", "company_export", "bulk_change_new", "events_retry", "reconcile", "backfill_plan"]
    from django.urls import resolve

    assert [name for name in names if not hasattr(resolve(reverse(name)).func, "heavy_methods")] == []
