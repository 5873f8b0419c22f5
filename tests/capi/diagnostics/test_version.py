"""The doctor on the version of LinkedIn's API."""

from datetime import date

import pytest

from capi.diagnostics.linkedin import version_findings
from capi.models import Connection

SUNSET = date(2027, 9, 15)  # of 202609


def finding(today=date(2026, 11, 25), connection=None):
    (found,) = version_findings(connection, today)
    return found


@pytest.mark.parametrize(
    ("today", "level", "sentence"),
    [
        (
            date(2027, 7, 16),
            "green",
            "LinkedIn switches off API version 202609 on 15 September 2027, in 61 days.",
        ),
        (
            date(2027, 7, 17),
            "amber",
            "LinkedIn switches off API version 202609 on 15 September 2027, in 60 days.",
        ),
        (
            date(2027, 9, 7),
            "amber",
            "LinkedIn switches off API version 202609 on 15 September 2027, in 8 days.",
        ),
        (
            date(2027, 9, 8),
            "red",
            "LinkedIn switches off API version 202609 on 15 September 2027, in 7 days.",
        ),
        (
            date(2027, 9, 15),
            "red",
            "LinkedIn switched off API version 202609 on 15 September 2027, today.",
        ),
        (
            date(2027, 9, 16),
            "red",
            "LinkedIn switched off API version 202609 on 15 September 2027.",
        ),
    ],
)
def test_its_end_is_told_from_60_days_on(today, level, sentence) -> None:
    found = finding(today)

    assert (found.level, found.sentence) == (level, sentence)
    assert ("LINKEDIN_API_VERSION" in found.fix) == (level != "green")


@pytest.mark.parametrize(
    ("today", "level", "sentence"),
    [
        (
            date(2026, 12, 1),
            "green",
            "LinkedIn switches off API version 202610 on 1 October 2027 at the earliest, in 304 days.",
        ),
        (
            date(2027, 8, 2),
            "amber",
            "LinkedIn switches off API version 202610 on 1 October 2027 at the earliest, in 60 days.",
        ),
        (
            date(2027, 9, 30),
            "red",
            "LinkedIn switches off API version 202610 on 1 October 2027 at the earliest, tomorrow.",
        ),
        (
            date(2027, 10, 1),
            "red",
            "LinkedIn switches off API version 202610 on 1 October 2027 at the earliest: it may end any day.",
        ),
        (
            date(2027, 11, 1),
            "red",
            "LinkedIn switches off API version 202610 on 1 October 2027 at the earliest: it may end any day.",
        ),
    ],
)
def test_the_end_of_a_version_that_the_table_does_not_know_is_told_as_the_earliest(
    settings, today, level, sentence
) -> None:
    settings.LINKEDIN_API_VERSION = "202610"

    found = finding(today)

    assert (found.level, found.sentence) == (level, sentence)
    assert ("LINKEDIN_API_VERSION" in found.fix) == (level != "green")


def test_a_version_older_than_the_table_is_over(settings) -> None:
    settings.LINKEDIN_API_VERSION = "202405"

    found = finding()

    assert (found.level, found.sentence) == (
        "red",
        "Version 202405 is older than any that LinkedIn still supports.",
    )


def test_what_linkedin_said_goes_before_the_table() -> None:
    paused = Connection(
        is_paused=True, paused_reason="version_retired", paused_version="202609"
    )

    found = finding(connection=paused)

    assert found.level == "red"
    assert (
        found.sentence
        == "LinkedIn says 426: it has retired the API version that LeadMachine uses."
    )
