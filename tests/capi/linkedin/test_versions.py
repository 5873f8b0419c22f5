from datetime import date

import pytest

from capi.linkedin.versions import SUNSETS, is_known, is_well_formed, sunset


@pytest.mark.parametrize(
    ("version", "day"),
    [
        ("202511", date(2026, 11, 16)),
        ("202603", date(2027, 3, 16)),
        ("202608", date(2027, 8, 17)),
        ("202609", date(2027, 9, 15)),
    ],
)
def test_a_known_version_has_its_sunset(version, day):
    assert is_known(version)
    assert sunset(version) == day


@pytest.mark.parametrize(
    ("version", "day"),
    [
        ("202512", date(2026, 12, 1)),
        ("202610", date(2027, 10, 1)),
        ("202701", date(2028, 1, 1)),
        ("203012", date(2031, 12, 1)),
    ],
)
def test_a_version_that_the_table_does_not_know_ends_a_year_after_its_month_at_the_earliest(
    version, day
):
    assert not is_known(version)
    assert sunset(version) == day


def test_that_is_never_later_than_the_day_of_a_known_one():
    for version, day in SUNSETS.items():
        assert date(int(version[:4]) + 1, int(version[4:]), 1) <= day


@pytest.mark.parametrize("version", ["202510", "202405", "", "2026-09", "latest"])
def test_an_older_or_malformed_version_has_no_sunset(version):
    assert not is_known(version)
    assert sunset(version) is None


@pytest.mark.parametrize("version", [*SUNSETS, "202610", "203012"])
def test_a_year_and_a_month_are_well_formed(version):
    assert is_well_formed(version)


@pytest.mark.parametrize(
    "version",
    [
        "",
        "2026",
        "202600",
        "202613",
        "2026-09",
        "202609.01",
        "202609\n",
        " 202609",
        "v202609",
    ],
)
def test_anything_else_is_malformed(version):
    assert not is_well_formed(version)
