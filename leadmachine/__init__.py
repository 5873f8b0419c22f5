"""The wiring: settings, URLs, Celery and processes. It contains no business logic."""

import gc

# Disabled until the applications are loaded (`apps.py`), because imported objects stay. With garbage collection,
# `import leadmachine.wsgi` took 1.45 s of CPU instead of 0.83.
gc.disable()

from leadmachine.celery import app as celery_app  # noqa: E402

__all__ = ["celery_app"]
