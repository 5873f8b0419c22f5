"""One event's page: every attempt, and exactly the JSON that was or would be sent."""

import json
from html import unescape

import pytest
from django.urls import reverse

from capi import services
from capi.linkedin.sandbox.faults import Fault
from capi.models import Connection, ConversionEvent
from crm.models import Lead, Stage
from crm.services.erasure import erase_lead
from tests.capi.conftest import received, send_all
from tests.conftest import TOKEN, make_deal, make_lead

pytestmark = pytest.mark.django_db(transaction=True)

# Of test@example.com.
ADA = "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"


@pytest.fixture
def web(client_as, ops):
    return client_as(ops)


def win_a_deal(company, currency="EUR", **lead_fields) -> ConversionEvent:
    """Win a deal of a new lead. Returns the only conversion event."""
    lead = make_lead(company, **{"email": "Test@Example.COM", **lead_fields})
    deal = make_deal(lead, amount="1250.00", currency=currency)
    deal.stage = Stage.objects.get(company=company, meaning="won")
    deal.save()
    return ConversionEvent.objects.get()


def page_of(web, event) -> str:
    return web.get(event.get_absolute_url()).content.decode()


def json_on(page: str) -> dict:
    return json.loads(
        unescape(page.split('<pre class="code"')[1].split(">", 1)[1].split("</pre>")[0])
    )


def test_a_sent_event_shows_the_very_json_that_linkedin_got(
    web, company, connected, sandbox, make_rule
) -> None:
    make_rule("deal_won", "104012")
    event = win_a_deal(company)
    send_all(company)

    page = page_of(web, event)

    assert "What was sent" in page
    assert [json_on(page)] == received(sandbox)
    assert json_on(page)["user"]["userIds"] == [
        {"idType": "SHA256_EMAIL", "idValue": ADA}
    ]
    assert json_on(page)["conversionValue"] == {
        "currencyCode": "EUR",
        "amount": "1250.00",
    }
    assert "test@example.com" not in page.lower()


def test_what_was_sent_stays_as_it_was_when_lead_and_rule_change_later(
    web, company, connected, sandbox, make_rule
) -> None:
    rule = make_rule("deal_won", "104012")
    event = win_a_deal(company)
    send_all(company)
    Lead.objects.update(email="other@example.com")
    rule.linkedin_id, rule.send_value = "104999", False
    services.save_rule(rule=rule)

    page = page_of(web, event)

    assert [json_on(page)] == received(sandbox)


def test_an_amount_without_a_currency_is_told_before_and_after_the_event_is_sent(
    web, company, connected, sandbox, make_rule
) -> None:
    make_rule("deal_won", "104012")
    event = win_a_deal(company, currency="")

    before = page_of(web, event)
    send_all(company)
    after = page_of(web, event)

    told = "The deal had an amount but no currency, so no value is sent."
    assert [told in page for page in (before, after)] == [True, True]
    assert "conversionValue" not in json_on(after)


def test_a_queued_event_shows_what_would_be_sent_now(web, company, make_rule) -> None:
    services.save_token(company=company, token=TOKEN)
    make_rule("deal_won", "104012")
    event = win_a_deal(company)

    page = page_of(web, event)

    assert "What would be sent now" in page
    assert json_on(page) == {
        "conversion": "urn:lla:llaPartnerConversion:104012",
        "conversionHappenedAt": int(event.happened_at.timestamp() * 1000),
        "eventId": event.event_id,
        "conversionValue": {"currencyCode": "EUR", "amount": "1250.00"},
        "user": {"userIds": [{"idType": "SHA256_EMAIL", "idValue": ADA}]},
    }
    assert "test@example.com" not in page.lower()


def test_a_waiting_event_would_send_nothing_and_says_why(
    web, company, make_rule
) -> None:
    make_rule("deal_won")
    event = win_a_deal(company, email="")

    page = page_of(web, event)

    assert "Nothing would be sent." in page
    assert "The lead has no e-mail address" in page
    assert '<pre class="code"' not in page


def test_a_skipped_event_sent_nothing_and_says_why(web, company, make_rule) -> None:
    make_rule("deal_won")
    event = win_a_deal(company, share_with_ad_platforms=False)

    page = page_of(web, event)

    assert "Nothing was sent." in page
    assert "The lead is not shared with ad platforms." in page


def test_every_attempt_is_listed_newest_first(
    web, company, connected, sandbox, make_rule
) -> None:
    make_rule("deal_won")
    event = win_a_deal(company)
    sandbox.faults.add(Fault(status=503, body="<h1>Service Unavailable</h1>"))
    send_all(company)
    trying = page_of(web, event)
    ConversionEvent.objects.update(next_attempt_at=event.created_at)
    Connection.objects.update(next_attempt_at=None)
    send_all(company)

    page = web.get(event.get_absolute_url())

    assert "Retrying" in trying
    assert "<dt>Response</dt><dd>HTTP 503</dd>" in trying
    assert "What would be sent now" in trying
    assert [attempt.http_status for attempt in page.context["attempts"]] == [201, 503]
    assert "HTTP 503" in page.content.decode()


