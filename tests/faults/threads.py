"""Runs something in many threads at once."""

import threading
from collections.abc import Callable

from django.db import connection as database


def in_threads(count: int, work: Callable[[int], object]) -> None:
    """Run `work(number)` in so many threads at once."""
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait()
        try:
            work(number)
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
