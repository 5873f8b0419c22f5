"""scripts/check_repository.py finds what it looks for, and checks every file."""

from pathlib import Path

import pytest

from scripts import check_repository as checks

HASH = f"    --hash=sha256:{'0' * 64}"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which every file counts as one of the repository."""
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    monkeypatch.setattr(
        checks,
        "files",
        lambda *patterns: sorted(path for path in tmp_path.rglob("*.*")),
    )
    return tmp_path


@pytest.mark.covers("S33")
@pytest.mark.parametrize(
    "secret",
    ["-----BEGIN " + "PRIVATE KEY-----", "AKIA" + "A" * 16, "AQX" + "a" * 60, "lm_" + "a" * 43, "b" * 43 + "=",
     "postgres://ada:" + "hunter2@db"],
)  # fmt: skip
def test_a_secret_is_found_by_its_shape(repository: Path, secret: str) -> None:
    (repository / "notes.txt").write_text(f"for later: {secret}\n")

    assert len(list(checks.secrets_in_files())) == 1


@pytest.mark.covers("S46")
@pytest.mark.parametrize(
    "entry",
    ["django>=5", "django==5.2", f"django==5.2 \\\n{HASH}\n    --index-url https://x"],
)
def test_a_package_without_version_or_hashes_or_with_an_address_is_found(
    repository: Path, entry: str
) -> None:
    (repository / "requirements.lock").write_text(
        f"celery[redis]==5.7.0 \\\n{HASH}\n{entry}\n"
    )
    for name in ("requirements-postgresql.lock", "requirements-dev.lock"):
        (repository / name).write_text(f"celery[redis]==5.7.0 \\\n{HASH}\n")

    assert [found.partition(":")[0] for found in checks.incomplete_pins()] == [
        "requirements.lock"
    ]


@pytest.mark.covers("S46")
def test_a_package_that_is_imported_and_not_named_is_found(repository: Path) -> None:
    (repository / "crm").mkdir()
    (repository / "crm" / "new.py").write_text(
        "import numpy.linalg\nfrom django.db import models\n"
    )

    assert list(checks.unnamed_dependencies()) == ["numpy"]


@pytest.mark.covers("S46", "S48")
@pytest.mark.parametrize(
    ("check", "line"),
    [
        (
            checks.loaded_from_elsewhere,
            '<script src="https://cdn.example.com/x.js"></script>',
        ),
        (checks.guards_switched_off, "{{ name|safe }}"),
        (checks.guards_switched_off, "{% autoescape off %}"),
    ],
)
def test_what_a_page_must_not_do_is_found(
    repository: Path, check: object, line: str
) -> None:
    (repository / "page.html").write_text(f"<p>One</p>\n{line}\n")

    assert len(list(check())) == 1  # type: ignore[operator]


def test_every_file_of_this_repository_is_looked_at() -> None:
    if not (checks.ROOT / ".git").exists():
        pytest.skip("there is no .git here: an archive holds the files alone")

    assert len(checks.files()) > 300
    assert checks.ROOT / "Makefile" in checks.files()
