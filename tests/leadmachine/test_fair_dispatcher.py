"""The order in which a web process answers requests, and how many of a company or a session at a time."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from crm.accounts.callers import Caller
from leadmachine import fair_dispatcher
from leadmachine.fair_dispatcher import FairDispatcher

THREADS = 8


class Request:
    """A request that lasts until it is told to end."""

    def __init__(self, company: str, session: str | None) -> None:
        self._caller = Caller(company, session)
        self.has_begun, self.may_end = threading.Event(), threading.Event()
        self.is_cancelled = False

    def caller(self) -> Caller:
        return self._caller

    def service(self) -> None:
        self.has_begun.set()
        self.may_end.wait(10)

    def cancel(self) -> None:
        self.is_cancelled = True


class Web:
    def __init__(self) -> None:
        self.dispatcher = FairDispatcher(THREADS)
        self.requests: list[Request] = []

    def ask(
        self, company: str, session: str | None = None, *, times: int = 1
    ) -> list[Request]:
        asked = [Request(company, session) for _ in range(times)]
        self.requests += asked
        for request in asked:
            self.dispatcher.add_task(request)
        return asked

    def begun(self, requests: list[Request], number: int) -> int:
        """Wait until as many requests as `number` have begun, and then for one too many."""
        _wait_for(lambda: _count(requests) >= number)
        time.sleep(0.05)
        return _count(requests)


def _count(requests: list[Request]) -> int:
    return sum(request.has_begun.is_set() for request in requests)


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    yield web
    for request in web.requests:
        request.may_end.set()
    web.dispatcher.shutdown()


def test_a_session_that_is_alone_has_half_of_the_threads(web) -> None:
    assert web.begun(web.ask("one", "a", times=20), THREADS // 2) == THREADS // 2


def test_a_company_that_is_alone_leaves_a_quarter_of_the_threads(web) -> None:
    requests = [
        *web.ask("one", "a", times=4),
        *web.ask("one", "b", times=4),
        *web.ask("one", "c", times=4),
    ]

    assert web.begun(requests, THREADS * 3 // 4) == THREADS * 3 // 4


def test_among_others_a_session_has_a_quarter_and_a_company_half(web) -> None:
    [other] = web.ask("two", "z")
    first = web.ask("one", "a", times=10)
    assert web.begun(first, THREADS // 4) == THREADS // 4

    second = [*web.ask("one", "b", times=10), *web.ask("one", "c", times=10)]

    assert web.begun([*first, *second], THREADS // 2) == THREADS // 2
    assert other.has_begun.is_set()


def test_shares_grow_again_once_the_others_have_gone(web, monkeypatch) -> None:
    monkeypatch.setattr(fair_dispatcher, "OTHERS_SECONDS", 0.2)
    web.ask("two", "z")[0].may_end.set()
    requests = web.ask("one", "a", times=10)
    assert web.begun(requests, THREADS // 4) == THREADS // 4

    time.sleep(0.3)
    requests[0].may_end.set()

    assert web.begun(requests, 1 + THREADS // 2) == 1 + THREADS // 2


def test_the_next_request_is_of_the_company_and_session_with_the_fewest(web) -> None:
    web.ask("two", "z")
    first = web.ask("one", "a", times=64)
    web.begun(first, THREADS // 4)

    later = [*web.ask("one", "b"), *web.ask("three", "c")]

    assert web.begun(later, 2) == 2


def test_a_waiting_request_has_its_turn_when_one_of_its_session_ends(web) -> None:
    requests = web.ask("one", "a", times=64)
    for request in requests:
        request.may_end.set()

    assert web.begun(requests, 64) == 64


def test_without_a_session_the_share_is_that_of_a_company(web) -> None:
    web.ask("one", "a")

    assert (
        web.begun(web.ask("192.0.2.1", times=20), THREADS * 3 // 4) == THREADS * 3 // 4
    )


def test_an_address_is_nobody_else(web) -> None:
    web.ask("192.0.2.1")

    assert web.begun(web.ask("one", "a", times=20), THREADS // 2) == THREADS // 2


def test_a_download_leaves_its_share_and_takes_none_twice(web) -> None:
    web.ask("two", "z")
    requests = web.ask("one", "a", times=THREADS)
    web.begun(requests, 2)

    web.dispatcher.leave_share(requests[0])
    assert web.begun(requests, 3) == 3
    requests[0].may_end.set()

    assert web.begun(requests, 3) == 3


def test_a_request_that_fails_outside_django_costs_no_thread(web, caplog) -> None:
    class Failing(Request):
        def service(self) -> None:
            raise SystemExit

    for _ in range(2 * THREADS):
        web.dispatcher.add_task(Failing("one", "a"))
    requests = web.ask("one", "a", times=20)

    assert web.begun(requests, THREADS // 2) == THREADS // 2
    assert "A request failed outside Django" in caplog.text


def test_what_still_waits_at_the_end_is_cancelled(web, monkeypatch) -> None:
    monkeypatch.setattr(fair_dispatcher, "STOP_SECONDS", 0.1)
    requests = web.ask("one", "a", times=20)
    web.begun(requests, THREADS // 2)

    web.dispatcher.shutdown()

    assert [request.is_cancelled for request in requests] == [
        not each.has_begun.is_set() for each in requests
    ]
