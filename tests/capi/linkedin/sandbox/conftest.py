import pytest

from capi.linkedin.sandbox.request_log import RequestLog
from capi.linkedin.sandbox.server import SandboxServer
from tests.capi.linkedin.sandbox.calling import Caller


@pytest.fixture
def sandbox(tmp_path):
    with SandboxServer(
        "127.0.0.1", 0, RequestLog(tmp_path / "ledger.jsonl"), hold_seconds=0.2
    ) as server:
        yield server


@pytest.fixture
def caller(sandbox):
    """A client with one connection, kept alive."""
    with Caller(sandbox.port) as caller:
        yield caller
