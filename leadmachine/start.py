"""What keeps a process from starting: the errors among the system checks, a line each. And what it warns of."""

import logging
import sys

from django.core import checks

logger = logging.getLogger(__name__)


def refusals() -> list[str]:
    """One line per error: its id, what is wrong, and what to do. Warnings refuse nothing."""
    asked = [*checks.run_checks(), *checks.run_checks(tags=[checks.Tags.database], databases=["default"])]
    return [_line(message) for message in asked if message.is_serious()]


def refuse_wrong_settings() -> None:
    """End this process, with a line for each error, unless the settings are right."""
    if wrong := refusals():
        sys.exit("\n".join(["LeadMachine does not start with these settings:", *wrong]))


def log_warnings() -> None:
    """Log a line for each warning. For processes that, unlike gunicorn, don't run Django's own check command."""
    for message in checks.run_checks():
        if not message.is_serious():
            logger.warning("%s", _line(message))


def _line(message: checks.CheckMessage) -> str:
    return f"{message.id}: {message.msg} {message.hint or ''}".strip()
