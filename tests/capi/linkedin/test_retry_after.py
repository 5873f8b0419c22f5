from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from capi.linkedin.parsing import retry_after

DATE = "Wed, 25 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7), ("0", 0), (" 120 ", 120), ("99999999", 99999999)]
)
def test_seconds_are_taken_as_they_are(value, seconds):
    assert retry_after({"retry-after": value}) == seconds


def test_a_date_counts_from_the_answers_own_date():
    assert (
        retry_after({"retry-after": "Wed, 25 Nov 2026 12:01:30 GMT", "date": DATE})
        == 90
    )


@pytest.mark.parametrize("date", [{}, {"date": "yesterday"}])
def test_a_date_counts_from_now_where_the_answer_has_none(date):
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)

    assert retry_after({"retry-after": in_an_hour, **date}) == pytest.approx(
        3600, abs=5
    )


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-5",
        "soon",
        "7, 9",
        "7.5",
        "1e3",
        "\u0667",
        "9" * 40,
        "Wed, 25 Nov 2026 11:59:59 GMT",
        "Wed, 99 Nov 2026 12:00:00 GMT",
    ],
)
def test_a_value_without_sense_is_no_value(value):
    assert retry_after({"retry-after": value, "date": DATE}) is None


def test_without_the_header_there_is_no_value():
    assert retry_after({}) is None
