"""A world to break, and small durations. In chaos runs the tally is kept in a file, too."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import figures
from tests.faults.ledger import LinkedIn
from tests.faults.servers import Broker
from tests.faults.world import SMALL, Surroundings, World


def pytest_runtest_logfinish() -> None:
    """Write the tally after each test of this folder, so a run that is stopped leaves its figures."""
    _keep_tally()


def pytest_sessionfinish() -> None:
    """For the tests of other folders, which don't call the hook above."""
    _keep_tally()


def _keep_tally() -> None:
    if path := os.environ.get("CHAOS_TALLY"):
        figures.keep(Path(path))


@pytest.fixture(scope="session")
def linkedin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LinkedIn]:
    """LinkedIn's end, in its own process. (The process tests have their own `linkedin`, inside the test process.)"""
    linkedin = LinkedIn(tmp_path_factory.mktemp("linkedin"))
    yield linkedin
    linkedin.stop()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    broker = Broker()
    yield broker
    broker.thaw()
    broker.kill()


@pytest.fixture
def small(settings: Any) -> None:
    """The small durations, in this process too."""
    for name, value in SMALL.items():
        setattr(settings, name, value)


@pytest.fixture(scope="session")
def surroundings(
    django_db_setup: None,
    linkedin: LinkedIn,
    broker: Broker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Surroundings]:
    surroundings = Surroundings(
        tmp_path_factory.mktemp("surroundings"), linkedin, broker
    )
    yield surroundings
    surroundings.close()


@pytest.fixture
def world(
    transactional_db: None, small: None, tmp_path: Any, request: pytest.FixtureRequest
) -> Iterator[World]:
    with World(tmp_path, request.getfixturevalue("surroundings")) as world:
        yield world
