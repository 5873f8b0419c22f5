"""How moments, money and numbers are written."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from crm.formatting import ago, day, grouped, money, when


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (Decimal("25000.00"), "EUR", "€25,000"),
        (Decimal("25000.50"), "EUR", "€25,000.50"),
        (Decimal("999999999999.99"), "CHF", "999,999,999,999.99\u00a0CHF"),
        (Decimal("0"), "USD", "$0"),
        (Decimal("5"), "", "5"),
        (None, "EUR", ""),
    ],
)
def test_money_has_its_currency_and_cents_only_where_there_are_any(
    amount, currency, shown
):
    assert money(amount, currency) == shown


def test_a_moment_is_short_and_has_the_whole_of_it_in_its_title():
    this_year = timezone.localdate().year

    html = when(datetime(this_year, 11, 24, 15, 0, 7, tzinfo=UTC))

    assert f'datetime="{this_year}-11-24T15:00:07+00:00"' in html
    assert f'title="24 November {this_year}, 15:00:07 UTC">24 Nov, 15:00</time>' in html
    assert ">24 Nov 2001, 15:00</time>" in when(datetime(2001, 11, 24, 15, tzinfo=UTC))
    assert when(None) == ""


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [
        (0, "just now"),
        (1, "1\u00a0min ago"),
        (59, "59\u00a0min ago"),
        (60, "1\u00a0h ago"),
        (1439, "23\u00a0h ago"),
    ],
)
def test_a_moment_of_the_last_day_is_told_by_its_distance(minutes, shown):
    assert ago(timezone.now() - timedelta(minutes=minutes, seconds=1)).endswith(
        f">{shown}</time>"
    )


def test_an_earlier_moment_is_told_by_its_date():
    moment = timezone.now() - timedelta(days=1)

    assert ago(moment) == when(moment)
    assert ago(None) == ""


def test_a_date_has_its_weekday_in_its_title():
    expected = '<time datetime="2026-11-24" title="Tuesday, 24 November 2026">24 Nov 2026</time>'

    assert day(date(2026, 11, 24)) == expected


def test_large_numbers_are_grouped():
    assert grouped(1234567) == "1,234,567"
