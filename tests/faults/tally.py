"""A pytest plugin that prints at the end what was done to the product, in all of xdist's workers."""

from typing import Any

import pytest

from tests.faults import figures


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tally"] = dict(figures.TALLY)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    figures.TALLY.update(getattr(node, "workeroutput", {}).get("tally", {}))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if figures.TALLY:
        terminalreporter.write_line(figures.told())
