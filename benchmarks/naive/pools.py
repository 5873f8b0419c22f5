"""How the recipe's workers run: with processes and with threads, and the better one counts."""


def pools(*, delay_ms: int = 0) -> tuple[tuple[str, ...], ...]:
    """The arguments of `celery worker` for each. As many processes as threads where LinkedIn takes its time."""
    return (("--concurrency", "20" if delay_ms else "4"), ("--pool", "threads", "--concurrency", "20"))
