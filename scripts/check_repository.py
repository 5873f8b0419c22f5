"""Checks of the repository and its dependencies, as part of `make static-checks`: those that no third-party tool has.

Prints a line for each finding, and exits with 1 if there are any. docs/security.md: S33, S46, S48.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PRODUCT = ("leadmachine", "crm", "capi", "postgresql")
DEVELOPMENT = ("tests", "benchmarks", "scripts")
LOCKS = ("requirements.lock", "requirements-postgresql.lock", "requirements-dev.lock")
# Patterns of secrets, and of their stand-ins in tests and examples.
SECRETS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a cloud key": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "a LinkedIn token": re.compile(r"\bAQ[VXU][\w-]{60,}\b"),
    "an API key of ours": re.compile(r"\blm_[\w-]{43}\b"),
    "a Fernet key": re.compile(r"(?<![\w/+-])[\w-]{43}=(?![\w=])"),
    "a password in a URL": re.compile(r"\b(?:postgres(?:ql)?|rediss?|smtp|https?)://[^\s:/@'\"<>{}]*:[^\s:/@'\"<>{}]{3,}@"),
    "a signed token": re.compile(r"\beyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,}"),
}  # fmt: skip
SAMPLES = re.compile(
    r"user:pass(?:word)?@|leadmachine:secret@|:password@host|password@|lm_Zk0Yx3vJ8q1mB7cT5nR2wU9sE4hL6dG0aKpFyVxNiQo"
    r"|bGVhZG1hY2hpbmUt|testserver:80@|redis://:|example\.com:80@|crm\.example\.com"
)
GENERATED = "lead_machine_api_client"  # by a test, from our own API's schema
LOADED = re.compile(
    r"(?:src|href)=[\"']?(?:https?:)?//[^\"' >]+|url\([\"']?(?:https?:)?//"
)
# `format_html` is not among them: it escapes what it is given.
UNGUARDED = re.compile(
    r"mark_safe|\|\s*safe\b|autoescape off|shell=True|verify=False|\beval\(|\bexec\(|pickle|\.raw\(|\.extra\("
)


def main() -> int:
    checks = (
        secrets_in_files, secrets_in_history, files_of_an_installation, incomplete_pins, unpinned_dependencies,
        development_in_production, unnamed_dependencies, loaded_from_elsewhere, guards_switched_off,
    )  # fmt: skip
    found = [
        f"{check.__name__.replace('_', ' ')}: {finding}"
        for check in checks
        for finding in check()
    ]
    print("\n".join(found) or f"{len(checks)} checks of the repository found nothing.")
    return 1 if found else 0


def secrets_in_files() -> Iterator[str]:
    for path in files():
        if path.suffix not in (".lock", ".png"):
            yield from (
                f"{_name(path)}: {secret}"
                for secret in secrets_in(path.read_text(errors="replace"))
            )


def secrets_in_history() -> Iterator[str]:
    """S33: a secret that was removed from a file is still in its history. An archive without .git has no history."""
    if (ROOT / ".git").exists():
        log = [
            "log",
            "-p",
            "--all",
            "--no-color",
            "--no-ext-diff",
            "--format=%B",
            "--",
            ".",
            ":!*.lock",
        ]
        yield from sorted(set(secrets_in(_git(*log))))


def secrets_in(text: str) -> Iterator[str]:
    for name, shape in SECRETS.items():
        yield from (
            f"{name}: {match[0][:20]}…"
            for match in shape.finditer(text)
            if not SAMPLES.search(match[0])
        )


def files_of_an_installation() -> Iterator[str]:
    for path in files():
        if path.suffix in (".sqlite3", ".pem", ".key", ".log") or path.name == ".env":
            yield _name(path)


def incomplete_pins() -> Iterator[str]:
    """S46: each package of a lock file has a version and hashes, and no URL of its own."""
    for name in LOCKS:
        text = (ROOT / name).read_text()
        lines = [
            line
            for line in text.splitlines()
            if line.strip() and not line.lstrip().startswith("#")
        ]
        for entry in re.split(r"\n(?=\S)", "\n".join(lines)):
            if (
                "://" in entry
                or not re.match(r"[\w.\[\]-]+==\S+", entry)
                or "--hash=sha256:" not in entry
            ):
                yield f"{name}: {entry.partition(chr(10))[0] or 'it is empty'}"


def unpinned_dependencies() -> Iterator[str]:
    yield from sorted(
        _named(PROJECT["project"]["dependencies"]) - _pinned("requirements.lock")
    )


def development_in_production() -> Iterator[str]:
    """Production has a DATABASE_URL, and no PostgreSQL of ours."""
    yield from sorted(
        _named(PROJECT["dependency-groups"]["postgresql"])
        & _pinned("requirements.lock")
    )


def unnamed_dependencies() -> Iterator[str]:
    """Packages that are imported, but not listed in pyproject.toml."""
    to_run = _named(PROJECT["project"]["dependencies"])
    yield from sorted(distributions_used_by(*PRODUCT) - to_run)
    yield from sorted(
        distributions_used_by(*DEVELOPMENT)
        - to_run
        - _named(PROJECT["dependency-groups"]["dev"])
    )


def distributions_used_by(*folders: str) -> set[str]:
    """The packages that the imports in these folders need, by their names on the package index."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    modules = {module for path in paths for module in _imported(path)}
    distributions = packages_distributions()
    theirs = modules - {*sys.stdlib_module_names, *PRODUCT, *DEVELOPMENT, GENERATED}
    return {
        name.lower().replace("_", "-")
        for module in theirs
        for name in distributions.get(module, [module])
    }


def loaded_from_elsewhere() -> Iterator[str]:
    """S46: no page loads anything from another host. Links that people follow, such as to LinkedIn, are allowed."""
    for path in files("templates/*.html", "static/*"):
        for match in LOADED.finditer(path.read_text(errors="replace")):
            if "linkedin.com" not in match[0]:
                yield f"{_name(path)}: {match[0]}"


def guards_switched_off() -> Iterator[str]:
    """S48: code that switches off escaping, the check of certificates or the like."""
    for path in files("*.py", "*.html", "*.js"):
        if path.relative_to(ROOT).parts[0] not in DEVELOPMENT:
            for line in path.read_text().splitlines():
                if UNGUARDED.search(
                    line.partition("#")[0]
                ) and not line.lstrip().startswith(('"""', "'")):
                    yield f"{_name(path)}: {line.strip()[:100]}"


def files(*patterns: str) -> list[Path]:
    return [
        ROOT / name
        for name in _git("ls-files", "--", *patterns).splitlines()
        if (ROOT / name).is_file()
    ]


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    )
    return done.stdout


def _pinned(lock: str) -> set[str]:
    found = re.findall(
        r"^([\w.-]+)(?:\[[\w,]+\])?==", (ROOT / lock).read_text(), re.MULTILINE
    )
    return {name.lower() for name in found}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _named(requirements: list[Any]) -> set[str]:
    """The names of these packages, without the groups that a group includes."""
    named = [
        requirement for requirement in requirements if isinstance(requirement, str)
    ]
    names = [re.split(r"[\[><=~! ]", requirement)[0] for requirement in named]
    return {name.lower().replace("_", "-") for name in names}


def _imported(path: Path) -> Iterator[str]:
    """The first word of each import in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


if __name__ == "__main__":
    sys.exit(main())
