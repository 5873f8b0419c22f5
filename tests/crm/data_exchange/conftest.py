"""Fixtures of the tests of imports and exports."""

from typing import Any

import pytest


@pytest.fixture
def settings_of_limits(settings: Any) -> None:
    """As many exports and imports as the examples of a property need."""
    settings.EXPORTS_PER_MINUTE = settings.EXPORTS_PER_HOUR = 100_000
    settings.IMPORTS_PER_MINUTE = settings.IMPORTS_PER_HOUR = 100_000