def test_a_held_event_says_what_to_do(web, company, make_rule) -> None:
    services.save_token(company=company, token=TOKEN)
    make_rule("deal_won")
    event = win_a_deal(company)
    Connection.objects.update(is_paused=True, paused_reason="token_refused")

    page = page_of(web, event)

    assert "<dd>None: not sent yet</dd>" in page
    assert "HTTP 401" not in page
    assert '<span class="badge">0</span>' not in page
    assert "Ask an admin to save a new access token." in page
    assert "data-live" not in page


@pytest.mark.parametrize("reason", ["rule_forbidden", "rule_misconfigured"])
def test_an_event_held_by_its_rule_was_not_sent_whatever_paused_the_rule(
    web, company, connected, make_rule, reason
) -> None:
    make_rule("deal_won", is_paused=True, paused_reason=reason)
    event = win_a_deal(company)

    page = page_of(web, event)

    assert "<dt>Response</dt><dd>None: not sent yet</dd>" in page
    assert "HTTP 403" not in page


def test_a_skipped_event_was_never_sent(web, company, make_rule) -> None:
    make_rule("deal_won")
    event = win_a_deal(company, share_with_ad_platforms=False)

    assert "<dt>Response</dt><dd>None: never sent</dd>" in page_of(web, event)


def test_the_response_is_the_one_to_the_event_and_not_to_its_rule(
    web, company, connected, sandbox, make_rule
) -> None:
    rule = make_rule("deal_won")
    event = win_a_deal(company)
    sandbox.faults.add(Fault(status=503, body="<h1>Service Unavailable</h1>"))
    send_all(company)
    rule.is_paused, rule.paused_reason = True, "rule_forbidden"
    rule.save()

    page = page_of(web, event)

    assert "<dt>Response</dt><dd>HTTP 503</dd>" in page
    assert "HTTP 403" not in page


def test_an_admin_is_told_what_ops_ask_an_admin_for(
    client_as, admin, company, make_rule
) -> None:
    services.save_token(company=company, token=TOKEN)
    make_rule("deal_won")
    event = win_a_deal(company)
    Connection.objects.update(is_paused=True, paused_reason="token_refused")

    page = page_of(client_as(admin), event)

    assert "Generate a new token in Campaign Manager" in page
    assert "Ask an admin" not in page


def test_an_event_on_its_way_refreshes_itself_until_it_is_sent(
    web, company, connected, make_rule
) -> None:
    make_rule("deal_won")
    event = win_a_deal(company)

    before = page_of(web, event)
    send_all(company)
    after = page_of(web, event)

    assert (
        f'data-live hx-get="{event.get_absolute_url()}" hx-trigger="every 2s"' in before
    )
    assert "data-live" not in after


def test_a_test_event_shows_the_hash_of_an_address_that_nobody_has(
    web, company, connected, sandbox, make_rule
) -> None:
    rule = make_rule("deal_won", "104012")
    event = services.send_test_event(rule=rule)

    before = json_on(page_of(web, event))
    send_all(company)
    after = json_on(page_of(web, event))

    assert before == after
    assert [after] == received(sandbox)
    assert "conversionValue" not in after


def test_an_event_of_a_deleted_rule_and_lead_can_still_be_read(
    web, company, connected, make_rule
) -> None:
    rule = make_rule("lead_created")
    lead = make_lead(company)
    send_all(company)
    event = ConversionEvent.objects.get()
    rule.delete()
    lead.delete()

    page = page_of(web, event)

    assert "The lead was deleted" in page
    assert "deleted</span>" in page


def test_an_erased_lead_is_not_called_deleted(
    web, company, connected, make_rule
) -> None:
    make_rule("lead_created")
    erase_lead(lead=make_lead(company))
    event = ConversionEvent.objects.get()

    pages = [
        page_of(web, event),
        web.get(reverse("events")).content.decode(),
        web.get("/dashboard/").content.decode(),
    ]

    assert "The lead was erased" in pages[0]
    assert '<span class="muted">erased</span>' in pages[1]
    assert "Lead erased" in pages[2]


@pytest.mark.parametrize(
    ("is_test", "step"),
    [
        (False, "Correct the data, then retry the event"),
        (True, "A test event contains none of your data"),
    ],
)
def test_a_refused_event_says_what_to_do_about_it(
    web, make_rule, is_test, step
) -> None:
    rule = make_rule()
    event = ConversionEvent.objects.create(
        company=rule.company,
        rule=rule,
        state="rejected",
        reason="data_refused",
        is_test=is_test,
    )

    page = page_of(web, event)

    assert step in page
    assert ("Correct the data" in page) is not is_test


def test_it_takes_the_same_queries_with_or_without_a_history(
    web, company, connected, make_rule, django_assert_num_queries
) -> None:
    make_rule("deal_won")
    event = win_a_deal(company)
    send_all(company)

    # Session, person, company; the event, the line, its earlier attempts.
    with django_assert_num_queries(6):
        web.get(event.get_absolute_url())
