"""A thread's line to LinkedIn: kept while it serves, and made anew once it was hung up."""

from capi.linkedin.exchange import Answer
from capi.pipeline import wire
from capi.sandbox.ledger import Ledger
from capi.sandbox.server import SandboxServer


def send() -> Answer:
    return wire.send(token="a-token", body=b"{}", batch=False)


def test_a_line_is_kept_between_requests(sandbox) -> None:
    line = wire.client()

    assert send().status == send().status == 422
    assert wire.client() is line


def test_after_hanging_up_the_same_address_is_reached_again(sandbox, tmp_path) -> None:
    assert send().status == 422
    wire.hang_up()
    sandbox.stop()

    with SandboxServer(sandbox.host, sandbox.port, Ledger(tmp_path / "another.jsonl")):
        assert send().status == 422


def test_hanging_up_twice_is_no_harm(sandbox) -> None:
    wire.hang_up()
    wire.hang_up()

    assert send().status == 422
