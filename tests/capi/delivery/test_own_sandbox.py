"""Nothing is sent to the sandbox's port while a stranger listens there instead of this installation's sandbox."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from capi.delivery import http_session, own_sandbox
from capi.delivery.linkedin_rules import fetch_rules
from capi.linkedin.rules import ReadStatus
from capi.linkedin.sandbox import messages
from capi.models import Attempt
from leadmachine import embedded
from tests.capi.conftest import send_all, states
from tests.conftest import make_lead
from tests.faults.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


class Stranger(ThreadingHTTPServer):
    """A server that accepts everything, as another project of the developer may, and records what it receives."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", port), Taker)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        super().__exit__(*error)

    def assert_was_told_nothing(self) -> None:
        """Assert that it was asked for a proof and sent nothing else."""
        assert self.requests
        for path, headers, body in self.requests:
            assert path.startswith(messages.PROOF_PATH)
            assert "authorization" not in headers
            assert body == b""


class Taker(BaseHTTPRequestHandler):
    server: Stranger

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(
            (
                self.path,
                {name.lower(): value for name, value in self.headers.items()},
                body,
            )
        )
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815 - BaseHTTPRequestHandler looks for these

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with Stranger() as server:
        yield server


def use(settings: Any, port: int) -> None:
    """The settings of `make run`, with the sandbox on this port."""
    settings.LINKEDIN_SANDBOX, settings.LINKEDIN_SANDBOX_PORT = True, port
    settings.LINKEDIN_API_URL = f"http://127.0.0.1:{port}"


@pytest.fixture
def ours(settings, tmp_path) -> Iterator[Any]:
    settings.LINKEDIN_SANDBOX_LEDGER = tmp_path / "ledger.jsonl"
    with own_sandbox.make(port=0) as server:
        use(settings, server.port)
        yield server


def test_events_go_to_our_own_sandbox(company, token, make_rule, ours) -> None:
    make_rule()
    make_lead(company)

    send_all(company)

    assert states(company) == ["accepted"]


def test_no_token_and_no_event_goes_to_a_stranger(
    company, token, make_rule, settings, stranger, caplog
) -> None:
    use(settings, stranger.server_port)
    make_rule()
    make_lead(company)

    send_all(company)

    stranger.assert_was_told_nothing()
    assert states(company) == ["pending"]
    assert Attempt.objects.get().http_status is None
    assert (
        f"No sandbox of this installation answers on port {stranger.server_port}"
        in caplog.text
    )


def test_no_question_with_a_token_goes_to_a_stranger(
    company, token, settings, stranger
) -> None:
    use(settings, stranger.server_port)
    token.ad_account_id = "512345678"

    read = fetch_rules(token, seconds=5)

    stranger.assert_was_told_nothing()
    assert read.outcome == ReadStatus.UNREACHABLE


def test_a_stranger_who_takes_the_port_in_between_gets_nothing(
    company, token, make_rule, ours
) -> None:
    make_rule()
    make_lead(company)
    send_all(company)
    ours.stop()
    make_lead(company, email="second@example.com")

    with Stranger(ours.port) as late:
        send_all(company)

    late.assert_was_told_nothing()
    assert sorted(states(company)) == ["accepted", "pending"]


def test_another_receiver_that_was_chosen_on_purpose_needs_no_proof(
    company, token, make_rule, settings, sandbox
) -> None:
    settings.LINKEDIN_SANDBOX = True
    make_rule()
    make_lead(company)

    send_all(company)

    assert states(company) == ["accepted"]
    assert type(http_session.client()) is http_session.Client


def test_the_start_is_refused_where_a_stranger_has_the_port(settings, stranger) -> None:
    use(settings, stranger.server_port)

    with pytest.raises(SystemExit) as refused:
        embedded._start_sandbox()

    assert f"127.0.0.1:{stranger.server_port}" in str(refused.value)
    assert "LINKEDIN_SANDBOX_PORT=" in str(refused.value)
    stranger.assert_was_told_nothing()


def test_a_second_web_process_is_content_and_takes_over_when_the_first_is_gone(
    ours, monkeypatch
) -> None:
    monkeypatch.setattr(embedded, "TAKE_OVER_SECONDS", 0.05)

    second = embedded._start_sandbox()
    ours.stop()

    wait_for(
        own_sandbox.proves_itself, seconds=10, told="the second process is the sandbox"
    )
    second.stop()
