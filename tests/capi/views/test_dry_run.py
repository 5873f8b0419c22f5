"""A dry run shows to the byte what a delivery sends, says whether it would, and leaves no trace."""

import json
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from capi import services
from capi.delivery import http_session
from capi.linkedin.identity import email_sha256
from capi.models import Connection, ConversionEvent
from crm.services.erasure import erase_lead
from tests.capi.conftest import requests_made, send_all
from tests.capi.linkedin.wire import CREATED, Wire, headers_of, keeping_alive
from tests.conftest import TOKEN, make_deal, make_lead

pytestmark = pytest.mark.django_db

PAGE = reverse("dry_run")


@pytest.fixture
def web(client_as, ops):
    return client_as(ops)


def shown(page: str) -> list[str]:
    """Request line and headers, and the body."""
    return [
        unescape(part.split(">", 1)[1].split("</pre>")[0])
        for part in page.split('<pre class="code"')[1:]
    ]


def words(web, **query) -> str:
    return web.get(PAGE, query).context["found"].words.what


def test_it_shows_the_very_request_that_is_sent_afterwards(
    web, company, token, make_rule, settings
) -> None:
    with Wire(keeping_alive(CREATED)) as linkedin:
        settings.LINKEDIN_API_URL = linkedin.url
        rule = make_rule("deal_created", "104012")
        deal = make_deal(
            make_lead(company, email=" Test@Example.COM "), amount="1250.50"
        )

        page = web.get(PAGE, {"deal": deal.pk, "rule": rule.pk})
        asked_before = len(linkedin.requests)
        send_all(company)
        http_session.close()

    head, body = shown(page.content.decode())
    line, *headers = head.strip().splitlines()
    sent_head, _, sent_body = linkedin.requests[0].partition(b"\r\n\r\n")
    assert asked_before == 0
    assert len(linkedin.requests) == 1
    assert body.encode() == sent_body
    assert line == f"POST {linkedin.url}/rest/conversionEvents"
    assert sent_head.startswith(b"POST /rest/conversionEvents HTTP/1.1\r\n")
    sent_headers = headers_of(linkedin.requests[0]) | {"Authorization": "Bearer ••••"}
    assert dict(header.split(": ", 1) for header in headers) == sent_headers
    assert TOKEN not in page.content.decode()


def test_address_and_hash_are_shown_as_they_are_hashed(
    web, company, token, make_rule
) -> None:
    make_rule()
    lead = make_lead(company, email="Test@Example.COM")

    page = web.get(PAGE, {"lead": lead.pk})

    found = page.context["found"]
    assert (found.address, found.sha256) == (
        "test@example.com",
        email_sha256("test@example.com"),
    )
    assert "<code>test@example.com</code>" in page.content.decode()


def test_what_has_not_happened_yet_is_shown_as_it_would_be(
    web, company, token, make_rule
) -> None:
    lead = make_lead(company)
    rule = make_rule("lead_qualified")

    page = web.get(PAGE, {"lead": lead.pk, "rule": rule.pk})

    found = page.context["found"]
    assert (found.words.label, found.event) == ("Would be sent", None)
    assert f'"eventId":"lm-{0:032x}-{rule.pk}"' in found.request.body
    assert "Time and event id are set when it happens" in page.content.decode()


def test_it_leaves_no_trace(web, company, connected, sandbox, make_rule) -> None:
    lead = make_lead(company)
    rule = make_rule("lead_qualified")

    with CaptureQueriesContext(database) as queries:
        web.get(PAGE, {"lead": lead.pk, "rule": rule.pk})

    assert not [
        query["sql"] for query in queries if not query["sql"].startswith("SELECT")
    ]
    assert requests_made(sandbox) == []
    assert not ConversionEvent.objects.exists()


def test_each_reason_against_it_is_named(web, company, make_rule) -> None:
    rule = make_rule("lead_qualified")
    lead, off = make_lead(company), make_rule("lead_created", is_active=False)
    silent, opted_out = (
        make_lead(company, email=""),
        make_lead(company, share_with_ad_platforms=False),
    )

    said = {"no token": words(web, lead=lead.pk, rule=rule.pk)}
    services.save_token(company=company, token=TOKEN)
    said["no e-mail"] = words(web, lead=silent.pk, rule=rule.pk)
    said["opted out"] = words(web, lead=opted_out.pk, rule=rule.pk)
    said["rule off"] = words(web, lead=lead.pk, rule=off.pk)
    said["no deal"] = words(web, lead=lead.pk, rule=make_rule("deal_won").pk)
    rule.is_paused, rule.paused_reason = True, "rule_not_found"
    rule.save()
    said["rule paused"] = words(web, lead=lead.pk, rule=rule.pk)
    Connection.objects.update(is_paused=True, paused_reason="token_refused")
    said["line paused"] = words(web, lead=lead.pk, rule=rule.pk)

    assert said == {
        "no token": "No access token is saved.",
        "no e-mail": "The lead has no e-mail address. LinkedIn would reject the event (422).",
        "opted out": "The lead is not shared with ad platforms.",
        "rule off": "The rule is switched off, so its events are not sent.",
        "no deal": "This rule is about deals, and this lead has none.",
        "rule paused": "LinkedIn says 404: there is no conversion rule with this id.",
        "line paused": "LinkedIn says 401: the access token is expired, revoked or invalid.",
    }


