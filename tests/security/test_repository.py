"""S33, S46, S48: what is in the repository, and what it is built from."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.conf import settings

ROOT = settings.BASE_DIR
SHIPPED = {"crm", "capi", "leadmachine", "postgresql", "templates", "static"}
LOCKS = ("requirements.lock", "requirements-dev.lock")
# Shapes of secrets, and what stands for one in tests and examples.
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
    r"user:password@|leadmachine:secret@|:password@host|password@|lm_Zk0Yx3vJ8q1mB7cT5nR2wU9sE4hL6dG0aKpFyVxNiQo"
    r"|bGVhZG1hY2hpbmUt|testserver:80@|redis://:|example\.com:80@|crm\.example\.com"
)


def files(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def product() -> list[Path]:
    return [
        path
        for path in files("*.py", "*.html", "*.js")
        if path.relative_to(ROOT).parts[0] not in ("tests", "benchmarks")
    ]


def test_no_file_holds_a_secret() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}: {match[0][:20]}…"
        for path in files()
        if path.suffix not in (".lock", ".png")
        for name, shape in SECRETS.items()
        for match in shape.finditer(path.read_text(errors="replace"))
        if not SAMPLES.search(match[0])
    ]

    assert found == []


def test_no_commit_ever_held_a_secret() -> None:
    """S33: what was removed from the files is still in their history."""
    if not (ROOT / ".git").exists():
        pytest.skip("there is no .git here, so no history: an archive holds the files alone")
    history = subprocess.run(
        ["git", "log", "-p", "--all", "--no-color", "--no-ext-diff", "--format=%B", "--", ".", ":!*.lock"],
        cwd=ROOT, capture_output=True, text=True, errors="replace", check=True,
    ).stdout  # fmt: skip

    found = {
        f"{name}: {match[0][:20]}…"
        for name, shape in SECRETS.items()
        for match in shape.finditer(history)
        if not SAMPLES.search(match[0])
    }

    assert len(history) > 10_000
    assert found == set()


def test_no_file_of_a_running_installation_is_kept() -> None:
    kept = [path.name for path in files() if path.suffix in (".sqlite3", ".pem", ".key", ".log") or path.name == ".env"]

    assert kept == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_pinned_package_has_its_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    entries = re.split(r"\n(?=\S)", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))

    assert "://" not in text
    assert "index-url" not in text
    assert len(entries) > 20
    for entry in filter(None, map(str.strip, entries)):
        assert re.match(r"[\w.\[\]-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_everything_that_is_asked_for_is_pinned() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pinned = set(re.findall(r"^([\w.-]+)(?:\[\w+\])?==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))

    names = {re.split(r"[<>=\[~! ]", line)[0].lower() for line in asked}
    assert names <= {name.lower() for name in pinned}


def test_no_page_loads_anything_from_elsewhere() -> None:
    outside = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in files("templates/*.html", "static/*")
        for match in re.finditer(
            r"(?:src|href)=[\"']?(?:https?:)?//[^\"' >]+|url\([\"']?(?:https?:)?//", path.read_text()
        )
        if "linkedin.com" not in match[0]  # a link that a person may follow
    ]

    assert outside == []


def test_nothing_switches_a_guard_off() -> None:
    """S48: nothing switches a guard off. (`format_html` escapes what it is given.)"""
    risky = re.compile(
        r"mark_safe|\|\s*safe\b|autoescape off|shell=True|verify=False|\beval\(|\bexec\(|pickle|\.raw\(|\.extra\("
    )

    found = [
        f"{path.relative_to(ROOT)}: {line.strip()[:100]}"
        for path in product()
        for line in path.read_text().splitlines()
        if risky.search(line.partition("#")[0]) and not line.lstrip().startswith(('"""', "'"))
    ]

    assert found == []


def test_the_linter_finds_nothing_dangerous() -> None:
    """S48: ruff's S rules are bandit's, at every severity. Asserts (S101) only narrow types."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    run = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "S", "--ignore", "S101", "--output-format", "json",
         "crm", "capi", "leadmachine", "postgresql"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "S" in config["select"]
    assert [f"{found['filename']}: {found['code']}" for found in json.loads(run.stdout)] == []


def test_bandit_finds_nothing_of_medium_or_high_severity() -> None:
    """S48: and nothing is hidden from it: no `nosec`, no test that is skipped, no file that it could not read."""
    run = subprocess.run(
        [sys.executable, "-m", "bandit", "--quiet", "--recursive", "--format", "json",
         "crm", "capi", "leadmachine", "postgresql"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    report = json.loads(run.stdout)
    total = report["metrics"]["_totals"]

    grave = [
        f"{found['filename']}:{found['line_number']}: {found['test_id']} {found['issue_text']}"
        for found in report["results"]
        if found["issue_severity"] != "LOW"
    ]
    assert grave == []
    assert (total["SEVERITY.HIGH"], total["SEVERITY.MEDIUM"]) == (0, 0)
    assert (report["errors"], total["nosec"], total["skipped_tests"]) == ([], 0, 0)
    assert total["loc"] > 5_000


def test_every_exception_for_the_linter_names_its_rule() -> None:
    blanket = [
        str(path.relative_to(ROOT))
        for path in product()
        if re.search(r"#\s*noqa(?!:)|#\s*nosec", path.read_text())
    ]  # fmt: skip

    assert blanket == []
