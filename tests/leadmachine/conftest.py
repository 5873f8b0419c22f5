"""An empty database beside that of the tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from tests.faults.installation import create_database, drop_database


@pytest.fixture
def elsewhere() -> Iterator[Callable[[], Any]]:
    """The context in which Django uses a database that is empty at first."""
    url = create_database()
    name = urlsplit(url).path.strip("/")

    @contextmanager
    def using_it() -> Iterator[None]:
        before = connection.settings_dict["NAME"]
        connection.close()
        connection.settings_dict["NAME"] = name
        try:
            yield
        finally:
            connection.close()
            connection.settings_dict["NAME"] = before

    yield using_it
    drop_database(url)
