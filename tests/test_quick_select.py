"""On every page, a select saves through the one template that waits for the choice to be made."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

TEMPLATES = settings.BASE_DIR / "templates"
PIECE = "_parts/quick_select.html"
SEARCHES = {
    # They post to keep search terms out of the URL, and change only what is shown.
    "_parts/filters.html": 1,
    "_parts/lead_search.html": 1,
    "crm/finding/_palette.html": 1,
}
# Posts what is typed to get names for it, and saves nothing.
ASKING = {"organisations.py"}

OF_DJANGO = re.compile(r"\{[{%#].*?[#%}]\}")
TAG = re.compile(r"<[a-z]\w*(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>")
POSTS = re.compile(r"\bhx-(?:post|put|patch|delete)=")
WHILE_CHOOSING = re.compile(
    r"hx-trigger=[\"'][^\"']*\b(?:change|input|keydown|keyup|keypress|blur|focusout)\b"
)
# What htmx sends on a change unless hx-trigger says otherwise.
FIELD = re.compile(r"<(?:select|input|textarea)\b")
HANDLER = re.compile(r"\son[a-z]+=")


def saving_while_choosing(template: str) -> list[str]:
    """The tags that would save something on a change, or on another event while someone is choosing."""
    return [
        tag
        for tag in TAG.findall(OF_DJANGO.sub("", template))
        if _saves_while_choosing(tag)
    ]


def _saves_while_choosing(tag: str) -> bool:
    if HANDLER.search(tag) or ("data-autosubmit" in tag and 'method="get"' not in tag):
        return True
    is_field = FIELD.match(tag) and "hx-trigger" not in tag
    return bool(POSTS.search(tag) and (WHILE_CHOOSING.search(tag) or is_field))


def templates() -> Iterator[tuple[str, str]]:
    for path in sorted(TEMPLATES.rglob("*.html")):
        yield str(path.relative_to(TEMPLATES)), path.read_text()


def test_no_template_saves_while_somebody_is_choosing():
    found = {
        name: len(tags)
        for name, text in templates()
        if (tags := saving_while_choosing(text))
    }

    assert found == SEARCHES


@pytest.mark.parametrize(
    "tag",
    [
        '<form method="post" hx-post="/x/" hx-trigger="change, submit">',
        '<form hx-post="{% url \'lead_status\' lead.pk %}" hx-trigger="change delay:50ms">',
        '<form hx-trigger="input from:#search" hx-post="/x/">',
        '<form {% if a > b %}class="x"{% endif %} hx-post="/x/" hx-trigger="change">',
        '<select name="status" hx-post="/x/">',
        '<select name="status" hx-patch="/x/" hx-trigger="blur">',
        '<select name="status" onchange="this.form.submit()">',
        '<form method="post" data-autosubmit>',
    ],
)
def test_what_would_save_while_somebody_is_choosing_is_found(tag):
    assert len(saving_while_choosing(f"<p>One</p>{tag}<p>Two</p>")) == 1


@pytest.mark.parametrize(
    "tag",
    [
        '<form method="post" hx-post="/x/" hx-trigger="submit">',
        '<form method="get" data-autosubmit>',
        '<div hx-get="/x/" hx-trigger="change from:#id_frequency">',
        '<select name="role">',
    ],
)
def test_what_waits_or_only_asks_for_another_view_is_not(tag):
    assert saving_while_choosing(tag) == []


def test_only_the_script_of_the_piece_saves_and_the_other_sends_what_only_asks():
    sending = re.compile(
        r".*(?:requestSubmit|\.submit\(|fetch\(|XMLHttpRequest|htmx\.\w+\().*"
    )
    found = {
        path.name: sending.findall(path.read_text())
        for path in Path(settings.BASE_DIR / "static").glob("*.js")
    }
    scripts = {name: lines for name, lines in found.items() if lines}

    of_the_piece = scripts.pop("quick_select.js")
    assert len([line for line in of_the_piece if "requestSubmit" in line]) == 1
    assert [line.strip() for line in of_the_piece if "requestSubmit" not in line] == [
        "htmx.process(select.form); // it forgets a form that it removes, even if it is kept out of sight",
        'if (source) htmx.ajax("GET", here(), { source, target: source, select: `#${id}`, swap: "outerHTML" });',
        # A question is asked, and its form sends the answer.
        'await htmx.ajax("GET", question, { source: dialog, target: dialogBody, select: "#loss" }).catch(() => {});',
        "htmx.process(answer);",
    ]
    scripts.pop("reorder.js")  # its buttons send where an entry of a list was moved to
    # Its buttons send what the browser says of a passkey; no page with one has a
    # select.
    scripts.pop("passkeys.js")
    assert [line.strip() for line in scripts.pop("app.js")] == [
        'if (form?.matches("[data-autosubmit][method=get]")) form.requestSubmit();',
        # On a key that says so: Ctrl+Enter in a text, and Enter in a detail that is edited in its row.
        'if (event.target.matches("[data-ctrl-enter]")) event.target.form.requestSubmit();',
        'if (event.key === "Enter" && event.target.matches("select")) form.requestSubmit();',
    ]
    assert scripts == {}


def test_no_widget_of_a_form_posts_by_itself():
    for app in ("crm", "capi", "leadmachine"):
        for path in Path(settings.BASE_DIR / app).rglob("*.py"):
            found = re.search(
                r"[\"'](?:hx-|onchange|data-autosubmit)", path.read_text()
            )
            assert not found or path.name in ASKING, path


def test_the_piece_is_where_statuses_stages_and_companies_are_chosen():
    users = {name for name, text in templates() if PIECE in text}

    assert users == {
        "crm/leads/_status.html",
        "crm/deals/_move.html",
        "_parts/top.html",
    }
