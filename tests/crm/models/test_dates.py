"""Dates as people write them, and what each could mean."""

from datetime import date, time

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from crm.formatting import dates_for
from crm.models import User
from crm.models.dates import DayOrder, date_readings, time_of, typed_date
from crm.models.people import DateStyle

THIRD = date(2026, 11, 3)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-03", "2026/11/3", "2026.11.03", "20261103", "3 Nov 2026", "03-Nov-26", "3. November 2026",
        "3 novembre 2026", "3 de noviembre de 2026", "3rd November 2026", "Nov 3, 2026", "November 3 2026",
        "2026-11-03 18:00", "2026-11-03T09:00:00Z", "2026-11-03T09:00:00.123+01:00", "2026-11-03 00:00:00 UTC",
        "3 Nov 2026 6:00 pm",
    ],
)  # fmt: skip
def test_a_date_that_has_one_meaning(text: str) -> None:
    found = date_readings(text)

    assert found.day == found.month == THIRD
    assert not found.only


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("14:30", "14:30:00"), ("2026-11-03 08:05:09", "08:05:09"), ("3 Nov 2026 6:00 pm", "18:00:00"),
        ("12:15 a.m.", "00:15:00"), ("2026-11-03T09:00:00.123+01:00", "09:00:00+01:00"),
        ("2026-11-03T09:00:00Z", "09:00:00+00:00"), ("03.11.2026 23:59 -0330", "23:59:00-03:30"),
        ("2026-11-03", None), ("29:00", None), ("14.30", None), ("", None), ("10:00+99:99", None),
    ],
)  # fmt: skip
def test_a_text_may_end_with_a_time(text: str, expected: str | None) -> None:
    assert time_of(text) == (time.fromisoformat(expected) if expected else None)


def test_months_have_names_in_the_languages_of_our_guesses() -> None:
    names = [
        "janvier",
        "Februar",
        "maart",
        "avril",
        "Mai",
        "June",
        "juillet",
        "ao\u00fbt",
        "September",
        "okt.",
        "nov",
        "dic",
    ]

    assert [date_readings(f"1 {name} 2026").day for name in names] == [
        date(2026, each, 1) for each in range(1, 13)
    ]
    assert (
        date_readings("3. M\u00e4rz 2026").day
        == date_readings("3. Ma\u0308rz 2026").day
        == date(2026, 3, 3)
    )


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("31.12.2026", "day", date(2026, 12, 31)), ("31-12-26", "day", date(2026, 12, 31)),
        ("12/31/2026", "month", date(2026, 12, 31)), ("12/31/1999 11:59 PM", "month", date(1999, 12, 31)),
        ("13/1/50", "day", date(1950, 1, 13)), ("13/1/49", "day", date(2049, 1, 13)),
    ],
)  # fmt: skip
def test_a_date_that_only_one_order_allows(text: str, order: str, day: date) -> None:
    found = date_readings(text)

    assert found.only == order
    assert found.by(order) == (day, False)
    assert found.by(DayOrder.MONTH if order == "day" else DayOrder.DAY) == (day, True)


@pytest.mark.parametrize(
    "text", ["3/4/2026", "03-04-26", "03.04.2026", "3/4/2026 18:00"]
)
def test_a_date_whose_day_could_be_its_month(text: str) -> None:
    found = date_readings(text)

    assert (found.day, found.month) == (date(2026, 4, 3), date(2026, 3, 4))
    assert found.is_ambiguous
    assert found.has_points == ("." in text)


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "2026-02-30", "31.2.2026", "13/13/2026", "3 foo 2026", "5.11.",
     "46329", "3 Nov", "3/4", "3-4/2026",
     "\u0662\u0660\u0662\u0667-01-01",
     "2026-11-03 25", "x" * 200],
)  # fmt: skip
def test_anything_else_is_no_date(text: str) -> None:
    found = date_readings(text)

    assert (found.day, found.month, found.is_ambiguous) == (None, None, False)


@given(
    st.dates(date(1800, 1, 1), date(9998, 12, 31)),
    st.sampled_from(["%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y"]),
)
def test_any_date_is_read_as_it_was_written(day: date, form: str) -> None:
    assert date_readings(day.strftime(form).zfill(10)).day == day


@pytest.mark.parametrize(
    ("style", "day"),
    [
        (DateStyle.SLASHES, date(2027, 4, 3)),
        (DateStyle.DOTS, date(2027, 4, 3)),
        (DateStyle.US, date(2027, 3, 4)),
    ],
)
def test_a_typed_date_is_in_the_order_that_its_user_has_chosen(
    style: DateStyle, day: date
) -> None:
    with dates_for(User(date_style=style)):
        assert typed_date("3/4/2027") == day
        assert typed_date("03.04.2027") == date(2027, 4, 3)
        assert typed_date("3/31/2027") == date(2027, 3, 31)


@pytest.mark.parametrize("style", [DateStyle.NAMED, DateStyle.ISO])
def test_without_such_a_choice_a_form_asks_what_is_meant(style: DateStyle) -> None:
    with dates_for(User(date_style=style)), pytest.raises(ValidationError) as refused:
        typed_date("3/4/2027")

    assert refused.value.messages == [
        "Do you mean 3 April 2027 or 4 March 2027? Write 2027-04-03 or 2027-03-04."
    ]
