"""The help: the guide of docs/guide and the catalogue, for everyone who is signed in, with a search."""

import re
from collections import Counter

import pytest
from django.conf import settings
from django.test import Client
from django.utils.html import escape

from capi import services
from capi.models import Alert, Connection, ConversionEvent, ConversionRule
from capi.models.choices import AlertKind, Reason
from crm.models import User
from leadmachine.help.pages import all_pages
from tests.conftest import TOKEN, client_of, make_lead

pytestmark = pytest.mark.django_db

TROUBLESHOOTING = "/help/troubleshooting/"


@pytest.mark.parametrize("role", ["admin", "sales", "ops"])
def test_everybody_reads_every_page(client_as, request, role):
    client = client_as(request.getfixturevalue(role))

    texts = {slug: client.get(f"/help/{slug}/") for slug in all_pages()}

    assert list(texts) == [
        "linkedin",
        "admin",
        "sales",
        "ops",
        "troubleshooting",
        "faq",
        "glossary",
        "api",
    ]
    assert {answer.status_code for answer in texts.values()} == {200}
    assert "SHA-256" in texts["linkedin"].content.decode()
    assert 'href="/help/"' in client.get("/dashboard/").content.decode()


def test_somebody_without_a_company_reads_it_too(db):
    client = client_of(User.objects.create(email="new@example.com"))

    assert (
        client.get("/help/").status_code
        == client.get(TROUBLESHOOTING).status_code
        == 200
    )


def test_a_stranger_is_asked_to_sign_in(db):
    assert Client().get("/help/").url == "/login/?next=/help/"


def test_an_unknown_page_is_not_found(client_as, sales):
    assert client_as(sales).get("/help/nothing/").status_code == 404


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("401", "401: Access token rejected"),
        ("429", "429: Too many requests"),
        ("timeout", "Timeout, or an unreadable response: Timed out"),
        ("5xx", "408, 413, 421, 423, 425, other 5xx: LinkedIn has technical problems"),
        ("501", "501, other 4xx: Request rejected"),
        ("sha-256 HASH", "Privacy"),
        ("rename stage", "What happens if I rename a status or a stage?"),
        ("gave up", "State “Gave up”"),
        ("undo", "Undo"),
        ("idempotency-key twice", "Repeating a request"),
    ],
)
def test_a_search_finds_the_section_with_all_words_titles_first(
    client_as, sales, asked, found
):
    answer = client_as(sales).get("/help/", {"q": asked})

    page, section = answer.context["found"][0]
    assert section.title == found
    assert f'href="{section.url}"' in answer.content.decode()
    assert f"<small>{escape(page.title)}: " in answer.content.decode()


def test_a_search_without_a_find_says_so_and_repeats_no_markup(client_as, sales):
    text = (
        client_as(sales)
        .get("/help/", {"q": "<b>xyzzy</b>" + "x" * 500})
        .content.decode()
    )

    assert "No results" in text
    assert "<b>xyzzy" not in text


def test_the_help_asks_the_database_for_nothing_of_its_own(
    client_as, sales, django_assert_num_queries
):
    client = client_as(sales)
    all_pages()

    with django_assert_num_queries(3):  # session, user, memberships
        client.get("/help/", {"q": "token"})


def test_every_link_inside_the_help_leads_somewhere(client_as, admin):
    client = client_as(admin)
    places = {
        f"/help/{page.slug}/": {section.anchor for section in page.sections}
        for page in all_pages().values()
    }

    for path in ["/help/", *places]:
        for target, anchor in re.findall(
            r'href="(/help/[\w/-]*|)#([\w-]+)"', client.get(path).content.decode()
        ):
            assert anchor in {"main", *places.get(target or path, ())}, (
                path,
                target,
                anchor,
            )
    for page in all_pages().values():
        assert len({section.anchor for section in page.sections}) == len(page.sections)
        assert len({section.title for section in page.sections}) == len(page.sections)


def test_the_guide_is_plain_text_to_the_template_engine():
    for path in (settings.BASE_DIR / "docs" / "guide").glob("*.md"):
        assert not re.search(r"\{\{|\{%", path.read_text()), path


