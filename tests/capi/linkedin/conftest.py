import pytest

from capi.linkedin.client import Client


@pytest.fixture
def client_for():
    """Makes clients for a URL; they are closed when the test ends."""
    clients = []

    def make(url, *, timeout=10):
        clients.append(
            Client(
                base_url=url, version="202609", timeout=timeout, connect_timeout=timeout
            )
        )
        return clients[-1]

    yield make
    for client in clients:
        client.close()
