"""Reading an ad account's conversion rules: over all pages, within a time, and whatever comes back."""

import json
import logging
import time

import pytest

from capi.linkedin.client import Client
from capi.linkedin.rules import LinkedInRule, ReadStatus, read_rules
from capi.linkedin.sandbox.faults import Drop, Fault
from capi.linkedin.sandbox.request_log import RequestLog
from capi.linkedin.sandbox.server import SandboxServer
from tests.capi.linkedin.wire import Wire, headers_of, keeping_alive, ok

TOKEN = "AQXgood-token-0123456789"
ACCOUNT = "512345678"


@pytest.fixture
def sandbox(tmp_path):
    with SandboxServer(
        "127.0.0.1", 0, RequestLog(tmp_path / "ledger.jsonl"), hold_seconds=5
    ) as server:
        yield server


@pytest.fixture
def read(client_for):
    def read(url, *, token=TOKEN, account=ACCOUNT, seconds=5.0):
        return read_rules(
            client_for(url), token=token, ad_account_id=account, seconds=seconds
        )

    return read


def answering(*elements, **paging):
    return ok(
        json.dumps(
            {
                "paging": {"start": 0, "count": 100, "total": -1} | paging,
                "elements": elements,
            }
        ).encode()
    )


def element(**changes):
    fields = {
        "id": 7,
        "name": "A",
        "type": "LEAD",
        "conversionMethod": "CONVERSIONS_API",
        "enabled": True,
    } | changes
    return {name: value for name, value in fields.items() if value is not ...}


def test_the_request_names_the_account_the_page_and_the_fields_and_has_no_body(read):
    with Wire(keeping_alive(answering())) as wire:
        read(wire.url)

    assert wire.requests[0].startswith(
        b"GET /rest/conversions?q=account&account=urn%3Ali%3AsponsoredAccount%3A512345678&start=0&count=100"
        b"&fields=id,name,type,conversionMethod,enabled HTTP/1.1\r\n"
    )
    assert wire.requests[0].endswith(b"\r\n\r\n")
    assert headers_of(wire.requests[0]) == {
        "Host": wire.host,
        "Accept-Encoding": "identity",
        "User-Agent": "LeadMachine",
        "X-Restli-Protocol-Version": "2.0.0",
        "LinkedIn-Version": "202609",
        "Authorization": f"Bearer {TOKEN}",
    }


def test_rules_are_found_with_what_tells_whether_they_take_events(sandbox, read):
    result = read(sandbox.url)

    assert (result.outcome, result.is_whole, len(result.rules)) == (
        ReadStatus.FOUND,
        True,
        12,
    )
    assert result.rules[1] == LinkedInRule(
        "104012", "Qualified lead", "QUALIFIED_LEAD", "CONVERSIONS_API", True
    )
    assert [rule.id for rule in result.rules if not rule.takes_events] == [
        "400400",
        "400401",
        "104021",
        "104022",
    ]
    assert result.headers["date"].endswith("GMT")


def test_250_rules_are_read_in_three_pages(sandbox, read):
    result = read(sandbox.url, account="250250")

    assert (result.outcome, result.is_whole) == (ReadStatus.FOUND, True)
    assert [rule.id for rule in result.rules] == [
        str(200001 + number) for number in range(250)
    ]
    assert len(sandbox.ledger.tail(10)) == 3


def test_pages_that_linkedin_makes_smaller_than_asked_are_read_to_the_end(read):
    rules = [element(id=number) for number in range(1, 6)]

    def answer(connection, request):
        start = int(request.partition(b"start=")[2].partition(b"&")[0])
        connection.sendall(answering(*rules[start : start + 2], count=2))

    with Wire(answer) as wire:
        result = read(wire.url)

    assert [rule.id for rule in result.rules] == ["1", "2", "3", "4", "5"]
    assert len(wire.requests) == 3


def test_a_server_that_gives_the_same_page_for_ever_is_asked_twice(read):
    with Wire(
        keeping_alive(answering(*[element(id=number) for number in range(1, 101)]))
    ) as wire:
        result = read(wire.url)

    assert (result.outcome, len(result.rules), len(wire.requests)) == (
        ReadStatus.FOUND,
        100,
        2,
    )


def test_an_account_without_an_end_of_rules_is_left_after_twenty_pages(read):
    def answer(connection, request):
        start = int(request.partition(b"start=")[2].partition(b"&")[0])
        connection.sendall(
            answering(*[element(id=start + number) for number in range(1, 101)])
        )

    with Wire(answer) as wire:
        result = read(wire.url)

    assert (result.outcome, result.is_whole, len(result.rules)) == (
        ReadStatus.FOUND,
        False,
        2000,
    )
    assert len(wire.requests) == 20


def test_an_account_without_rules_is_found_empty(read):
    with Wire(keeping_alive(answering())) as wire:
        result = read(wire.url)

    assert (result.outcome, result.rules) == (ReadStatus.FOUND, ())


