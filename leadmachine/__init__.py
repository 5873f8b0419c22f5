"""The wiring: settings, URLs, Celery and processes. It contains no business logic."""

import gc

# For every process, before it imports the rest: with Python's 700 objects, garbage collection is a seventh of the start
# of a web server, and a quarter of a migrate from nothing.
gc.set_threshold(50_000, 20, 20)

from leadmachine.celery import app as celery_app  # noqa: E402

__all__ = ["celery_app"]
