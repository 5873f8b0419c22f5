"""The wiring: settings, URLs, Celery and processes. It contains no business logic."""

from leadmachine.celery import app as celery_app

__all__ = ["celery_app"]
