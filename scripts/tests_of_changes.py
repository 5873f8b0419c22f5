"""The test files that `make quick` runs for a change: those that changed, and those that import a changed module or
have its name. If there are none, or too many import it, those of its folder.

The changed files are those that differ from the last commit or, if none do, those that it changed. Prints nothing if
they have no tests: all tests are then run. With arguments, those are the tests.

Few tests run in one process: pytest-xdist needs 10 s to start workers, each with a PostgreSQL and a Valkey of its own.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MANY = 25  # test files, which take some ten seconds
FEW = 100  # test functions


def main() -> None:
    found = sys.argv[1:] or tests_of_changes()
    options = ["--numprocesses=0"] if 0 < functions_in(found) <= FEW else []
    print(*options, *found)


def tests_of_changes() -> list[str]:
    tests = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    found = {path for name in changed() for path in tests_of(name, tests)}
    return sorted(str(path.relative_to(ROOT)) for path in found)


def functions_in(tests: list[str]) -> int:
    """Return how many test functions these files, folders and ids have; of an id, those of its file."""
    paths = [ROOT / test.partition("::")[0] for test in tests]
    files = [
        file
        for path in paths
        for file in ([path] if path.is_file() else path.rglob("test_*.py"))
    ]
    return sum(
        len(re.findall(r"^ *def test_", file.read_text(), re.MULTILINE))
        for file in files
    )


def changed() -> list[str]:
    now = [
        *_git("diff", "--name-only", "HEAD"),
        *_git("ls-files", "--others", "--exclude-standard"),
    ]
    return now or _git("diff", "--name-only", "HEAD~1", "HEAD")


def tests_of(name: str, tests: dict[Path, str]) -> set[Path]:
    """Return the test files for a changed file."""
    path = ROOT / name
    if path in tests:
        return {path}
    package, _, module = (
        name.removesuffix(".py")
        .removesuffix("/__init__")
        .replace("/", ".")
        .rpartition(".")
    )
    if path.suffix != ".py" or not package:
        return set()
    whole = re.escape(f"{package}.{module}")
    importing = re.compile(
        rf"^(?:(?:from|import) {whole}\b|from {re.escape(package)} import [^#\n]*\b{module}\b)",
        re.MULTILINE,
    )
    app = ROOT / "tests" / package.partition(".")[0]
    named = {test for test in tests if module in test.stem and test.is_relative_to(app)}
    users = {test for test, text in tests.items() if importing.search(text)}
    if named or 0 < len(users) <= MANY:
        return named | (users if len(users) <= MANY else set())
    return {
        test
        for test in tests
        if test.parent == ROOT / "tests" / package.replace(".", "/")
    }


def _git(*words: str) -> list[str]:
    done = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


if __name__ == "__main__":
    main()
