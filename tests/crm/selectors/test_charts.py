"""The geometry of charts."""

from datetime import date

from django.template.loader import render_to_string

from crm.selectors.charts import Series, bar_chart


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
