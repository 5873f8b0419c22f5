"""What a connection is opened with, so that both kernels notice when the other end has gone."""

import socket

import psycopg
import pytest
from django.db import connection

from postgresql.bounds import options
from tests.faults.proxy import Proxy
from tests.faults.servers import OURS, Database

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def proxy():
    proxy = Proxy(Database().address)
    yield proxy
    proxy.down()


def test_our_kernel_asks_an_idle_connection_and_waits_for_no_acknowledgement_for_ever(
    proxy,
) -> None:
    with connect(proxy) as line, socket.socket(fileno=line.fileno()) as ours:
        found = [
            ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
            ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
            ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
            ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
        ]
        ours.detach()

    assert found == [1, 15, 5, 3, 20_000]


def test_the_server_is_asked_to_do_the_same_for_this_session_and_to_end_it_in_mid_transaction(
    proxy,
) -> None:
    with connect(proxy) as line:
        asked = line.execute(
            "SELECT name FROM pg_settings WHERE source = 'client' AND (name ~ '^tcp_' OR name ~ '^idle_') ORDER BY name"
        ).fetchall()
        [idle] = line.execute(
            "SHOW idle_in_transaction_session_timeout"
        ).fetchone() or [None]

    assert [name for (name,) in asked] == [
        "idle_in_transaction_session_timeout",
        "tcp_keepalives_count",
        "tcp_keepalives_idle",
        "tcp_keepalives_interval",
        "tcp_user_timeout",
    ]
    assert idle == "1min"


def test_postgresql_plans_as_if_random_reads_were_cheap() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setting, source FROM pg_settings WHERE name = 'random_page_cost'"
        )
        assert cursor.fetchone() == ("1.1", "client")


def test_nobody_waits_for_a_connection_for_more_than_five_seconds() -> None:
    assert connection.settings_dict["OPTIONS"]["connect_timeout"] == 5


def test_what_the_address_of_the_database_says_wins(proxy) -> None:
    given = {
        "connect_timeout": 30,
        "tcp_user_timeout": 1,
        "options": "-c tcp_user_timeout=2 -c work_mem=8MB",
    }

    made = options(given, idle_seconds=60)

    assert (made["connect_timeout"], made["tcp_user_timeout"]) == (30, 1)
    # If two set the same, the server takes the last.
    assert made["options"].endswith(given["options"])


def connect(proxy: Proxy) -> psycopg.Connection:
    params = {
        **connection.get_connection_params(),
        "host": "127.0.0.1",
        "port": proxy.port,
        "application_name": OURS,
    }
    return psycopg.connect(**params)
