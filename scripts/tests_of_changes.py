"""The test files that `make quick` runs for a change: those that changed, and those that import a changed module or
have its name. If there are none, or too many import it, those of its folder.

The changed files are those that differ from the last commit or, if none do, those that it changed. Prints nothing if
they have no tests: all tests are then run.
"""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MANY = 25  # test files, which take some ten seconds


def main() -> None:
    tests = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    found = {path for name in changed() for path in tests_of(name, tests)}
    print(*sorted(str(path.relative_to(ROOT)) for path in found))


def changed() -> list[str]:
    now = [*_git("diff", "--name-only", "HEAD"), *_git("ls-files", "--others", "--exclude-standard")]
    return now or _git("diff", "--name-only", "HEAD~1", "HEAD")


def tests_of(name: str, tests: dict[Path, str]) -> set[Path]:
    """Return the test files for a changed file."""
    path = ROOT / name
    if path in tests:
        return {path}
    package, _, module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".").rpartition(".")
    if path.suffix != ".py" or not package:
        return set()
    whole = re.escape(f"{package}.{module}")
    importing = re.compile(
        rf"^(?:(?:from|import) {whole}\b|from {re.escape(package)} import [^#\n]*\b{module}\b)", re.MULTILINE
    )
    app = ROOT / "tests" / package.partition(".")[0]
    named = {test for test in tests if module in test.stem and test.is_relative_to(app)}
    users = {test for test, text in tests.items() if importing.search(text)}
    if named or 0 < len(users) <= MANY:
        return named | (users if len(users) <= MANY else set())
    return {test for test in tests if test.parent == ROOT / "tests" / package.replace(".", "/")}


def _git(*words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


if __name__ == "__main__":
    main()
