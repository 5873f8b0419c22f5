"""A company's list of leads while a member of another company asks for heavy pages as fast as they can.

Both are answered by the web server as it runs in production, one process with its usual threads.
"""

import http.client
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any, Final

from django.conf import settings
from django.core.management import call_command
from django.test import Client

from benchmarks import world
from benchmarks.report import Figure
from crm.models import Membership

CONNECTIONS: Final = 64
ROUNDS: Final = 2
REQUESTS: Final = 100  # in each round
PAUSE_SECONDS: Final = 0.05  # between two requests, as of several people who read
HEAVY: Final = "/deals/funnel/?period=last_12_months"
LIGHT: Final = "/leads/"


def list_next_to_flood(*, leads: int) -> Iterator[Figure]:
    """Measure the list of a company alone, and next to each kind of flood by another one."""
    settings.HTTPS = False
    for name, count in (("Noisy", leads), ("Quiet", 10_000)):
        sizes = {
            "leads": count,
            "deals": count // 5,
            "tasks": 0,
            "notes": 0,
            "duplicates": 0,
            "files": 0,
        }
        call_command(
            "make_crm",
            name=name,
            companies=1,
            history=True,
            anyway=True,
            stdout=StringIO(),
            **sizes,
        )
    with _web_server() as port:
        _warm_up(port)
        for name, path in (("heavy", HEAVY), ("light", LIGHT)):
            quiet: list[float] = []
            loaded: list[float] = []
            answers: dict[str, int] = {}
            for _ in range(ROUNDS):
                quiet += _times(port)
                with _flood(port, path, answers):
                    loaded += _times(port)
            ours, baseline = _p95(loaded), _p95(quiet)
            told = ", ".join(
                f"{number:,} times {status}"
                for status, number in sorted(answers.items())
            )
            detail = f"p95 of a list; another company's member has {CONNECTIONS} connections for {path}: {told}"
            yield Figure(
                f"list_next_to_{name}_p95_ms",
                round(ours, 1),
                round(baseline, 1),
                round(ours / baseline, 2),
                "ms",
                detail,
            )


@contextmanager
def _web_server() -> Iterator[int]:
    port = world.free_port()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--config",
        "leadmachine/gunicorn.py",
        "leadmachine.wsgi",
    ]
    with world.process(
        command,
        PORT=str(port),
        LEADMACHINE_EMBEDDED_WORKER="0",
        LINKEDIN_SANDBOX_PORT=str(port + 1),
    ):
        world.wait_for(lambda: _is_up(port), 60)
        yield port


def _is_up(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _cookie(company: str) -> str:
    member = Membership.objects.filter(
        company__name=f"{company} 1", role="sales"
    ).order_by("pk")[0]
    client = Client()
    client.force_login(member.user, backend=settings.AUTHENTICATION_BACKENDS[0])
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def _warm_up(port: int) -> None:
    """Let each thread connect to the database and load what the pages need: a flood reaches all of them."""
    for path in (HEAVY, LIGHT):
        with _flood(port, path, {}):
            _times(port, requests=20)


def _times(port: int, requests: int = REQUESTS) -> list[float]:
    """The times in milliseconds in which the quiet company gets its list."""
    connection, headers = (
        http.client.HTTPConnection("127.0.0.1", port, timeout=120),
        {"Cookie": _cookie("Quiet")},
    )
    times = []
    for _ in range(requests):
        started = time.perf_counter()
        connection.request("GET", LIGHT, headers=headers)
        response = connection.getresponse()
        response.read()
        times.append((time.perf_counter() - started) * 1000)
        assert response.status == 200, response.status
        time.sleep(PAUSE_SECONDS)
    return times


@contextmanager
def _flood(port: int, path: str, answers: dict[str, int]) -> Iterator[None]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.flood",
        str(port),
        _cookie("Noisy"),
        path,
        str(CONNECTIONS),
    ]
    flood: Any = subprocess.Popen(
        command,
        cwd=world.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        time.sleep(1)  # until all of it has begun
        yield
    finally:
        counted, _ = flood.communicate(timeout=60)
        for status, number in json.loads(counted).items():
            answers[status] = answers.get(status, 0) + number


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]