@pytest.mark.parametrize("why", ["opted out", "rule off", "too old"])
def test_what_is_refused_is_shown_with_the_request_that_it_would_be(
    web, company, token, make_rule, why
) -> None:
    rule = make_rule("lead_created", "104012")
    lead = make_lead(company, email="Test@Example.COM")
    if why == "too old":
        ConversionEvent.objects.update(happened_at=timezone.now() - timedelta(days=91))
    elif why == "rule off":
        type(rule).objects.update(is_active=False)
    else:
        type(lead).objects.filter(pk=lead.pk).update(share_with_ad_platforms=False)

    page = web.get(PAGE, {"lead": lead.pk, "rule": rule.pk})

    found, (_, body) = page.context["found"], shown(page.content.decode())
    assert (found.is_refused, found.address) == (True, "test@example.com")
    assert json.loads(body)["user"]["userIds"] == [
        {"idType": "SHA256_EMAIL", "idValue": found.sha256}
    ]
    assert "The request that would have been sent" in page.content.decode()


@pytest.mark.parametrize(
    ("currency", "send_value", "is_told"),
    [("", True, True), ("EUR", True, False), ("", False, False)],
)
def test_an_amount_without_a_currency_is_told(
    web, company, token, make_rule, currency, send_value, is_told
) -> None:
    rule = make_rule("deal_won", send_value=send_value)
    deal = make_deal(make_lead(company), currency=currency)

    page = web.get(PAGE, {"deal": deal.pk, "rule": rule.pk})

    assert ("conversionValue" in page.context["found"].request.body) == (
        bool(currency) and send_value
    )
    assert (
        "The deal had an amount but no currency" in page.content.decode()
    ) == is_told


def test_without_an_address_there_is_no_request_and_without_a_deal_just_the_hash(
    web, company, token, make_rule
) -> None:
    lead_rule, deal_rule = make_rule("lead_created"), make_rule("deal_won")
    silent, lead = make_lead(company, email=""), make_lead(company)

    nothing = web.get(PAGE, {"lead": silent.pk, "rule": lead_rule.pk}).context["found"]
    no_deal = web.get(PAGE, {"lead": lead.pk, "rule": deal_rule.pk}).context["found"]

    assert (nothing.request, nothing.sha256) == (None, "")
    assert (no_deal.request, no_deal.sha256) == (None, email_sha256(lead.email))


@pytest.mark.django_db(transaction=True)
def test_what_is_refused_is_shown_and_still_goes_nowhere(
    web, company, connected, sandbox, make_rule
) -> None:
    rule = make_rule()
    lead = make_lead(company, share_with_ad_platforms=False)

    web.get(PAGE, {"lead": lead.pk, "rule": rule.pk})
    send_all(company)

    assert requests_made(sandbox) == []


def test_a_place_that_is_taken_is_named_with_the_event_that_has_it(
    web, company, token, make_rule
) -> None:
    rule = make_rule()
    lead = make_lead(company)
    ConversionEvent.objects.update(state="accepted", next_attempt_at=None)

    found = web.get(PAGE, {"lead": lead.pk, "rule": rule.pk}).context["found"]

    assert found.words.what.startswith(
        "This rule sends one event for each lead or deal"
    )
    assert found.taken_by == ConversionEvent.objects.get()


@pytest.mark.django_db(transaction=True)
def test_nothing_is_shown_of_an_erased_person(web, company, token, make_rule) -> None:
    rule = make_rule()
    lead = make_lead(company)
    erase_lead(lead=lead)

    found = web.get(PAGE, {"lead": lead.pk, "rule": rule.pk}).context["found"]

    assert (found.words.what, found.request, found.address) == (
        "The person was erased before the event was sent.", None, "",
    )  # fmt: skip


def test_from_a_rule_one_searches_for_a_lead(web, company, token, make_rule) -> None:
    rule = make_rule()
    grace, ada = make_lead(company, first_name="Grace"), make_lead(company)

    everyone = web.get(PAGE, {"rule": rule.pk}).context["leads"]
    found = web.post(f"{PAGE}?rule={rule.pk}", {"search": "grace"})

    assert list(everyone) == [ada, grace]
    assert list(found.context["leads"]) == [grace]
    assert f"{PAGE}?rule={rule.pk}&amp;lead={grace.pk}" in found.content.decode()


def test_another_companys_rows_are_not_found(
    web, company, other_company, token, make_rule
) -> None:
    rule, theirs = make_rule(), make_rule(company=other_company)
    own, lead = make_lead(company), make_lead(other_company)
    deal = make_deal(lead)
    queries = [
        {"lead": lead.pk, "rule": rule.pk},
        {"deal": deal.pk},
        {"lead": own.pk, "rule": theirs.pk},
        {"lead": "x"},
    ]

    assert [web.get(PAGE, query).status_code for query in queries] == [
        404,
        404,
        404,
        404,
    ]


@pytest.mark.parametrize("role", ["admin", "ops", "sales"])
def test_leads_and_deals_lead_to_it_for_those_who_see_the_log(
    request, client_as, company, role
) -> None:
    lead = make_lead(company)
    deal = make_deal(lead)
    web = client_as(request.getfixturevalue(role))

    pages = [web.get(row.get_absolute_url()).content.decode() for row in (lead, deal)]

    links = [f"{PAGE}?lead={lead.pk}", f"{PAGE}?deal={deal.pk}"]
    assert [link in page for link, page in zip(links, pages, strict=True)] == [
        role != "sales"
    ] * 2
    assert (web.get(PAGE, {"lead": lead.pk}).status_code == 403) == (role == "sales")
