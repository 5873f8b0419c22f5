"""What every mail has: two parts with the same words, and headers by which programs know it."""

import re

import pytest

from crm.services import outbox


@pytest.fixture(autouse=True)
def site(settings):
    settings.SITE_URL = "https://crm.example.com"
    settings.DEFAULT_FROM_EMAIL = "LeadMachine <crm@mail.example.com>"


def html_of(text: str) -> str:
    mail = outbox.message("News", text, to="ada@example.com", key="news-1")
    ((content, mimetype),) = mail.alternatives
    assert mimetype == "text/html"
    assert mail.body == text
    return str(content)


def test_its_id_is_of_the_senders_domain_and_no_program_answers_it():
    message = outbox.message(
        "News", "Text", to="ada@example.com", key="news-1"
    ).message()

    assert message["Message-ID"] == "<news-1@mail.example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["To"] == "ada@example.com"


def test_lines_and_paragraphs_stay_as_they_are():
    html = " ".join(html_of("One\nTwo\n\nThree").split())

    assert "<p> One <br> Two </p> <p> Three </p>" in html


@pytest.mark.parametrize(
    ("text", "links"),
    [
        (
            "See:\nhttps://crm.example.com/leads/?page=2#top",
            ["https://crm.example.com/leads/?page=2#top"],
        ),
        ("LeadMachine, https://crm.example.com", ["https://crm.example.com"]),
        ("https://crm.example.com.evil.example/", []),
        ("https://evil.example/?https://crm.example.com/", []),
        ("evil.example invited you", []),
    ],
    ids=[
        "a page",
        "the site",
        "a name that begins alike",
        "a parameter",
        "a host in a name",
    ],
)
def test_only_our_own_addresses_are_links(text, links):
    assert re.findall('href="([^"]*)"', html_of(text)) == links


def test_a_name_is_text():
    html = html_of('<img src="https://evil.example/pixel"> & Co invited you')

    assert (
        "&lt;img src=&quot;https://evil.example/pixel&quot;&gt; &amp; Co invited you"
        in html
    )


def test_nothing_is_loaded_from_elsewhere():
    html = html_of("https://crm.example.com/")

    assert not [
        word for word in ("src=", "url(", "@import", "<link", "<script") if word in html
    ]
