"""The version of LeadMachine. It is written in pyproject.toml alone."""

import platform
import tomllib
from pathlib import Path
from typing import Final

import django

PROJECT_FILE: Final = Path(__file__).resolve().parent.parent / "pyproject.toml"
VERSION: Final[str] = tomllib.loads(PROJECT_FILE.read_text())["project"]["version"]


def in_full() -> str:
    """Return the versions that a report of a problem needs, on one line."""
    return f"LeadMachine {VERSION}, Django {django.__version__}, Python {platform.python_version()}"
