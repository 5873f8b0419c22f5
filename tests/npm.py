"""Packages of npm that tests run: others' programs, which are no part of the product."""

import shutil
import subprocess
from pathlib import Path

import pytest


def install(folder: Path, *packages: str) -> Path:
    """Install the packages, each with the version that the test is written for. Returns the folder.

    Skips the test where there is no npm, or it reaches no registry.
    """
    if not shutil.which("npm"):
        pytest.skip("no npm")
    words = [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--silent",
        "--ignore-scripts",
        *packages,
    ]
    done = subprocess.run(
        words, cwd=folder, capture_output=True, timeout=300, check=False
    )
    if done.returncode:
        pytest.skip("npm reaches no registry")
    return folder
