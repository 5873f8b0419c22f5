import threading

from capi.linkedin.decisions import TransportError
from tests.capi.linkedin.wire import (
    BODY,
    CREATED,
    TOKEN,
    Wire,
    headers_of,
    keeping_alive,
    ok,
    saying,
    send,
)


def test_a_single_event_goes_out_with_exactly_the_documented_headers(client_for):
    with Wire(keeping_alive(CREATED)) as wire:
        answer = send(client_for(wire.url))

    assert (answer.status, answer.body, answer.trouble) == (201, b"", None)
    head, _, body = wire.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /rest/conversionEvents HTTP/1.1\r\n")
    assert body == BODY
    assert headers_of(wire.requests[0]) == {
        "Host": wire.host,
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "User-Agent": "LeadMachine",
        "X-Restli-Protocol-Version": "2.0.0",
        "LinkedIn-Version": "202609",
        "Content-Length": str(len(BODY)),
        "Authorization": f"Bearer {TOKEN}",
    }


def test_a_batch_says_so_and_a_single_event_after_it_does_not(client_for):
    with Wire(keeping_alive(CREATED)) as wire:
        client = client_for(wire.url)
        send(client, batch=True)
        send(client)

    assert headers_of(wire.requests[0])["X-RestLi-Method"] == "BATCH_CREATE"
    assert "X-RestLi-Method" not in headers_of(wire.requests[1])


def test_the_answer_has_status_headers_in_lower_case_and_body(client_for):
    with Wire(
        keeping_alive(
            b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}"
        )
    ) as wire:
        answer = send(client_for(wire.url))

    assert answer.status == 429
    assert answer.headers == {"retry-after": "7", "content-length": "2"}
    assert answer.body == b"{}"
    assert 0 <= answer.duration_ms < 1000


def test_a_chunked_answer_is_put_together(client_for):
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n3\r\n   \r\n0\r\n\r\n"
    with Wire(keeping_alive(data)) as wire:
        client = client_for(wire.url)
        answers = [send(client), send(client)]

    assert [(answer.status, answer.body) for answer in answers] == [(200, b"{}   ")] * 2
    assert wire.accepted == 1


def test_one_connection_carries_many_requests(client_for):
    with Wire(keeping_alive(ok(b"{}"))) as wire:
        client = client_for(wire.url)
        answers = [send(client) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert wire.accepted == 1


def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again(client_for):
    closed = threading.Event()

    def answer(connection, request):
        saying(CREATED)(connection, request)
        closed.set()

    with Wire(answer) as wire:
        client = client_for(wire.url)
        first = send(client)
        closed.wait(10)
        second = send(client)

    assert (first.status, second.status) == (201, 201)
    assert wire.accepted == 2


def test_each_request_has_its_own_token_and_no_cookie_of_an_earlier_one(client_for):
    with Wire(
        keeping_alive(
            b"HTTP/1.1 201 Created\r\nSet-Cookie: lidc=one; Path=/\r\nContent-Length: 0\r\n\r\n"
        )
    ) as wire:
        client = client_for(wire.url)
        send(client, token="token-of-one")
        send(client, token="token-of-two")

    first, second = map(headers_of, wire.requests)
    assert (first["Authorization"], second["Authorization"]) == (
        "Bearer token-of-one",
        "Bearer token-of-two",
    )
    assert "Cookie" not in second


def test_netrc_and_proxy_variables_are_ignored(client_for, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password wrong\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    with Wire(keeping_alive(CREATED)) as wire:
        answer = send(client_for(wire.url))

    assert answer.status == 201
    assert headers_of(wire.requests[0])["Authorization"] == f"Bearer {TOKEN}"


def test_a_redirect_is_not_followed(client_for):
    with Wire(keeping_alive(CREATED)) as elsewhere:
        location = f"{elsewhere.url}/rest/conversionEvents".encode()
        with Wire(
            saying(
                b"HTTP/1.1 307 Temporary\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n"
                % location
            )
        ) as wire:
            answer = send(client_for(wire.url))

    assert (answer.status, answer.trouble, answer.body) == (
        307,
        TransportError.REDIRECT,
        b"",
    )
    assert (len(wire.requests), elsewhere.accepted) == (1, 0)
