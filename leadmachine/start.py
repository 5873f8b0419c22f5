"""What keeps a process from starting: the errors among the system checks, a line each."""

import sys

from django.core import checks


def refusals() -> list[str]:
    """One line per error: its id, what is wrong, and what to do. Warnings refuse nothing."""
    found = [message for message in checks.run_checks() if message.is_serious()]
    return [f"{message.id}: {message.msg} {message.hint or ''}".strip() for message in found]


def refuse_wrong_settings() -> None:
    """End this process, with a line for each error, unless the settings are right."""
    if wrong := refusals():
        sys.exit("\n".join(["LeadMachine does not start with these settings:", *wrong]))
