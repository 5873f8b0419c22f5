"""S51: what people enter leads only to the public internet, and not for long."""

import socket
import threading
from ipaddress import ip_address

import pytest
import requests

from crm.services import outbound
from crm.services.outbound import GuardedSession, get_json, is_public

pytestmark = pytest.mark.covers("S51")


@pytest.fixture(autouse=True)
def _as_in_production(settings):
    settings.OUTBOUND_TO_LOOPBACK = False


OURS = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "239.1.1.1", "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:10.0.0.1",
    "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001:0:a00:1::",
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
            return real("8.8.8.8", port, *args, **kwargs) + real("127.0.0.1", port, *args, **kwargs)
        return real("127.0.0.1" if host == "example.com" else host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.mark.usefixtures("_names")
@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "example.com", "mixed.example"])
def test_nothing_connects_to_this_machine_whatever_it_is_called(listener, host):
    with pytest.raises(requests.RequestException):
        get_json(f"https://{host}:{listener.getsockname()[1]}/")

    listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("url", ["http://example.com/", "http://127.0.0.1/", "file:///etc/passwd", "ftp://x/", "x"])
def test_nothing_but_https(url):
    with pytest.raises(requests.RequestException):
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
    with pytest.raises(requests.RequestException):
        get_json(answering(answer))


@pytest.mark.parametrize("part", [b"HTTP/1.1 200 OK\r\n", HEAD + b"Content-Length: 100\r\n\r\n{"])
def test_an_answer_that_never_ends_is_cut_off(answering, monkeypatch, part):
    monkeypatch.setattr(outbound, "EXCHANGE_SECONDS", 0.2)

    with pytest.raises(requests.RequestException):
        get_json(answering(part))


def test_a_name_server_that_never_answers_holds_nobody_up(monkeypatch):
    answer = threading.Event()
    monkeypatch.setattr(outbound, "TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answer.wait(60))

    with pytest.raises(requests.RequestException):
        get_json("https://example.com/")

    assert not answer.is_set()
    answer.set()


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", ".example", "xn--é.example"])
def test_a_name_that_no_host_can_have_is_a_failed_request(host):
    with pytest.raises(requests.RequestException):
        get_json(f"https://{host}/")


def test_no_proxy_of_the_environment_is_used(answering, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    with GuardedSession() as session:
        response = session.get(answering(HEAD + b"Content-Length: 2\r\n\r\n{}"))

    assert response.json() == {}


def test_hosts_that_take_their_time_keep_only_a_few_threads(monkeypatch):
    monkeypatch.setattr(outbound, "TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(outbound, "_slots", threading.BoundedSemaphore(1))

    with outbound._slots, pytest.raises(requests.ConnectionError, match="Too many"):
        get_json("https://example.com/")
    with GuardedSession() as session, pytest.raises(requests.RequestException):
        session.get("https://127.0.0.1:9/")

    assert outbound._slots.acquire(blocking=False)  # given back after a failure
