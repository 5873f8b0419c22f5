"""The banners above every page: the sandbox, another address, what is paused or on hold, and what ends soon."""

import re

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from capi import services
from capi.delivery import pauses
from capi.models import Connection
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db

LEADS = reverse("leads")
PAUSED = "Nothing is sent at the moment."


@pytest.fixture
def paused(company) -> None:
    services.save_token(company=company, token=TOKEN)
    Connection.objects.update(is_paused=True, paused_reason="token_refused")


def test_there_is_none_where_events_go_to_linkedin(client_as, admin, settings) -> None:
    settings.LINKEDIN_API_URL = settings.LINKEDIN_REAL_URL

    page = client_as(admin).get(LEADS).content.decode()

    assert 'class="banner' not in page


def test_every_page_says_that_the_sandbox_is_on(
    client_as, sales, ops, settings
) -> None:
    settings.LINKEDIN_SANDBOX = True

    pages = [client_as(member).get(LEADS).content.decode() for member in (sales, ops)]

    assert ["Events go to a stand-in for LinkedIn" in page for page in pages] == [
        True,
        True,
    ]
    # Sales don't see what it received.
    assert [reverse("sandbox") in page for page in pages] == [False, True]


def test_every_page_says_where_events_go_if_not_to_linkedin(
    client_as, sales, settings
) -> None:
    settings.LINKEDIN_API_URL = "http://127.0.0.1:9"

    page = client_as(sales).get(LEADS).content.decode()

    assert "Events go to http://127.0.0.1:9, not to LinkedIn." in page


def test_admins_and_ops_see_that_the_line_is_paused_and_sales_do_not(
    client_as, admin, ops, sales, paused
) -> None:
    pages = [
        client_as(member).get(LEADS).content.decode() for member in (admin, ops, sales)
    ]

    assert [PAUSED in page for page in pages] == [True, True, False]
    assert "LinkedIn says 401" in pages[0]


def test_a_pause_of_all_sending_is_on_every_page_and_no_admin_can_end_it(
    client_as, admin, ops, sales, company
) -> None:
    services.save_token(company=company, token=TOKEN)
    pauses.pause_all()

    pages = [
        client_as(member).get(LEADS).content.decode() for member in (admin, ops, sales)
    ]
    page = client_as(admin).get(reverse("linkedin")).content.decode()
    answer = (
        client_as(admin)
        .post(reverse("connection_resume"), follow=True)
        .content.decode()
    )

    assert ["its operator has paused all sending" in page for page in pages] == [
        True,
        True,
        False,
    ]
    assert "manage.py resume_sending" in page
    assert reverse("connection_resume") not in page
    assert "The operator of LeadMachine has to resume it first." in answer
    assert Connection.objects.get().is_paused


def test_the_linkedin_page_says_it_at_length_instead(client_as, admin, paused) -> None:
    page = client_as(admin).get(reverse("linkedin")).content.decode()

    assert PAUSED not in page
    assert "Sending is paused." in page


def test_elsewhere_a_paused_rule_is_a_number_in_the_menu(
    client_as, ops, sales, paused, make_rule
) -> None:
    Connection.objects.update(is_paused=False)
    make_rule(is_paused=True, paused_reason="rule_not_found")
    make_rule(
        "deal_won", is_active=False, is_paused=True, paused_reason="rule_not_found"
    )

    pages = [client_as(member).get(LEADS).content.decode() for member in (ops, sales)]

    [number] = re.findall(r'class="badge wait number">(.*?)</span></span>', pages[0])
    assert re.sub(r"<[^>]*>|\s+", " ", number).split() == ["1", "paused", "rule"]
    assert "See why" not in pages[0]
    assert "paused" not in pages[1]


def test_the_pages_about_linkedin_say_how_much_is_on_hold_and_until_when(
    client_as, ops, company, paused, make_rule
):
    make_rule()
    make_lead(company)
    pages = [
        client_as(ops).get(reverse(name)).content.decode()
        for name in ("overview", "reconcile", "alerts")
    ]

    for page in pages:
        assert "<strong>1 event is on hold.</strong> LinkedIn says 401" in page
        assert "Fix this by " in page
        assert PAUSED not in page


def test_after_the_token_was_removed_they_say_it_too(
    client_as, ops, company, paused, make_rule
) -> None:
    make_rule()
    make_lead(company)
    services.remove_token(company=company)

    page = client_as(ops).get(reverse("overview")).content.decode()

    assert "<strong>1 event is on hold.</strong> No access token is saved." in page


def test_the_versions_end_is_told_to_ops_and_the_tokens_to_admins_alone(
    client_as, admin, ops, sales, paused, settings
) -> None:
    settings.LINKEDIN_API_VERSION = "202511"
    Connection.objects.update(token_expires_on=timezone.localdate())

    pages = [
        client_as(member).get(LEADS).content.decode() for member in (admin, ops, sales)
    ]

    assert ["switched off API version 202511" in page for page in pages] == [
        True,
        True,
        False,
    ]
    assert ["The access token was due to expire on" in page for page in pages] == [
        True,
        False,
        False,
    ]


def test_while_all_is_well_the_pages_about_linkedin_ask_for_nothing_more(
    client_as, ops, company, make_rule
) -> None:
    services.save_token(company=company, token=TOKEN)
    make_rule()
    make_lead(company)
    web = client_as(ops)

    with CaptureQueriesContext(database) as queries:
        web.get(reverse("alerts"))

    assert (
        len([query for query in queries if "capi_conversionevent" in query["sql"]]) == 0
    )


def test_it_costs_one_query_and_none_for_sales(client_as, admin, sales, paused) -> None:
    def queries_for_the_line(member) -> int:
        with CaptureQueriesContext(database) as queries:
            client_as(member).get(LEADS)
        return len([query for query in queries if "capi_connection" in query["sql"]])

    asked = [queries_for_the_line(member) for member in (admin, sales)]

    assert asked == [1, 0]


def test_the_linkedin_page_says_it_once(client_as, admin, paused) -> None:
    page = client_as(admin).get(reverse("linkedin")).content.decode()

    assert PAUSED not in page
    assert "Sending is paused." in page
