"""How moments, money and numbers are shown, and the geometry of the chart."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.template import Context, Template
from django.template.loader import render_to_string
from django.utils import timezone

from crm.models import Stage
from crm.selectors.charts import Series, bar_chart
from crm.templatetags.formatting import ago, as_options, day, grouped, money, when


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


def test_bars_stack_from_the_bottom_of_a_round_scale():
    chart = bar_chart(
        [date(2026, 11, 23), date(2026, 11, 24)],
        [Series("sent", "good", [0, 40]), Series("failed", "bad", [0, 7])],
    )

    assert [line.text for line in chart.lines] == ["0", "15", "30", "45", "60"]
    assert [(bar.tone, bar.title, bar.y, bar.height) for bar in chart.bars] == [
        ("good", "24 Nov: 40 sent", "74.7", "129.3"),
        ("bad", "24 Nov: 7 failed", "52.0", "22.6"),
    ]
    assert [label.text for label in chart.labels] == ["23 Nov", "24 Nov"]
    assert chart.table == [(date(2026, 11, 24), [40, 7]), (date(2026, 11, 23), [0, 0])]


def test_days_without_anything_make_an_empty_chart():
    chart = bar_chart([date(2026, 11, 24)], [Series("sent", "good", [0])])

    assert chart.is_empty
    assert [line.text for line in chart.lines] == ["0", "1", "2", "3", "4"]


def test_no_coordinate_is_written_with_a_comma():
    days = [date(2026, 11, 1 + number) for number in range(30)]
    chart = bar_chart(
        days, [Series("sent", "good", [1500 * number for number in range(30)])]
    )

    html = render_to_string(
        "_parts/bar_chart.html", {"chart": chart, "title": "Events per day"}
    )

    drawing = html[html.index("<svg") : html.index("</svg>")]
    attributes = (
        drawing.replace("60,000", "")
        .replace("45,000", "")
        .replace("30,000", "")
        .replace("15,000", "")
    )
    assert 'viewBox="0 0 720 230"' in drawing
    assert 'x="1,' not in attributes
    assert "<td>43,500</td>" in html


def test_no_template_puts_a_moment_with_its_tags_into_an_attribute():
    in_attribute = re.compile(
        r'="(?:[^"{]|\{\{[^}]*\}\}|\{%[^%]*%\}|\{)*?\{\{[^}]*\|(?:when|day)\b'
    )

    found = [
        path.name
        for path in Path(settings.BASE_DIR, "templates").rglob("*.html")
        if in_attribute.search(path.read_text())
    ]

    assert in_attribute.search('aria-label="Select {{ title }}, {{ created_at|when }}"')
    assert found == []


def test_a_number_has_separators_only_where_a_template_asks_for_them():
    shown = Template("{% load formatting %}{{ pk }} {{ pk|grouped }}").render(
        Context({"pk": 12345})
    )

    assert shown == "12345 12,345"  # ids are used in URLs and attributes


def test_a_select_has_what_is_chosen_even_if_it_is_no_longer_offered():
    offered = [Stage(pk=1, name="Won"), Stage(pk=2, name="R&D <b>")]

    assert as_options(offered, offered[1]).split("\n") == [
        '<option value="1">Won</option>', '<option value="2" selected>R&amp;D &lt;b&gt;</option>',
    ]  # fmt: skip
    assert as_options(offered[:1], offered[1]).count("selected") == 1
