"""The import contracts of pyproject.toml refuse what they are there for: a contract that can't fail is none."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

PACKAGES = ("leadmachine", "capi", "crm", "postgresql")
# A forbidden import, the module that makes it, and words from the name of the contract that it breaks.
FORBIDDEN = [
    ("capi/models/event.py", "import leadmachine.checks", "leadmachine is the wiring"),
    ("crm/services/audit.py", "import capi.models", "crm knows neither"),
    ("capi/delivery/lane.py", "import capi.selectors.events", "the floors of capi"),
    ("capi/linkedin/answers.py", "import capi.models", "the floors of capi"),
    ("crm/models/lead.py", "import crm.services.audit", "the floors of crm"),
    (
        "crm/data_exchange/importing/work.py",
        "import crm.data_exchange.exporting.cells",
        "imports and exports",
    ),
    (
        "capi/delivery/backoff.py",
        "import capi.delivery.outcomes",
        "no circle of modules",
    ),
    (
        "capi/delivery/settle.py",
        "import crm.services.erasure",
        "know crm by its models and jobs",
    ),
    (
        "capi/linkedin/payload.py",
        "import django.utils.timezone",
        "linkedin is plain Python",
    ),
    (
        "capi/linkedin/sandbox/validation.py",
        "import capi.linkedin.payload",
        "the sandbox shares nothing",
    ),
]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the packages and of their contracts."""
    for package in PACKAGES:
        shutil.copytree(
            settings.BASE_DIR / package,
            tmp_path / package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    shutil.copy(settings.BASE_DIR / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> str:
    """What lint-imports prints of the broken contracts; nothing where it passes."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout.partition("Broken contracts")[2] if done.returncode else ""


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    FORBIDDEN,
    ids=lambda value: value.removeprefix("import "),
)
def test_a_forbidden_import_is_refused(
    house: Path, module: str, line: str, contract: str
) -> None:
    path = house / module
    path.write_text(f"{path.read_text()}\n{line}\n")

    assert contract in lint(house)


@pytest.mark.parametrize("app", ["capi", "crm"])
def test_a_module_on_no_floor_is_refused(house: Path, app: str) -> None:
    (house / app / "helpers.py").write_text("")

    assert f"{app}.helpers" in lint(house)


def test_an_import_inside_a_function_counts_like_any_other(house: Path) -> None:
    path = house / "capi/delivery/lane.py"
    path.write_text(
        f"{path.read_text()}\n\ndef late() -> None:\n    import capi.services.events\n"
    )

    assert "the floors of capi" in lint(house)
