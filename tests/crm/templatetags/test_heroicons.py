from django.template import Context, Template
from heroicons.templatetags.heroicons import heroicon_mini, heroicon_outline


def test_an_icon_is_that_of_heroicons():
    page = Template(
        '{% load heroicons %}{% heroicon_mini "phone" size=16 %}{% heroicon_outline name %}'
    )

    text = page.render(Context({"name": "calendar"}))

    assert text == heroicon_mini("phone", size=16) + heroicon_outline("calendar")


def test_an_icon_is_drawn_once_however_often_it_is_shown(monkeypatch):
    page = Template('{% load heroicons %}{% heroicon_mini "flag" size=13 %}')
    first = page.render(Context())
    monkeypatch.setattr("heroicons._render_icon", None)

    assert page.render(Context()) == first
