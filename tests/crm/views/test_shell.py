"""Signing in and out, the colours, the pages that stand alone."""

import pytest
from django.conf import settings
from django.test import Client

from crm.views import errors
from postgresql.availability import Unavailable
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def test_one_signs_in_with_the_address_in_any_case(sales):
    response = Client().post(
        "/login/",
        {"username": " Sales@Example.com ", "password": PASSWORD, "next": "/leads/"},
    )

    assert response.url == "/leads/"


@pytest.mark.parametrize(
    "username", ["sales@example.com", "nobody@example.com", "\x00", ""]
)
def test_a_wrong_password_says_nothing_about_who_exists(sales, username):
    response = Client().post("/login/", {"username": username, "password": "wrong"})

    assert response.status_code == 200
    assert not response.wsgi_request.user.is_authenticated


def test_an_unknown_address_and_a_wrong_password_read_the_same(sales):
    message = "Incorrect e-mail address or password."

    wrong = Client().post(
        "/login/", {"username": "sales@example.com", "password": "wrong"}
    )
    unknown = Client().post(
        "/login/", {"username": "nobody@example.com", "password": "wrong"}
    )

    assert message in wrong.content.decode()
    assert message in unknown.content.decode()


def test_signing_in_leads_to_no_other_site(sales):
    response = Client().post(
        "/login/",
        {
            "username": "sales@example.com",
            "password": PASSWORD,
            "next": "https://elsewhere.example/",
        },
    )

    assert response.url == "/"


def test_signing_out_works_even_when_the_session_has_ended(client_as, sales):
    client = client_as(sales)

    assert client.post("/logout/").url == "/login/"
    assert client.post("/logout/").url == "/login/"


def test_a_part_asked_for_after_the_session_ended_loads_the_whole_page_again(db):
    response = Client().get("/login/?next=/leads/", headers={"HX-Request": "true"})

    assert response.headers["HX-Refresh"] == "true"


def test_the_choice_of_colours_is_kept_in_a_cookie(client_as, sales):
    client = client_as(sales)

    response = client.post("/theme/", {"theme": "dark", "next": "/deals/"})

    assert response.url == "/deals/"
    assert client.cookies["theme"]["httponly"]
    assert (
        '<html lang="en-GB" data-theme="dark">'
        in client.get("/leads/").content.decode()
    )


def test_an_unknown_theme_is_ignored(client_as, sales):
    client = client_as(sales)

    client.post("/theme/", {"theme": '"><script>'})
    client.cookies["theme"] = "nonsense"

    assert (
        '<html lang="en-GB" data-theme="auto">'
        in client.get("/leads/").content.decode()
    )


def test_a_missing_page_stands_alone(client_as, sales):
    response = client_as(sales).get("/nowhere/")

    assert response.status_code == 404
    assert (
        "This page doesn't exist, or it belongs to another company."
        in response.content.decode()
    )


def test_a_form_without_its_token_says_what_to_do(sales):
    response = Client(enforce_csrf_checks=True).post(
        "/login/", {"username": "x", "password": "y"}
    )

    assert response.status_code == 403
    assert "Go back, reload the page and try again." in response.content.decode()


def took_long(request):
    return errors.unavailable(request, Unavailable.TOO_SLOW)


@pytest.mark.parametrize(
    ("answer", "status", "heading"),
    [
        (errors.server_error, 500, "Something went wrong"),
        (took_long, 503, "That took too long"),
    ],
)
def test_the_page_for_a_failure_needs_no_database(
    rf, django_assert_num_queries, answer, status, heading
):
    with django_assert_num_queries(0):
        response = answer(rf.get("/leads/"))

    assert response.status_code == status
    assert heading in response.content.decode()


def test_a_page_that_took_too_long_can_be_asked_for_again_and_a_form_is_not_sent_again_by_a_link(
    rf,
):
    page, form = (
        took_long(rf.get("/leads/?source=A%26B")),
        took_long(rf.post("/leads/status/")),
    )

    assert (
        '<a class="button primary" href="/leads/?source=A%26B">Try again</a>'
        in page.content.decode()
    )
    assert "Try again</a>" not in form.content.decode()


def test_what_a_script_replaces_does_not_load_the_page_again():
    """What htmx inserts is parsed as if there were no scripts: a <meta> in its <noscript> would take effect."""
    templates = settings.BASE_DIR / "templates"
    text_of = {
        path.relative_to(templates): path.read_text()
        for path in templates.rglob("*.html")
    }

    refreshing = {
        str(path) for path, text in text_of.items() if 'http-equiv="refresh"' in text
    }
    assert refreshing == {
        "_parts/refresh.html",
        "account/company_sign_in_continue.html",
        "account/company_sign_out.html",
    }
    pages = [
        path.name for path, text in text_of.items() if "_parts/refresh.html" in text
    ]
    assert pages
    assert not [name for name in pages if name.startswith("_")]