@pytest.mark.parametrize(
    ("token", "account", "outcome", "code", "message"),
    [
        ("AQX-sendonly-token-0123456789", ACCOUNT, ReadStatus.CANNOT_TELL, "ACCESS_DENIED",
         "Not enough permissions to access: conversions.FINDER-account"),
        (TOKEN, "403403", ReadStatus.CANNOT_TELL, "", "No ad accounts found"),
        ("AQX-revoked-token-0123456789", ACCOUNT, ReadStatus.TOKEN_REFUSED, "REVOKED_ACCESS_TOKEN",
         "The token used in the request has been revoked by the user"),
        (TOKEN, "500500", ReadStatus.SERVER_TROUBLE, "", "Internal Server Error"),
        (TOKEN, "503503", ReadStatus.SERVER_TROUBLE, "", "503 Service Unavailable"),
        ("AQX-throttled-token-0123456789", ACCOUNT, ReadStatus.SERVER_TROUBLE, "TOO_MANY_REQUESTS",
         "Resource level throttle APPLICATION_AND_MEMBER MINUTE limit for calls to this resource is reached."),
        (TOKEN, "0", ReadStatus.REFUSED, "", "Invalid query parameters passed to request"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_with_linkedins_words(
    sandbox, read, token, account, outcome, code, message
):
    result = read(sandbox.url, token=token, account=account)

    assert (result.outcome, result.rules) == (outcome, ())
    assert (result.api_message.code, result.api_message.message) == (code, message)
    assert "date" in result.headers


def test_a_retired_version_is_told(sandbox):
    client = Client(
        base_url=sandbox.url, version="202511", timeout=5, connect_timeout=1
    )

    result = read_rules(client, token=TOKEN, ad_account_id=ACCOUNT, seconds=5)
    client.close()

    assert (result.outcome, result.api_message.code) == (
        ReadStatus.VERSION_RETIRED,
        "NONEXISTENT_VERSION",
    )


def test_a_page_that_fails_after_good_ones_leaves_no_half_list(sandbox, read):
    sandbox.faults.add(Fault(), Fault(status=500))

    result = read(sandbox.url, account="250250")

    assert (result.outcome, result.rules) == (ReadStatus.SERVER_TROUBLE, ())


def test_nobody_there_is_unreachable(read):
    assert read("http://127.0.0.1:9").outcome == ReadStatus.UNREACHABLE


def test_the_time_counts_over_all_pages_together(sandbox, read):
    sandbox.faults.add(Fault(delay_ms=250, times=3))
    started = time.monotonic()

    result = read(sandbox.url, account="250250", seconds=0.4)

    assert result.outcome == ReadStatus.UNREACHABLE
    assert time.monotonic() - started < 2


def test_a_dripping_answer_is_left_when_the_time_is_up(sandbox, read):
    sandbox.faults.add(Fault(drip_ms=20))

    result = read(sandbox.url, seconds=0.3)

    assert result.outcome == ReadStatus.UNREACHABLE


def test_a_connection_that_closes_without_an_answer_is_unreachable(sandbox, read):
    sandbox.faults.add(Fault(drop=Drop.AFTER_BODY))

    assert read(sandbox.url).outcome == ReadStatus.UNREACHABLE


@pytest.mark.parametrize(
    "body",
    ["", "null", "[]", "{}", "<html>hello</html>", '{"elements": {}}', '{"elements": null}', '{"elements": [1, "a"]}',
     '{"elements": [{"name": "no id"}]}', '{"elements": [], "elements": []}', "[" * 50_000],
)  # fmt: skip
def test_what_is_no_list_of_rules_is_unreadable(sandbox, read, body):
    sandbox.faults.add(Fault(status=200, body=body))

    result = read(sandbox.url)

    assert (result.outcome, result.rules) == (ReadStatus.UNREADABLE, ())


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut_after=-5),
        Fault(status=302),
        Fault(status=200, body=" " * (1 << 20) + "  "),
    ],
)
def test_a_cut_redirected_or_endless_answer_is_unreadable(sandbox, read, fault):
    sandbox.faults.add(fault)

    assert read(sandbox.url).outcome == ReadStatus.UNREADABLE


def test_elements_that_can_be_no_rule_are_passed_over(read):
    ids = [0, -1, True, None, 1.5, "7x", "", "07", [], {}, 10**19, ...]

    with Wire(
        keeping_alive(answering(*[element(id=wrong) for wrong in ids], element(id="8")))
    ) as wire:
        result = read(wire.url)

    assert [rule.id for rule in result.rules] == ["8"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "<script>alert(1)</script>"}, {"name": "<script>alert(1)</script>"}),
        ({"name": "a\u202eb\x00c\n"}, {"name": "a b c"}),
        ({"name": "x" * 500}, {"name": "x" * 120}),
        ({"name": 5}, {"name": ""}),
        ({"name": ...}, {"name": ""}),
        ({"type": "lead"}, {"type": ""}),
        ({"type": "A" * 41}, {"type": ""}),
        ({"type": "NEW_IN_2027"}, {"type": "NEW_IN_2027"}),
        ({"conversionMethod": None}, {"method": ""}),
        ({"enabled": ...}, {"enabled": True}),
        ({"enabled": "yes"}, {"enabled": False}),
        ({"unknown": {"deep": []}}, {}),
    ],
)
def test_odd_fields_are_made_harmless(read, changes, expected):
    plain = {
        "id": "7",
        "name": "A",
        "type": "LEAD",
        "method": "CONVERSIONS_API",
        "enabled": True,
    }

    with Wire(keeping_alive(answering(element(**changes)))) as wire:
        result = read(wire.url)

    assert result.rules == (LinkedInRule(**plain | expected),)


def test_the_token_is_in_no_error_repr_or_log(read, caplog):
    caplog.set_level(logging.DEBUG)

    with Wire(
        keeping_alive(
            b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n%b"
            % (len(TOKEN), TOKEN.encode())
        )
    ) as wire:
        result = read(wire.url)
    with pytest.raises(ValueError, match="Paste it again") as refused:
        read("http://127.0.0.1:9", token="two words")

    assert result.api_message.message == "•••"
    assert TOKEN not in repr(result) + caplog.text
    assert "two words" not in str(refused.value)
