"""How much memory a worker may use: after answers of many megabytes (F31), and over many rounds (F64)."""

import gzip
import random
from pathlib import Path

import pytest

from capi.models import ConversionEvent
from tests.faults import figures
from tests.faults.proxy import BLACK_HOLE, REFUSE
from tests.faults.world import ABOUT_BROKER, Allowed, make_leads

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

MEGABYTE = 1024 * 1024
MORE_AT_MOST = 20 * MEGABYTE
MIXED = "x\0é" * 70_000
# A file of several parts: 10 MB each, once unpacked.
BOMB = gzip.compress(bytes(10 * MEGABYTE)) * 100


def as_body(content: bytes) -> str:
    """Bytes that are not text, in the form that a scripted answer needs."""
    return content.decode(errors="surrogateescape")


ANSWERS = {
    "10 MB": {"status": 200, "body": "x" * 10 * MEGABYTE},
    "10 MB that are announced as packed": {
        "status": 200, "body": "x" * 10 * MEGABYTE, "headers": {"Content-Encoding": "gzip"},
    },
    "10 MB without a length": {
        "status": 200, "body": "x" * 10 * MEGABYTE, "headers": {"Transfer-Encoding": "chunked"},
    },
    "200 KB with NULs": {"status": 200, "body": MIXED},
    "200 KB of broken UTF-8": {"status": 200, "body": as_body(b"x\xff\xc3" * 70_000)},
    "1 GB of zeros in 1 MB": {"status": 200, "body": as_body(BOMB), "headers": {"Content-Encoding": "gzip"}},
}  # fmt: skip


def memory(world, name: str, of: str) -> int:
    """What a process of ours has in memory now ("VmRSS"), or had at most ("VmHWM"), in bytes."""
    status = Path(f"/proc/{world.running[name].pid}/status").read_text()
    return 1024 * next(
        int(line.split()[1]) for line in status.splitlines() if line.startswith(of)
    )


def start_measured(world) -> None:
    """Start a worker that does all its work in the process that is measured."""
    world.start_worker("worker1", "--pool", "solo")
    world.wait_for_worker("worker1")


@pytest.mark.covers("F31")
def test_answers_of_many_megabytes_make_no_worker_heavy_and_are_unknown(world) -> None:
    company = world.connect()
    start_measured(world)
    make_leads(company, 50)
    world.wait_for_the_end()
    before = memory(world, "worker1", "VmRSS")
    for number, (name, answer) in enumerate(ANSWERS.items(), 1):
        world.ledger.script(answer)
        make_leads(company, 50, start=50 * number)
        world.wait_for_the_end()
        figures.count_kind("kinds of faulty answers", name)

    assert memory(world, "worker1", "VmHWM") - before <= MORE_AT_MOST
    assert ConversionEvent.objects.filter(
        state="accepted", attempts=2
    ).count() == 50 * len(ANSWERS)
    assert world.broken() == []


@pytest.mark.long
@pytest.mark.skipif(
    not figures.LONG, reason="takes minutes: a part of the run before a release"
)
@pytest.mark.covers("F64")
def test_a_worker_in_a_long_soak_of_random_faults_grows_no_heavier(world) -> None:
    company = world.connect()
    start_measured(world)
    weights, hidden = [], 0
    with figures.chance(figures.SEED) as chance:
        for number in range(300):
            hidden += hurt(world, chance)
            make_leads(company, 1_000, start=1_000 * number)
            world.wait_for_the_end(seconds=30)
            world.broker.up()
            weights.append(memory(world, "worker1", "VmRSS"))

    growth = weights[-1] - weights[100]
    assert growth <= MORE_AT_MOST
    assert world.broken(Allowed(hidden_answers=hidden), explained=ABOUT_BROKER) == []
    figures.count("MB of growth in a soak", growth // MEGABYTE)
    figures.count("events in a soak", 1_000 * len(weights))


def hurt(world, chance: random.Random) -> int:
    """Make one thing go wrong, or nothing. Returns how many answers that may hide."""
    choice = chance.randrange(6)
    if choice == 0:
        world.broker.trouble = chance.choice([REFUSE, BLACK_HOLE])
        world.broker.reset()
    elif choice == 1:
        world.broker.reset()
    elif choice == 2:
        world.ledger.script(
            {"status": chance.choice([500, 503, 429]), "body": "<html>" * 10_000}
        )
    elif choice == 3:
        world.ledger.script({"cut_after": chance.randrange(5, 60)})
        return 1
    return 0
