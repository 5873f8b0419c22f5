"""The test files that a change needs, for `make quick`: those that changed, and those that import a changed module or
have its name. Where none does, or very many import it, those of its folder.

Changed is what differs from the last commit; where nothing does, what that commit changed. Prints nothing where no test
belongs to it: then all are run.
"""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MANY = 25  # files of tests, some ten seconds of them


def main() -> None:
    tests = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    found = {path for name in changed() for path in tests_of(name, tests)}
    print(*sorted(str(path.relative_to(ROOT)) for path in found))


def changed() -> list[str]:
    now = [*_git("diff", "--name-only", "HEAD"), *_git("ls-files", "--others", "--exclude-standard")]
    return now or _git("diff", "--name-only", "HEAD~1", "HEAD")


def tests_of(name: str, tests: dict[Path, str]) -> set[Path]:
    """The test files for a changed file."""
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
