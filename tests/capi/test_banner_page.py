"""The banners above every page: the sandbox, another address, and a paused line."""

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from capi import services
from capi.models import Connection
from tests.conftest import TOKEN

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


def test_every_page_says_that_the_sandbox_is_on(client_as, sales, settings) -> None:
    settings.LINKEDIN_SANDBOX = True

    page = client_as(sales).get(LEADS).content.decode()

    assert "Events go to a stand-in for LinkedIn" in page
    assert reverse("sandbox") in page


def test_every_page_says_where_events_go_if_not_to_linkedin(client_as, sales, settings) -> None:
    settings.LINKEDIN_API_URL = "http://127.0.0.1:9"

    page = client_as(sales).get(LEADS).content.decode()

    assert "Events go to <strong>http://127.0.0.1:9</strong>, not to LinkedIn." in page


def test_admins_and_ops_see_that_the_line_is_paused_and_sales_do_not(client_as, admin, ops, sales, paused) -> None:
    pages = [client_as(member).get(LEADS).content.decode() for member in (admin, ops, sales)]

    assert [PAUSED in page for page in pages] == [True, True, False]
    assert "LinkedIn says 401" in pages[0]


def test_the_linkedin_page_says_it_at_length_instead(client_as, admin, paused) -> None:
    page = client_as(admin).get(reverse("linkedin")).content.decode()

    assert PAUSED not in page
    assert "Sending is paused." in page


def test_it_costs_one_query_and_none_for_sales(client_as, admin, sales, paused) -> None:
    def queries_for_the_line(member) -> int:
        with CaptureQueriesContext(database) as queries:
            client_as(member).get(LEADS)
        return len([query for query in queries if "capi_connection" in query["sql"]])

    asked = [queries_for_the_line(member) for member in (admin, sales)]

    assert asked == [1, 0]
