"""Arrows point one way: the contracts of import-linter in pyproject.toml hold. And nothing is used that isn't named."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from django.conf import settings

PROJECT = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())
OURS = ("leadmachine", "crm", "capi", "postgresql", "tests", "benchmarks")


def test_every_import_keeps_to_the_contracts(tmp_path) -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run(
        [lint_imports, "--cache-dir", tmp_path], cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_that_is_imported_is_named_in_pyproject() -> None:
    to_run = named(PROJECT["project"]["dependencies"])
    to_develop = to_run | named(PROJECT["dependency-groups"]["dev"])

    assert distributions_used_by("leadmachine", "crm", "capi", "postgresql") - to_run == set()
    assert distributions_used_by("tests", "benchmarks") - to_develop == set()


def named(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[><=]", requirement)[0] for requirement in requirements}


def distributions_used_by(*folders: str) -> set[str]:
    """What must be installed for the imports in these folders, by its name on the package index."""
    paths = [path for folder in folders for path in (settings.BASE_DIR / folder).rglob("*.py")]
    modules = {module for path in paths for module in imported(path)} - {*sys.stdlib_module_names, *OURS}
    distributions = packages_distributions()
    return {name.lower() for module in modules for name in distributions[module]}


def imported(path: Path) -> Iterator[str]:
    """The first word of each import in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
