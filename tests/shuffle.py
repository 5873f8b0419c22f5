"""A pytest plugin: `python -m pytest -p tests.shuffle --shuffle 7` runs the tests in an order that no one chose.

A test that needs what another left behind fails then; the same number repeats the order.
"""

import random

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", type=int, default=0, metavar="SEED", help="the seed of the order")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    random.Random(config.getoption("shuffle")).shuffle(items)
