"""The sandbox's port, with real web servers: taken by a stranger, and handed on when its process goes."""

import os
import signal
import subprocess
from collections.abc import Iterator

import psutil
import pytest
from django.conf import settings as product

from capi.delivery import own_sandbox
from tests.capi.delivery.test_own_sandbox import Stranger, use
from tests.faults.processes import PATH, Processes, command, free_port, wait_for

pytestmark = pytest.mark.processes


@pytest.fixture
def web(tmp_path, settings) -> Iterator[Processes]:
    """A web server as `make run` starts it, with two processes."""
    use(settings, free_port())
    settings.LINKEDIN_SANDBOX_LEDGER = tmp_path / "ledger.jsonl"
    web = Processes(
        tmp_path,
        port=free_port(),
        DEBUG="on",
        SECRET_KEY=settings.SECRET_KEY,
        DATABASE_URL=os.environ["DATABASE_URL"],
        REDIS_URL="",
        LEADMACHINE_EMBEDDED_WORKER="off",
        LINKEDIN_SANDBOX="on",
        LINKEDIN_SANDBOX_PORT=str(settings.LINKEDIN_SANDBOX_PORT),
        LINKEDIN_SANDBOX_LEDGER=str(settings.LINKEDIN_SANDBOX_LEDGER),
        LINKEDIN_API_URL=settings.LINKEDIN_API_URL,
        WEB_CONCURRENCY="2",
    )
    web.start("web", command("web"))
    wait_for(
        lambda: owner(web) and own_sandbox.proves_itself(),
        seconds=30,
        told="the sandbox listens",
    )
    yield web
    print(web.logs())
    web.stop()


def owner(web: Processes) -> psutil.Process | None:
    """The process that listens on the sandbox's port."""
    for process in web.children("web"):
        try:
            ports = [
                line.laddr.port
                for line in process.net_connections("tcp")
                if line.status == psutil.CONN_LISTEN
            ]
        except psutil.NoSuchProcess:
            continue
        if product.LINKEDIN_SANDBOX_PORT in ports:
            return process
    return None


def test_a_web_server_does_not_start_where_a_stranger_has_the_sandboxs_port(
    tmp_path,
) -> None:
    with Stranger() as stranger:
        environment = {
            "PATH": PATH, "DATABASE_URL": os.environ["DATABASE_URL"], "DEBUG": "on",
            "PORT": str(free_port()), "LINKEDIN_SANDBOX": "on", "LINKEDIN_SANDBOX_PORT": str(stranger.server_port),
        }  # fmt: skip

        done = subprocess.run(
            command("web"),
            env=environment,
            cwd=product.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert done.returncode == 1
    # After the line with the version.
    assert (
        done.stderr.partition("the web server starts.\n")[2]
        == own_sandbox.STRANGER.format(
            host="127.0.0.1",
            port=stranger.server_port,
            other=stranger.server_port + 100,
        )
        + "\n"
    )
    stranger.assert_was_told_nothing()


@pytest.mark.thorough
def test_another_process_becomes_the_sandbox_when_the_first_is_killed(web) -> None:
    first = owner(web)
    assert first is not None

    first.kill()

    wait_for(
        lambda: owner(web) not in (None, first),
        seconds=20,
        told="another process has the port",
    )
    wait_for(own_sandbox.proves_itself, seconds=10, told="it is our sandbox")


@pytest.mark.thorough
def test_the_sandbox_outlives_a_reload(web) -> None:
    before = {process.pid for process in web.children("web")}

    os.kill(web.running["web"].pid, signal.SIGHUP)

    wait_for(
        lambda: before.isdisjoint(process.pid for process in web.children("web")),
        seconds=30,
        told="all are new",
    )
    wait_for(
        lambda: owner(web) and own_sandbox.proves_itself(),
        seconds=10,
        told="a new one is the sandbox",
    )
