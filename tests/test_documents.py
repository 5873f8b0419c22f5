"""The documents name files, modules and functions that exist, and the floors as import-linter has them."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from leadmachine import housekeeping, timers

ROOT: Path = settings.BASE_DIR
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if path.name != "CHANGELOG.md"  # it tells of what was, by the names of its time
)  # fmt: skip
FOLDERS = ("benchmarks", "capi", "crm", "deploy", "docs", "leadmachine", "postgresql", "scripts", "static", "templates",
           "tests", ".ci")  # fmt: skip
NOT_OURS = {"kombu/transport/redis.py", "celery/worker/consumer", "crm.example.com"}
WRITTEN_BY_A_RUN = {"manifest.json", "summary.json", "tests/faults/failed_seeds.txt"}
NO_MODULES = re.compile(r"\w+\.[EW]\d{3}")  # system checks, such as capi.W106

CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
PATH = re.compile(
    r"\.?[\w-]+(?:/[\w.-]+)*(?:\.(?:py|md|html|css|js|json|txt|toml|yml|lock)|/[\w.-]*)"
)
DOTTED = re.compile(r"(?:benchmarks|capi|crm|leadmachine|postgresql|tests)(?:\.\w+)+")
FUNCTION = re.compile(r"`(\w+)\(\)`")
NAME = re.compile(r"`(\w+)`")


@cache
def files() -> frozenset[str]:
    """Every file of the folders above and of the root, by its path from there."""
    inside = (
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    )
    return frozenset(
        path.relative_to(ROOT).as_posix()
        for path in [*inside, *ROOT.glob("*")]
        if path.is_file()
    )


def prose(document: str) -> str:
    """The document without its fenced blocks, which hold commands and pictures."""
    return re.sub(
        r"^```.*?^```$",
        "",
        (ROOT / document).read_text(),
        flags=re.MULTILINE | re.DOTALL,
    )


def words(document: str) -> Iterator[str]:
    for code in CODE.findall(prose(document)):
        yield from (word.strip(",;") for word in code.split())


def exists(path: str) -> bool:
    """True for a path from the root, and for the end of a file's path, such as the name alone."""
    return (ROOT / path).exists() or any(file.endswith(f"/{path}") for file in files())


def is_importable(name: str) -> bool:
    """True for a module, and for something in one. A module is found without running it: some start a process."""
    module, _, attribute = name.rpartition(".")
    if find(name):
        return True
    return find(module) and hasattr(import_module(module), attribute)


def find(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def paragraphs(document: str) -> Iterator[tuple[str, str]]:
    """Each paragraph, point of a list or row of a table that names Python files, and the text of these files."""
    for paragraph in re.split(r"\n\n|\n(?=\d+\. |\||- )", prose(document)):
        paths = [
            path
            for path in CODE.findall(paragraph)
            if path.endswith(".py") and (ROOT / path).is_file()
        ]
        if paths:
            yield paragraph, "\n".join((ROOT / path).read_text() for path in paths)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_file_that_is_named_exists(document: str) -> None:
    paths = {word for word in words(document) if PATH.fullmatch(word)}
    named = {
        path
        for path in paths
        if path.startswith(tuple(f"{folder}/" for folder in FOLDERS)) or path[-1] != "/"
    }

    named -= NOT_OURS | WRITTEN_BY_A_RUN
    assert {
        path for path in named if not path.startswith("var/") and not exists(path)
    } == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_module_class_and_function_that_is_named_exists(document: str) -> None:
    named = {
        word
        for word in words(document)
        if DOTTED.fullmatch(word) and not NO_MODULES.fullmatch(word)
    }

    assert {
        name
        for name in named - NOT_OURS
        if not is_importable(name) and not exists(name)
    } == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_function_is_in_a_file_that_its_paragraph_names(document: str) -> None:
    missing = [
        name
        for paragraph, code in paragraphs(document)
        for name in FUNCTION.findall(paragraph)
        if not re.search(rf"\b(?:def|class) {name}\b", code)
    ]

    assert missing == []


def test_each_name_in_the_architecture_is_in_a_file_that_its_paragraph_names() -> None:
    missing = [
        name
        for paragraph, code in paragraphs("docs/architecture.md")
        for name in NAME.findall(paragraph)
        if not re.search(rf"\b{name}\b", code)
    ]

    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_link_leads_to_a_file_and_a_heading_of_it(document: str) -> None:
    folder = (ROOT / document).parent
    for target, anchor in LINK.findall(prose(document)):
        path = folder / target if target else ROOT / document
        assert path.exists(), target
        if anchor:
            assert anchor in set(anchors(path.read_text())), (target, anchor)


def anchors(text: str) -> Iterator[str]:
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def contracts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())[
        "tool"
    ]["importlinter"]["contracts"]
    return found


def floors(app: str) -> list[list[str]]:
    """The floors of the app from the top, each with its modules."""
    [layers] = [
        contract["layers"]
        for contract in contracts()
        if contract.get("containers") == [app]
    ]
    return [re.split(r" [:|] ", layer) for layer in layers]


def test_delivery_and_its_models_may_import_nothing_of_crm_but_models_and_jobs() -> (
    None
):
    [forbidden] = [
        contract["forbidden_modules"]
        for contract in contracts()
        if contract.get("source_modules") == ["capi.delivery", "capi.models"]
    ]

    others = [
        name
        for floor in floors("crm")
        for name in floor
        if name not in ("models", "jobs")
    ]
    assert sorted(forbidden) == sorted(f"crm.{name}" for name in others)


@pytest.mark.parametrize("app", ["capi", "crm"])
def test_the_floors_are_those_of_import_linter(app: str) -> None:
    picture = (
        (ROOT / "docs" / "architecture.md")
        .read_text()
        .partition(f"floors of {app}\n")[2]
        .partition("```")[0]
    )

    shown = [re.split(r" {2,}", line)[0].split(" · ") for line in picture.splitlines()]
    assert shown == floors(app)


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(
        r"^\| \[.+\]\((.+\.md)\)", (folder / "README.md").read_text(), re.MULTILINE
    )

    assert sorted([*listed, "README.md"]) == sorted(
        path.name for path in folder.glob("*.md")
    )


def test_the_architecture_names_each_timer_of_a_worker() -> None:
    both = (timers, housekeeping)
    there = {
        name
        for module in both
        for name, value in vars(module).items()
        if is_timer(value)
    }

    assert len(there) > 5
    assert there <= set(NAME.findall(prose("docs/architecture.md")))


def is_timer(value: object) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, timers.Repeating)
        and value is not timers.Repeating
    )
