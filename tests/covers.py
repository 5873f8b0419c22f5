"""Which test covers which fault of docs/reliability.md: `@pytest.mark.covers("F57")`.

A pytest plugin (`-p tests.covers` in pyproject.toml). `python -m pytest --covers` lists the tests of each code and the
command that runs them, runs none of them, and fails if a fault has no test, a test that docs/asvs.md names doesn't
exist, or `make check` would run a test only in part. `-k F57` selects those of one code.
"""

import inspect
import re
from collections import defaultdict
from pathlib import Path

import pytest

STANDARD = Path(__file__).parent.parent / "docs" / "asvs.md"
FAULTS = [f"F{number:02}" for number in range(1, 79)]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--covers",
        action="store_true",
        help="list the tests that cover each code, and run none",
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    item.extra_keyword_matches.update(codes_of(item))


def codes_of(item: pytest.Item) -> set[str]:
    return {code for marker in item.iter_markers("covers") for code in marker.args}


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if not session.config.getoption("covers"):
        return None
    lines = lines_of(session.items)
    for code, names in sorted(lines.items()):
        print(f"\n{code}", *names, sep="\n    ")
    if missing := [code for code in FAULTS if code not in lines]:
        pytest.exit(f"No test covers {', '.join(missing)}.", returncode=1)
    if missing := named_in_vain(STANDARD.read_text(), session.items):
        pytest.exit(
            f"{STANDARD.name} names tests that there are not: {', '.join(missing)}.",
            returncode=1,
        )
    if missing := done_in_part(session.items):
        pytest.exit(
            f"Done at a small size in make test, and marked `sized` nowhere: {', '.join(missing)}.",
            returncode=1,
        )
    return True


def done_in_part(items: list[pytest.Item]) -> list[str]:
    """The representative tests that `make check` would run only at a small size."""
    chosen = [item for item in items if item.get_closest_marker("representative")]
    whole = [item for item in chosen if not item.get_closest_marker("sized")]
    return sorted(
        {item.nodeid.partition("[")[0] for item in whole if _has_a_size(item)}
    )


def _has_a_size(item: pytest.Item) -> bool:
    in_rounds = "rounds(" in inspect.getsource(item.function)
    return (
        in_rounds
        or re.search(r"\bsized(_sample)?\(", inspect.getsource(item.module)) is not None
    )


def named_in_vain(text: str, items: list[pytest.Item]) -> list[str]:
    """The tests, `tests/….py` or `tests/….py::test_…`, that a document names but that were not collected."""
    names = {
        name
        for item in items
        for name in (item.nodeid.partition("::")[0], item.nodeid.partition("[")[0])
    }
    return sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", text)) - names)


def lines_of(items: list[pytest.Item]) -> dict[str, list[str]]:
    """For each code its tests with the command that runs them. A test with parameters is listed once."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for item in items:
        for code in codes_of(item):
            found[code][f"{command_of(item):18} {item.nodeid.partition('[')[0]}"] = None
    return {code: list(names) for code, names in found.items()}


def command_of(item: pytest.Item) -> str:
    if item.get_closest_marker("long"):
        return "make chaos LONG=1"
    is_one_of_many = item.get_closest_marker("faults") and not item.get_closest_marker(
        "representative"
    )
    if is_one_of_many or item.get_closest_marker("thorough"):
        return "make faults"
    return "make test"
