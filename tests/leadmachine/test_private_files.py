"""What is kept in var/ is its owner's alone, whatever the umask is and whatever was there before."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from leadmachine.environment import VAR_DIR, private_folder


@pytest.fixture(autouse=True)
def _careless_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_may_enter_the_folder() -> None:
    assert mode(VAR_DIR) == 0o700


@pytest.mark.parametrize("was_there", [True, False])
def test_a_folder_is_closed_even_if_it_was_open(
    tmp_path: Path, was_there: bool
) -> None:
    folder = tmp_path / "var"
    if was_there:
        folder.mkdir(mode=0o777)

    private_folder(folder)

    assert mode(folder) == 0o700


def test_a_folder_that_cant_be_made_is_no_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert private_folder(tmp_path / "file" / "var") == tmp_path / "file" / "var"
