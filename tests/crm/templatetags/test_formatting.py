"""The filters of templates."""

import re
from pathlib import Path

from django.conf import settings
from django.template import Context, Template

from crm.models import Stage
from crm.templatetags.formatting import as_options


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
