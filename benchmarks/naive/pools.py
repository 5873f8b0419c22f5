"""The pools of the recipe's workers: processes and threads. The better result counts."""

from typing import Final

# As leadmachine.celery_transport configures our workers.
QUIET: Final = ("--without-gossip", "--without-mingle")


def pools(*, delay_ms: int = 0) -> tuple[tuple[str, ...], ...]:
    """Return the arguments of `celery worker` for each pool. If LinkedIn is slow, as many processes as threads."""
    processes = ("--concurrency", "20" if delay_ms else "4", *QUIET)
    return (processes, ("--pool", "threads", "--concurrency", "20", *QUIET))
