"""What goes wrong sooner or later, as an admin sees it in a browser: from the first symptom to the last event sent."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from capi import services
from capi.delivery import sweep
from capi.models import SWEEP, ConversionEvent, Heartbeat
from tests.browser.looks import open_page
from tests.browser.story import Story
from tests.browser.test_capi_pages import LINKEDIN
from tests.capi.alerts.conftest import _post_office as post_office
from tests.capi.alerts.conftest import line
from tests.capi.conftest import received
from tests.conftest import sign_in

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["line", "post_office"]

REVOKED = '{"status":401,"serviceErrorCode":65601,"code":"REVOKED_ACCESS_TOKEN","message":"Revoked by the user"}'
RETIRED = '{"status":426,"code":"NONEXISTENT_VERSION","message":"Requested version 20260900 is not active"}'
UNKNOWN_RULE = '{"status":404,"message":"Not found"}'

PAUSED, GOES_ON = (
    "Northwind BV: sending to LinkedIn is paused",
    "Northwind BV: sending to LinkedIn has resumed",
)


@pytest.fixture
def story(page, company, admin, line, sandbox, make_rule) -> Story:
    """All OK: there is one rule, its only event so far was sent, and the admin is on the LinkedIn page."""
    services.save_ad_account(company=company, ad_account_id="512345678")
    story = Story(
        page, company, sandbox, make_rule("lead_created", "104012", name="New lead")
    )
    story.a_lead_comes_in("Ada")
    assert len(received(sandbox)) == 1
    Heartbeat.objects.beat(SWEEP)
    story.admin_is_mailed()
    sign_in(page, admin)
    open_page(page, LINKEDIN)
    return story


def test_a_token_is_revoked_and_replaced(story) -> None:
    story.linkedin_refuses(401, REVOKED)
    story.leads_come_in(50)

    story.admin_is_mailed(PAUSED)
    story.banner_says("50 events are on hold", "LinkedIn says 401")
    story.doctor_leaves_to_the_page("Access token")

    story.admin_replaces_the_token()
    story.worker_delivers()

    story.all_is_sent_oldest_first(count=51)
    story.admin_is_mailed(GOES_ON)
    story.all_is_well_again(sent=51)


def test_linkedin_retires_the_version(story, settings) -> None:
    story.linkedin_refuses(426, RETIRED)
    story.leads_come_in(50)

    story.admin_is_mailed(PAUSED)
    story.banner_says("50 events are on hold", "LINKEDIN_API_VERSION")
    story.doctor_leaves_to_the_page("API version")
    assert set(
        ConversionEvent.objects.filter(state="pending").values_list(
            "attempts", flat=True
        )
    ) == {0}

    settings.LINKEDIN_API_VERSION = "202608"
    sweep.due_companies()
    story.worker_delivers()

    story.all_is_sent_oldest_first(count=51)
    story.admin_is_mailed(GOES_ON)
    story.all_is_well_again(sent=51)


def test_linkedin_refuses_a_rule(story) -> None:
    story.linkedin_refuses(404, UNKNOWN_RULE)
    story.leads_come_in(50)

    story.admin_is_mailed("Northwind BV: the rule “New lead” is paused")
    story.rules_row_says("50 on hold", opened="LinkedIn says 404")
    story.doctor_leaves_to_the_page("Rule ids")

    story.admin_gives_the_rule_another_id("104013")
    story.worker_delivers()

    story.all_is_sent_oldest_first(count=51)
    story.admin_is_mailed("Northwind BV: the rule “New lead” has resumed")
    story.all_is_well_again(sent=51)


def test_a_lead_gets_its_address_later(story, page) -> None:
    lead = story.a_lead_comes_in("Grace", email="")

    story.admin_enters_an_address(lead, "grace@example.com")
    story.worker_delivers()

    page.reload()
    expect(page.get_by_text("Sent to LinkedIn").first).to_be_visible()
    assert len(received(story.sandbox)) == 2
    story.admin_is_mailed()
    story.all_is_well_again(sent=2)


def test_an_event_turns_90_days_while_it_is_on_hold(story, page) -> None:
    story.linkedin_refuses(401, REVOKED)
    old = ConversionEvent.objects.filter(lead=story.a_lead_comes_in("Old"))
    fresh = ConversionEvent.objects.filter(lead=story.a_lead_comes_in("Fresh"))
    story.admin_is_mailed(PAUSED)

    old.update(happened_at=timezone.now() - timedelta(days=87))
    story.admin_is_mailed("Northwind BV: events on hold expire within 3 days")
    story.banner_says("(in 3 days): LinkedIn rejects events older than 90 days.")

    old.update(happened_at=timezone.now() - timedelta(days=90, hours=1))
    story.admin_replaces_the_token()
    story.worker_delivers()

    open_page(page, old.get().get_absolute_url())
    expect(page.locator("#event")).to_contain_text(
        "The event is older than 90 days. LinkedIn would reject it."
    )
    assert fresh.get().state == "accepted"
    assert story.ids_that_linkedin_took()[1:] == [fresh.get().event_id]
    story.all_is_well_again(sent=2, not_sent=1)
