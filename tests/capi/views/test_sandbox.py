"""The sandbox's page: what the stand-in received from this company, and how to choose its answers."""

import json
from html import unescape

import pytest
from django.urls import reverse

from capi import services
from capi.linkedin.sandbox.scenarios import ACCOUNTS, REFUSING_RULES, TOKENS
from capi.models import ConversionRule
from crm.models import Lead
from tests.capi.conftest import send_all
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = reverse("sandbox")


@pytest.fixture
def switched_on(settings, sandbox) -> str:
    """The name of the file in which the sandbox records what it receives."""
    settings.LINKEDIN_SANDBOX = True
    settings.LINKEDIN_SANDBOX_LEDGER = sandbox.ledger.path
    return sandbox.ledger.path.name


def test_there_is_no_such_page_without_the_sandbox(client_as, admin) -> None:
    answer = client_as(admin).get(PAGE)

    assert answer.status_code == 404


def test_nobody_sees_it_without_signing_in(client, switched_on) -> None:
    answer = client.get(PAGE)

    assert answer.url == f"/login/?next={PAGE}"


def test_it_shows_what_was_received_and_answered(
    client_as, ops, company, connected, switched_on, make_rule
) -> None:
    make_rule("lead_created", "104012")
    make_lead(company, email="test@example.com")
    send_all(company)

    page = client_as(ops).get(PAGE)

    (request,) = page.context["requests"]
    assert (request.entry.method, request.entry.path, request.entry.status) == (
        "POST",
        "/rest/conversionEvents",
        201,
    )
    html = page.content.decode()
    assert "urn:lla:llaPartnerConversion:104012" in html
    assert "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b" in html
    assert "test@example.com" not in html


@pytest.mark.parametrize(
    ("events", "further", "not_shown"), [(1, 0, 0), (12, 11, 0), (40, 24, 15)]
)
def test_of_a_batch_it_shows_each_event_as_far_as_there_is_room_and_says_where_the_rest_is(
    client_as,
    ops,
    company,
    connected,
    switched_on,
    make_rule,
    events,
    further,
    not_shown,
) -> None:
    make_rule()
    Lead.objects.bulk_create(
        Lead(
            company=company,
            first_name="Ada",
            email=f"p{number}@example.com",
            status=company_status(company),
        )
        for number in range(events)
    )
    send_all(company)

    page = client_as(ops).get(PAGE)

    (request,) = page.context["requests"]
    html = unescape(page.content.decode())
    shown = request.entry.elements[: 1 + further]
    assert (request.count, len(request.further), request.not_shown) == (
        events,
        further,
        not_shown,
    )
    assert [json.loads(text) for text in (request.first, *request.further)] == shown
    assert all(element["eventId"] in html for element in shown)
    assert "\n".join(request.further) in html
    rest = f"{not_shown} more events are not shown. <code>{switched_on}</code> has all of them,"
    assert (rest in html) is bool(not_shown)


def test_it_shows_the_headers_that_decide_how_a_request_is_read(
    client_as, ops, company, connected, switched_on, make_rule, settings
) -> None:
    make_rule()
    make_lead(company)
    send_all(company)
    make_lead(company)
    make_lead(company)
    send_all(company)

    html = client_as(ops).get(PAGE).content.decode()

    assert html.count(f"LinkedIn-Version: {settings.LINKEDIN_API_VERSION}<") == 2
    assert html.count("X-RestLi-Method: BATCH_CREATE<") == 1


def test_a_test_event_is_marked_and_no_other(
    client_as, ops, company, connected, switched_on, make_rule
) -> None:
    services.send_test_event(rule=make_rule())
    make_lead(company)
    send_all(company)

    page = client_as(ops).get(PAGE)

    marks = [request.is_test for request in page.context["requests"]]
    assert sorted(marks) == [False, True]
    assert page.content.decode().count('<span class="badge test">Test</span>') == 1


def company_status(company):
    return company.leadstatus_set.first()


def test_what_another_company_sent_is_not_shown(
    client_as, ops, company, other_company, connected, switched_on, make_rule
) -> None:
    services.save_token(company=other_company, token=TOKEN)
    ConversionRule.objects.create(
        company=other_company,
        crm_event="lead_created",
        linkedin_id="104999",
        name="Theirs",
    )
    make_lead(other_company)
    send_all(other_company)

    page = client_as(ops).get(PAGE)

    assert page.context["requests"] == []
    assert "104999" not in page.content.decode()
    assert "Nothing received yet" in page.content.decode()


def test_it_lists_every_choice_of_an_answer(client_as, ops, switched_on) -> None:
    page = client_as(ops).get(PAGE).content.decode()

    for choice in (*REFUSING_RULES, *TOKENS, *ACCOUNTS):
        assert f"<code>{choice.trigger}</code>" in page


def test_htmx_gets_the_requests_alone(client_as, ops, switched_on) -> None:
    part = client_as(ops).get(PAGE, headers={"HX-Request": "true"}).content.decode()

    assert part.lstrip().startswith('<section class="card" id="received"')


def test_sales_see_that_there_is_a_sandbox_and_not_what_it_received(
    client_as, sales, switched_on
) -> None:
    client = client_as(sales)

    assert client.get(PAGE).status_code == 403
    page = client.get("/leads/").content.decode()
    assert "Events go to a stand-in for LinkedIn" in page
    assert PAGE not in page
