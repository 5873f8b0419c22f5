"""S51: what people enter leads only to the public internet, and not for long."""

import gzip
import socket
import threading
import time
from ipaddress import ip_address

import pytest

from crm.services import outbound, outbound_connections
from crm.services.outbound import Failure, OutboundClient, OutboundError, ShareInUse
from crm.services.outbound_connections import is_allowed, is_public
from tests import slow_servers
from tests.capi.linkedin.wire import Wire, saying

pytestmark = pytest.mark.covers("S51")

OURS_ID, THEIRS_ID = 1, 2  # of two companies


def get_json(url):
    with OutboundClient(company_id=OURS_ID) as client:
        return client.get_json(url)


@pytest.fixture(autouse=True)
def _as_in_production(settings):
    settings.OUTBOUND_TO_LOOPBACK = False


OURS = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "239.1.1.1", "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:10.0.0.1",
    "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001:0:a00:1::",
    "::127.0.0.1", "fec0::1",
]  # fmt: skip


@pytest.mark.parametrize("address", OURS)
def test_an_address_of_a_network_is_not_public(address):
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_an_address_of_the_internet_is_public(address):
    assert is_public(ip_address(address))


@pytest.fixture
def listener():
    """A socket that shows whether anything has connected to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def _names(monkeypatch):
    """Resolves `example.com` to this machine, and `mixed.example` to the internet and this machine."""
    real = socket.getaddrinfo

    def look_up(host, port, *args, **kwargs):
        if host == "mixed.example":
            return real("8.8.8.8", port, *args, **kwargs) + real(
                "127.0.0.1", port, *args, **kwargs
            )
        return real(
            "127.0.0.1" if host == "example.com" else host, port, *args, **kwargs
        )

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.mark.usefixtures("_names")
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "example.com", "mixed.example"],
)
def test_nothing_connects_to_this_machine_whatever_it_is_called(listener, host):
    with pytest.raises(OutboundError):
        get_json(f"https://{host}:{listener.getsockname()[1]}/")

    listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "http://127.0.0.1/", "file:///etc/passwd", "ftp://x/", "x"],
)
def test_nothing_but_https(url):
    with pytest.raises(OutboundError):
        get_json(url)


@pytest.fixture
def answering(settings):
    """Starts a server on this machine that sends these bytes to its first client, and then waits. Returns its URL."""
    settings.OUTBOUND_TO_LOOPBACK = True
    servers = []

    def start(*parts):
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=send, args=(server, parts), daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/"

    def send(server, parts):
        connection, _ = server.accept()
        servers.append(connection)
        connection.recv(10_000)
        for part in parts:
            connection.sendall(part)

    yield start
    for each in servers:
        each.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def test_an_answer_on_this_machine_is_read_only_where_that_is_allowed(answering):
    assert get_json(answering(HEAD + b'Content-Length: 8\r\n\r\n{"a": 1}')) == {"a": 1}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
        HEAD + b"Content-Length: 2\r\n\r\n[]",
        HEAD + b"Content-Length: 4\r\n\r\nnull",
        HEAD + b"Content-Length: 9\r\n\r\nnot JSON!",
        HEAD + b"Content-Length: 600000\r\n\r\n" + b" " * 600_000,
        b"SSH-2.0-OpenSSH_9.9\r\n",
    ],
)
def test_a_redirect_a_long_answer_and_what_is_no_json_are_refused(answering, answer):
    with pytest.raises(OutboundError):
        get_json(answering(answer))


def test_a_name_server_that_never_answers_holds_nobody_up(monkeypatch):
    answer = threading.Event()
    monkeypatch.setattr(outbound_connections, "STEP_SECONDS", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answer.wait(60))

    with pytest.raises(OutboundError):
        get_json("https://example.com/")

    assert not answer.is_set()
    answer.set()


@pytest.mark.parametrize(
    "host", ["a" * 64 + ".example", "a..example", ".example", "xn--é.example"]
)
def test_a_name_that_no_host_can_have_is_a_failed_request(host):
    with pytest.raises(OutboundError):
        get_json(f"https://{host}/")


def test_no_proxy_of_the_environment_is_used(answering, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    assert get_json(answering(HEAD + b"Content-Length: 2\r\n\r\n{}")) == {}


# What the operator allows


@pytest.fixture
def private(settings, tmp_path):
    """What a server on this machine needs, whose certificate is of the operator's own authority."""
    path = slow_servers.make_certificate(tmp_path)
    settings.CA_BUNDLE = str(path)
    outbound_connections.tls_context.cache_clear()
    yield slow_servers.serving(path)
    outbound_connections.tls_context.cache_clear()


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192",
                "168.63.129.16"],
)  # fmt: skip
def test_a_cloud_s_metadata_service_is_never_allowed(settings, address):
    settings.OUTBOUND_ALLOWED = ["metadata.example", "0.0.0.0/0", "::/0"]

    assert not is_public(ip_address(address))
    assert not is_allowed("metadata.example", ip_address(address))


