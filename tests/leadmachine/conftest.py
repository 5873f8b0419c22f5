"""An empty database beside that of the tests."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from leadmachine.upgrades.rehearsing import using
from tests.faults.installation import create_database, drop_database


@pytest.fixture
def elsewhere() -> Iterator[Callable[[], Any]]:
    """The context in which Django uses a database that is empty at first."""
    url = create_database()
    yield partial(using, urlsplit(url).path.strip("/"))
    drop_database(url)
