"""Two companies side by side: ours, and the neighbour's, in which no one of ours may see or change anything.

They are made once for each module. Each test begins with them as they were made: its transaction is rolled back.
"""

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.security.world import NEIGHBOURS_NUMBER, World, build

Both = tuple[World, World]


@pytest.fixture(scope="module")
def made(made_once: Any) -> tuple[Both, Path]:
    with made_once() as files:
        return (build("Kestrel", "7711"), build("Plover", NEIGHBOURS_NUMBER)), files


@pytest.fixture
def both(made: tuple[Both, Path], db: None, own_folder: Path) -> Both:
    """Copies for this test alone, which may change both the objects in memory and the files."""
    worlds, files = made
    shutil.copytree(files, own_folder / "files")
    return deepcopy(worlds)


@pytest.fixture
def ours(both: Both) -> World:
    return both[0]


@pytest.fixture
def theirs(both: Both) -> World:
    return both[1]