@pytest.mark.parametrize("entry", ["127.0.0.1", "127.0.0.0/29", "10.0.0.0/8,127.0.0.1"])
def test_a_host_in_a_network_of_the_operator_is_reached_if_it_is_allowed(
    private, settings, entry
):
    settings.OUTBOUND_ALLOWED = entry.split(",")

    with Wire(saying(WHOLE["length"]), tls=private) as wire:
        assert get_json(wire.url) == {"a": 1}


@pytest.mark.usefixtures("_names")
@pytest.mark.parametrize(
    ("entries", "failure"),
    [([], Failure.NOT_REACHABLE), (["other.example", "10.0.0.0/8"], Failure.NOT_REACHABLE),
     (["example.com"], Failure.NO_CONNECTION)],
)  # fmt: skip
def test_a_name_is_allowed_wherever_it_leads_and_no_other(settings, entries, failure):
    settings.OUTBOUND_ALLOWED = entries

    with pytest.raises(OutboundError) as error:
        get_json("https://EXAMPLE.com:9/")

    assert error.value.failure == failure


def test_what_is_allowed_is_reached_over_https_alone(settings, listener):
    settings.OUTBOUND_ALLOWED = ["127.0.0.1", "localhost"]

    with pytest.raises(OutboundError, match="not HTTPS"):
        get_json(f"http://127.0.0.1:{listener.getsockname()[1]}/")


def test_no_one_learns_whether_a_name_of_our_network_exists(monkeypatch):
    def failure_of(host):
        with pytest.raises(OutboundError) as error:
            get_json(f"https://{host}/")
        return error.value.failure

    assert (
        failure_of("127.0.0.1")
        == failure_of("nothing.invalid")
        == Failure.NOT_REACHABLE
    )


def test_an_unknown_authority_is_said(private, settings):
    settings.OUTBOUND_ALLOWED, settings.CA_BUNDLE = ["127.0.0.1"], ""
    outbound_connections.tls_context.cache_clear()

    with (
        Wire(saying(WHOLE["length"]), tls=private) as wire,
        pytest.raises(OutboundError) as error,
    ):
        get_json(wire.url)

    assert error.value.failure == Failure.NOT_TRUSTED
    assert (
        str(error.value)
        == "The host's certificate is not valid: self-signed certificate."
    )


# However an answer is framed, and however slowly it comes


@pytest.fixture
def tls(settings, monkeypatch, tmp_path):
    """What a server on this machine needs, whose certificate is trusted."""
    settings.OUTBOUND_TO_LOOPBACK = True
    path = slow_servers.make_certificate(tmp_path)
    monkeypatch.setattr("certifi.where", lambda: str(path))
    outbound_connections.tls_context.cache_clear()
    yield slow_servers.serving(path)
    outbound_connections.tls_context.cache_clear()


def given_up(url):
    """Read from there, which can't work. Returns the reason and the seconds until it was given up."""
    started_at = time.monotonic()
    with pytest.raises(OutboundError) as error:
        get_json(url)
    return str(error.value), time.monotonic() - started_at


