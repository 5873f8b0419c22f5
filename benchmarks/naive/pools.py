"""How the recipe's workers run: with processes and with threads, and the better one counts."""

from typing import Final

QUIET: Final = ("--without-gossip", "--without-mingle")  # as leadmachine.celery_transport has it for our workers


def pools(*, delay_ms: int = 0) -> tuple[tuple[str, ...], ...]:
    """The arguments of `celery worker` for each. As many processes as threads where LinkedIn takes its time."""
    processes = ("--concurrency", "20" if delay_ms else "4", *QUIET)
    return (processes, ("--pool", "threads", "--concurrency", "20", *QUIET))
