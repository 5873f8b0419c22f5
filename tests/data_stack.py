"""Room for the frames of deep calls, which saves a tenth of the tests' CPU.

CPython keeps the frames of a thread in chunks of 16 KiB. A call whose frame doesn't fit maps a new chunk, and its
return unmaps it: a loop at just that depth does so each time round, and a request to Django has many loops at many
depths. Newer releases keep a chunk for the next call (https://github.com/python/cpython/issues/142183); 3.11 doesn't.
"""

import threading
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# Of 8 bytes. With its header this needs a chunk of 1 MiB, half of which is left for
# what follows.
SLOTS: Final = 1 << 16


def with_room(function: Callable[P, R]) -> Callable[P, R]:
    """The function, called from a frame so large that the frames of all that it calls fit in the same chunk."""

    def roomy(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    roomy.__code__ = roomy.__code__.replace(co_stacksize=SLOTS)
    return roomy


def give_room_to_threads() -> None:
    """Give it to each thread that starts from now on: those of a server that answer requests, above all."""
    run: Any = threading.Thread.run
    threading.Thread.run = with_room(run)  # type: ignore[method-assign]
