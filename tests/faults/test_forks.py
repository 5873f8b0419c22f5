"""The tool that forks web servers and workers: what it forks is in order, and what has other settings is started."""

import os

import psutil
import pytest
from cryptography.fernet import Fernet

from tests.faults.world import World

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


def is_forked(world, name: str) -> bool:
    return "tests.faults.forks" in psutil.Process(world.running[name].pid).cmdline()


def test_a_process_that_is_killed_as_soon_as_it_is_forked_ends(world) -> None:
    for _ in range(10):
        world.start_worker()

        pid = world.running["worker1"].pid
        # So that a signal reaches its children, and not what forked it.
        assert os.getpgid(pid) == pid
        world.kill("worker1")

        assert not psutil.pid_exists(pid)


def test_a_process_with_other_settings_is_started_and_reads_them(world) -> None:
    world.start_worker("worker1")
    world.start_worker("worker2", LOG_LEVEL="ERROR")
    world.environment["LOG_LEVEL"] = "ERROR"
    world.start_worker("worker3")

    for name in ("worker1", "worker2", "worker3"):
        world.wait_for_worker(name)
    assert [is_forked(world, name) for name in ("worker1", "worker2", "worker3")] == [
        True,
        False,
        False,
    ]
    assert "WARNING leadmachine.startup" in world.log("worker1")
    assert "WARNING leadmachine.startup" not in world.log("worker2") + world.log(
        "worker3"
    )


def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next(world) -> None:
    world.forks._server.stdin.write(
        '{"number": 0, "words": ["deliver"], "log": "/dev/null"}\n'
    )

    world.start_worker()

    world.wait_for_worker()
    # It is the worker, and not the delivery, which has ended.
    assert world.running["worker1"].poll() is None


def test_the_first_world_decides_no_setting_for_the_others(
    world, settings, tmp_path
) -> None:
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    surroundings = world._surroundings
    surroundings._forks.close()
    (tmp_path / "other").mkdir()

    with World(tmp_path / "other", surroundings) as other:
        assert other.forks.environment != other.environment

    assert other.forks.environment == world.environment


def test_a_forked_process_ends_with_its_own_exit_code(world) -> None:
    world.start("web", ["gunicorn", "--no-such-option"])

    assert world.running.pop("web").wait() == 2
    assert "unrecognized arguments: --no-such-option" in world.log("web")
