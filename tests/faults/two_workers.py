"""Two workers that have to stay the same processes, and go on receiving wake-ups."""

from typing import Any

from tests.faults.processes import wait_for

WORKERS = ("worker1", "worker2")


def start_two_workers(world: Any) -> dict[str, int]:
    """Start both, and return their process ids once they are ready."""
    for name in WORKERS:
        world.start_worker(name)
    for name in WORKERS:
        world.wait_for_worker(name)
    return {name: world.running[name].pid for name in WORKERS}


def assert_all_run(world: Any, before: dict[str, int]) -> None:
    """Assert that both are still the same processes."""
    ended = {name: world.running[name].poll() for name in before}
    assert ended == dict.fromkeys(before), "a worker has ended"
    assert {name: world.running[name].pid for name in before} == before


def wait_until_each_hears(world: Any, company: Any, *, seconds: float) -> None:
    """Wait until each worker has handled a wake-up that is queued from now on."""
    ids: list[str] = []

    def all_heard() -> bool:
        ids.extend(world.queue_wake_ups(company, 2))
        logs = [world.log(name) for name in WORKERS]
        return all(
            any(f"[{wake_up}] succeeded" in log for wake_up in ids) for log in logs
        )

    wait_for(
        all_heard, seconds=seconds, told="both workers hear new wake-ups", every=0.2
    )
