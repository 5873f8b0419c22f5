"""The wiring: settings, URLs, Celery and the processes. No rule of the product lives here."""

from leadmachine.celery import app as celery_app

__all__ = ["celery_app"]
