"""Deep calls of the tests cost no system calls."""

import resource
import threading

from tests.data_stack import with_room

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
    """The pages of memory that a new thread maps while it calls at each depth."""
    found = []

    def count() -> None:
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        for depth in range(DEPTHS):
            call(depth)
        found.append(resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)

    thread = threading.Thread(target=with_room(count))
    thread.start()
    thread.join()
    return found[0]


def test_a_loop_at_any_depth_maps_its_memory_once() -> None:
    assert pages_mapped() < CALLS