JSON = b'{"a": 1}'
WHOLE = {
    "length": HEAD + b"Content-Length: 8\r\n\r\n" + JSON,
    "chunked": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n8\r\n"
    + JSON
    + b"\r\n0\r\nX-A: b\r\n\r\n",
    "until it closes": HEAD + b"\r\n" + JSON,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + JSON,
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n"
    + HEAD
    + b"Content-Length: 8\r\n\r\n"
    + JSON,
    "gzip": HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(JSON),
}


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
def test_an_answer_is_read_however_it_is_framed(tls, answer):
    with Wire(saying(answer), tls=tls) as wire:
        assert get_json(wire.url) == {"a": 1}


@pytest.mark.parametrize(
    "framing", slow_servers.FRAMINGS.values(), ids=slow_servers.FRAMINGS
)
def test_an_answer_that_drips_is_cut_off_in_time_however_it_is_framed(
    tls, monkeypatch, framing
):
    monkeypatch.setattr(outbound, "EXCHANGE_SECONDS", 0.5)

    with slow_servers.dripping(framing, tls=tls) as wire:
        reason, seconds = given_up(wire.url)

    assert reason == "There was no whole answer in time."
    assert 0.5 <= seconds < 2


def test_a_whole_object_does_not_hide_that_the_deadline_ended_it(tls, monkeypatch):
    monkeypatch.setattr(outbound, "EXCHANGE_SECONDS", 0.5)

    with slow_servers.dripping(
        slow_servers.Framing(HEAD + b"\r\n" + JSON, b" " * 100), tls=tls
    ) as wire:
        reason, _ = given_up(wire.url)

    assert reason == "There was no whole answer in time."


def test_a_handshake_that_drips_is_cut_off_in_time(tls, monkeypatch):
    monkeypatch.setattr(outbound, "EXCHANGE_SECONDS", 0.5)

    with slow_servers.dripping_handshake() as wire:
        reason, seconds = given_up(wire.url.replace("http:", "https:"))

    assert (reason, wire.accepted) == ("There was no whole answer in time.", 1)
    assert 0.5 <= seconds < 2


def test_ten_addresses_that_take_no_connection_take_no_longer_than_one(
    tls, monkeypatch
):
    monkeypatch.setattr(outbound, "EXCHANGE_SECONDS", 0.5)
    monkeypatch.setattr(outbound_connections, "STEP_SECONDS", 0.2)
    real = socket.getaddrinfo

    with slow_servers.not_accepting() as port:
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda *args, **kwargs: 10 * real(*args, **kwargs)
        )
        reason, seconds = given_up(f"https://127.0.0.1:{port}")

    assert reason == "There was no whole answer in time."
    assert 0.5 <= seconds < 2


def test_an_address_that_takes_no_connection_is_passed_over(tls, monkeypatch):
    monkeypatch.setattr(outbound_connections, "STEP_SECONDS", 0.2)
    real = socket.getaddrinfo

    with (
        slow_servers.not_accepting() as port,
        Wire(saying(WHOLE["length"]), tls=tls) as wire,
    ):
        both = real("127.0.0.1", port, type=socket.SOCK_STREAM) + real(
            *wire.host.split(":"), type=socket.SOCK_STREAM
        )
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: both)

        assert get_json(wire.url) == {"a": 1}


def test_the_requests_of_a_page_have_a_limit_together(tls, monkeypatch):
    monkeypatch.setattr(outbound, "PAGE_SECONDS", 0.5)
    framing = slow_servers.FRAMINGS["length"]

    with (
        slow_servers.dripping(framing, tls=tls) as wire,
        OutboundClient(company_id=OURS_ID) as client,
    ):
        started_at = time.monotonic()
        for _ in range(3):
            with pytest.raises(OutboundError):
                client.get_json(wire.url)

    assert wire.accepted == 1
    assert 0.5 <= time.monotonic() - started_at < 2


