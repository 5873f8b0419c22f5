"""Deep calls of the tests cost no system calls."""

import resource
import threading

DEPTHS, CALLS = 300, 50


def call(depth: int) -> None:
    if depth:
        call(depth - 1)
    else:
        for _ in range(CALLS):
            len_of([])


def len_of(items: list[int]) -> int:
    return len(items)


def pages_mapped() -> int:
    """The pages of memory that this thread maps while it calls at each depth."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for depth in range(DEPTHS):
        call(depth)
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before


def test_a_loop_at_any_depth_maps_its_memory_once() -> None:
    assert pages_mapped() < CALLS


def test_in_a_thread_too() -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(pages_mapped()))

    thread.start()
    thread.join()

    assert found[0] < CALLS