def test_each_guide_of_the_repository_is_in_the_help():
    files = {path.stem for path in (settings.BASE_DIR / "docs" / "guide").glob("*.md")}

    assert files | {"troubleshooting"} == set(all_pages())


def test_each_page_has_sections_for_the_index_and_the_search():
    assert {
        slug for slug, page in all_pages().items() if len(page.sections) < 3
    } == set()


@pytest.mark.parametrize(
    ("asked", "title", "url"),
    [
        ("calendar", "Tasks in your calendar", "/help/sales/#tasks-in-your-calendar"),
        ("undo import", "Undoing an import", "/help/sales/#undoing-an-import"),
        ("retry", "Retry and cancel", "/help/ops/#retry-and-cancel"),
    ],
)
def test_the_index_and_the_search_lead_to_the_sections_of_the_guides_for_sales_and_ops(
    client_as, sales, asked, title, url
):
    client = client_as(sales)

    index, found = client.get("/help/"), client.get("/help/", {"q": asked})

    assert f'<a href="{url}">{title}</a>' in index.content.decode()
    assert url in [section.url for _, section in found.context["found"]]


def test_no_section_has_the_id_of_another_element_of_its_page(client_as, admin):
    client = client_as(admin)

    for page in all_pages().values():
        ids = Counter(
            re.findall(r'\sid="([^"]+)"', client.get(page.url).content.decode())
        )
        assert {name for name, count in ids.items() if count > 1} == set(), page.slug


def link(reason):
    return f'href="{TROUBLESHOOTING}#reason-{reason}"'


def test_a_paused_connection_a_paused_rule_and_a_refused_event_lead_to_their_places(
    client_as, admin, company
):
    services.save_token(company=company, token=TOKEN)
    ConversionRule.objects.create(
        company=company, crm_event="lead_created", linkedin_id="1", name="New"
    )
    make_lead(company)
    ConversionRule.objects.update(is_paused=True, paused_reason="rule_forbidden")
    ConversionEvent.objects.update(
        state="rejected", reason="data_refused", next_attempt_at=None
    )
    client, event = client_as(admin), ConversionEvent.objects.get()

    rules_page = client.get("/integrations/linkedin/").content.decode()
    event_page = client.get(event.get_absolute_url()).content.decode()
    Connection.objects.update(is_paused=True, paused_reason="token_refused")
    paused_page = client.get("/integrations/linkedin/").content.decode()

    assert link("rule_forbidden") in rules_page
    assert link("data_refused") in event_page
    assert link("token_refused") in paused_page


@pytest.mark.parametrize("path", ["alerts/", "reconcile/"])
def test_alerts_and_reconcile_lead_to_what_the_guide_says_of_them(client_as, ops, path):
    html = client_as(ops).get(f"/integrations/linkedin/{path}").content.decode()

    assert 'href="/help/admin/#alerts-and-the-weekly-reconcile"' in html
    assert "alerts-and-the-weekly-reconcile" in {
        section.anchor for section in all_pages()["admin"].sections
    }


def test_an_open_alert_leads_to_the_place_of_its_cause(client_as, ops, company):
    rule = ConversionRule.objects.create(
        company=company, crm_event="lead_created", linkedin_id="1", name="New"
    )
    paused = {
        "kind": AlertKind.RULE_PAUSED,
        "rule": rule,
        "reason": Reason.RULE_FORBIDDEN,
    }
    ending = {
        "kind": AlertKind.VERSION_ENDING,
        "facts": {"on": "2027-09-15", "version": "202609"},
        "stage": 7,
    }
    held = {"kind": AlertKind.HOLD_ENDING, "facts": {"on": "2027-09-15"}, "stage": 3}
    for fields in (paused, ending, held):
        Alert.objects.create(company=company, **fields)

    html = client_as(ops).get("/integrations/linkedin/alerts/").content.decode()

    anchors = re.findall(rf'href="{TROUBLESHOOTING}#([\w-]+)"', html)
    assert anchors == ["on-hold", "reason-version_retired", "reason-rule_forbidden"]
    assert set(anchors) <= {
        section.anchor for section in all_pages()["troubleshooting"].sections
    }