@pytest.mark.parametrize(
    "flaw", [{"address": "127.0.0.2"}, {"days": -1}], ids=["another host's", "expired"]
)
def test_a_wrong_certificate_gets_no_byte_of_the_request(
    tls, monkeypatch, tmp_path, flaw
):
    # Trusted, as it is in the same place.
    path = slow_servers.make_certificate(tmp_path, **flaw)

    with Wire(saying(WHOLE["length"]), tls=slow_servers.serving(path)) as wire:
        reason, _ = given_up(wire.url)

    assert reason.startswith("The host's certificate is not valid: ")
    assert wire.requests == []


def test_nothing_is_left_of_an_exchange_that_was_cut_off(tls, monkeypatch):
    monkeypatch.setattr(outbound, "EXCHANGE_SECONDS", 0.2)
    before = threading.active_count()

    with slow_servers.dripping(slow_servers.FRAMINGS["HTTP/1.0"], tls=tls) as wire:
        given_up(wire.url)

    assert threading.active_count() == before


def test_what_is_sent_is_a_form(tls):
    refusal = saying(b"HTTP/1.1 400 Bad\r\nContent-Length: 8\r\n\r\n" + JSON)

    with Wire(refusal, tls=tls) as wire, OutboundClient(company_id=OURS_ID) as client:
        answer = client.post_form(
            wire.url + "/token?x=1", {"code": "a b&ü"}, {"Authorization": "Basic eA=="}
        )

    [request] = wire.requests
    assert (answer.status, answer.json_object()) == (400, {"a": 1})
    assert request.startswith(b"POST /token?x=1 HTTP/1.1\r\n")
    assert b"Authorization: Basic eA==" in request
    assert f"Host: {wire.host}".encode() in request
    assert request.endswith(b"\r\n\r\ncode=a+b%26%C3%BC")


@pytest.mark.parametrize(
    "odd",
    [
        "NaN",
        "Infinity",
        "[" * 100_000,
        '{"a": ' + "9" * 5000 + "}",
        '"\\ud800"',
        "\x00",
        "\xff",
    ],
)
def test_odd_json_is_no_object(answering, odd):
    body = odd.encode("latin-1")

    with pytest.raises(OutboundError, match=r"is not (JSON|a JSON object)\."):
        get_json(answering(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)))


# What one company's host holds up


def test_a_company_has_a_share_and_no_more_and_others_have_theirs(monkeypatch):
    clients = [
        OutboundClient(company_id=OURS_ID) for _ in range(outbound.MOST_OF_A_COMPANY)
    ]
    for client in clients:
        client.__enter__()

    started_at = time.monotonic()
    with (
        pytest.raises(ShareInUse, match="Try again in a few seconds"),
        OutboundClient(company_id=OURS_ID),
    ):
        pass
    with OutboundClient(company_id=THEIRS_ID):
        pass
    for client in clients:
        client.__exit__()
    with OutboundClient(company_id=OURS_ID):
        pass

    assert time.monotonic() - started_at < 0.1


def test_all_companies_leave_threads_for_other_pages():
    clients = [
        OutboundClient(company_id=number) for number in range(outbound.MOST_IN_ALL)
    ]
    for client in clients:
        client.__enter__()

    with pytest.raises(ShareInUse), OutboundClient(company_id=THEIRS_ID + 100):
        pass

    for client in clients:
        client.__exit__()


def test_a_share_is_given_back_after_a_failure():
    for _ in range(outbound.MOST_OF_A_COMPANY + 1):
        with pytest.raises(OutboundError):
            get_json("https://127.0.0.1:9/")


def test_nothing_is_sent_outside_a_share(settings, listener):
    settings.OUTBOUND_TO_LOOPBACK = True

    with pytest.raises(OutboundError):
        OutboundClient(company_id=OURS_ID).get_json(
            f"http://127.0.0.1:{listener.getsockname()[1]}/"
        )

    listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        listener.accept()
