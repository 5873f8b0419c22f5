"""A thread's connection to LinkedIn: kept while it works, and opened again once it has been closed."""

from capi.delivery import http_session
from capi.linkedin.decisions import Answer
from capi.linkedin.sandbox.request_log import RequestLog
from capi.linkedin.sandbox.server import SandboxServer


def send() -> Answer:
    return http_session.send(token="a-token", body=b"{}", batch=False)


def test_a_line_is_kept_between_requests(sandbox) -> None:
    line = http_session.client()

    assert send().status == send().status == 422
    assert http_session.client() is line


def test_after_hanging_up_the_same_address_is_reached_again(sandbox, tmp_path) -> None:
    assert send().status == 422
    http_session.close()
    sandbox.stop()

    with SandboxServer(
        sandbox.host, sandbox.port, RequestLog(tmp_path / "another.jsonl")
    ):
        assert send().status == 422


def test_hanging_up_twice_is_no_harm(sandbox) -> None:
    http_session.close()
    http_session.close()

    assert send().status == 422
