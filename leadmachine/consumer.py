"""The part of a Celery worker that listens to the broker: for wake-ups, and for nothing else."""

from collections.abc import Mapping
from typing import Any, Final

from celery.worker import consumer

# What workers tell each other is of no use here, and each is one more connection that dies with the broker.
QUIET: Final = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Celery's, without gossip, mingle and heartbeats, however the worker is started."""

    def __init__(self, *args: Any, worker_options: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(*args, worker_options={**(worker_options or {}), **QUIET}, **options)
