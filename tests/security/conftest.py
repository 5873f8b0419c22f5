"""Two companies side by side: ours, and the neighbour's, of which nobody of ours may see or change anything."""

import pytest

from tests.security.world import NEIGHBOURS_NUMBER, World, build


@pytest.fixture
def ours(db: None) -> World:
    return build("Kestrel", "7711")


@pytest.fixture
def theirs(db: None) -> World:
    return build("Plover", NEIGHBOURS_NUMBER)
