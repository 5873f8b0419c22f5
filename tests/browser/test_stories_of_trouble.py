"""What goes wrong sooner or later, from the first sign to the last event sent, as an admin sees it in a browser."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from capi.models import SWEEP, ConversionEvent, Heartbeat
from capi.pipeline import sweep
from capi.pipeline.deliver import deliver
from capi.sandbox.faults import Fault
from tests.browser.test_capi_pages import EVENTS, LINKEDIN, assert_fit_to_use, open_page, save_token, worker
from tests.capi.alerts.conftest import _post_office as post_office
from tests.capi.alerts.conftest import line, look, subjects
from tests.capi.conftest import make_rule, received, sandbox
from tests.conftest import PASSWORD, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["line", "make_rule", "post_office", "sandbox", "worker"]

REVOKED = '{"status":401,"serviceErrorCode":65601,"code":"REVOKED_ACCESS_TOKEN","message":"Revoked by the user"}'
RETIRED = '{"status":426,"code":"NONEXISTENT_VERSION","message":"Requested version 20260900 is not active"}'


@pytest.fixture
def at_work(page, company, admin, line, sandbox, make_rule):
    """An admin at the LinkedIn page of a company with one rule, whose one event so far was sent."""
    rule = make_rule("lead_created", "104012", name="New lead")
    make_lead(company, first_name="Ada")
    deliver(company.pk)
    assert len(received(sandbox)) == 1
    Heartbeat.objects.beat(SWEEP)
    look(company)
    assert subjects() == []
    sign_in(page, admin)
    open_page(page, LINKEDIN)
    return rule


def fifty_more(company) -> None:
    for number in range(50):
        make_lead(company, first_name=f"Lead {number}", email=f"lead{number}@example.com")
        deliver(company.pk)


def check_everything(page, *, finding: str, badge: str, words: str) -> None:
    page.get_by_role("button", name="Check everything").click()
    row = page.locator("#findings li", has_text=finding).first
    expect(row).to_contain_text(badge)
    expect(row).to_contain_text(words)


def replace_token(page) -> None:
    """With the password that is asked for in between."""
    page.get_by_text("Replace the token").click()
    save_token(page)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_text("Replace the token").click()
    save_token(page)
    expect(page.locator("#connect")).to_contain_text("Connected")


def nothing_to_mend(page) -> None:
    open_page(page, LINKEDIN)
    page.get_by_role("button", name="Check everything").click()
    expect(page.locator("#checked")).to_contain_text("Checked")
    expect(page.locator("#findings")).not_to_contain_text("To mend")


def all_sent_oldest_first(page, sandbox, *, count: int) -> None:
    open_page(page, f"{EVENTS}?state=on_hold")
    expect(page.get_by_text("No such events")).to_be_visible(timeout=10_000)
    ids = list(ConversionEvent.objects.order_by("pk").values_list("event_id", flat=True))
    assert [element["eventId"] for element in received(sandbox)] == ids
    assert len(ids) == count


def reconcile_adds_up(page, *, sent: int) -> None:
    open_page(page, f"{reverse('reconcile')}?week={timezone.localdate()}")
    rows = page.get_by_role("table").first.locator("tbody tr").all_inner_texts()
    numbers = [int(re.findall(r"[\d,]+", row)[-1].replace(",", "")) for row in rows]
    assert (sum(numbers[:-1]), numbers[-1]) == (sent, sent)
    assert "Sent" in rows[0]


def test_a_token_is_revoked_and_replaced(page, company, sandbox, at_work) -> None:
    sandbox.faults.add(Fault(status=401, body=REVOKED))
    fifty_more(company)

    look(company)
    look(company)
    assert subjects() == ["Northwind BV: sending to LinkedIn is paused"]
    page.reload()
    expect(page.locator("#pause")).to_contain_text("50 events are on hold")
    expect(page.locator("#pause")).to_contain_text("LinkedIn says 401")
    assert_fit_to_use(page)
    check_everything(page, finding="Access token", badge="To mend", words="Generate a new token in Campaign Manager")

    replace_token(page)
    deliver(company.pk)

    all_sent_oldest_first(page, sandbox, count=51)
    look(company)
    look(company)
    assert subjects()[1:] == ["Northwind BV: sending to LinkedIn goes on"]
    nothing_to_mend(page)
    reconcile_adds_up(page, sent=51)


def test_linkedin_retires_the_version(page, company, sandbox, at_work, settings) -> None:
    sandbox.faults.add(Fault(status=426, body=RETIRED))
    fifty_more(company)

    look(company)
    look(company)
    assert subjects() == ["Northwind BV: sending to LinkedIn is paused"]
    page.reload()
    expect(page.locator("#pause")).to_contain_text("50 events are on hold")
    expect(page.locator("#pause")).to_contain_text("LINKEDIN_API_VERSION")
    assert set(ConversionEvent.objects.filter(state="pending").values_list("attempts", flat=True)) == {0}

    settings.LINKEDIN_API_VERSION = "202608"
    sweep.due_companies()
    deliver(company.pk)

    all_sent_oldest_first(page, sandbox, count=51)
    look(company)
    assert subjects()[1:] == ["Northwind BV: sending to LinkedIn goes on"]
    reconcile_adds_up(page, sent=51)


def test_linkedin_refuses_a_rule(page, company, sandbox, at_work) -> None:
    sandbox.faults.add(Fault(status=404, body='{"status":404,"message":"Not found"}'))
    fifty_more(company)

    look(company)
    look(company)
    assert subjects() == ["Northwind BV: the rule “New lead” is paused"]
    page.reload()
    expect(page.locator("#pause")).to_contain_text("50 events are on hold for New lead")
    check_everything(page, finding="Rule ids", badge="To mend", words="LinkedIn says 404")

    page.get_by_role("link", name="Edit New lead").click()
    page.get_by_label("LinkedIn rule id").fill("104013")
    page.get_by_role("button", name="Save the rule").click()
    deliver(company.pk)

    all_sent_oldest_first(page, sandbox, count=51)
    look(company)
    assert subjects()[1:] == ["Northwind BV: the rule “New lead” goes on"]
    reconcile_adds_up(page, sent=51)


def test_a_lead_gets_its_address_later(page, company, sandbox, at_work) -> None:
    lead = make_lead(company, first_name="Grace", email="")
    deliver(company.pk)

    open_page(page, lead.get_absolute_url())
    expect(page.get_by_text("Waiting for an e-mail").first).to_be_visible()
    page.get_by_role("link", name="Enter an address").first.click()
    page.get_by_label("E-mail").fill("grace@example.com")
    page.get_by_role("button", name="Save").click()
    deliver(company.pk)
    page.reload()

    expect(page.get_by_text("Sent to LinkedIn").first).to_be_visible()
    assert len(received(sandbox)) == 2
    look(company)
    assert subjects() == []


def test_an_event_turns_90_days_while_it_is_on_hold(page, company, sandbox, at_work) -> None:
    sandbox.faults.add(Fault(status=401, body=REVOKED))
    old, fresh = make_lead(company, first_name="Old"), make_lead(company, first_name="Fresh")
    deliver(company.pk)
    look(company)
    event = ConversionEvent.objects.filter(lead=old)
    event.update(happened_at=timezone.now() - timedelta(days=87, hours=1))
    look(company)
    look(company)

    assert subjects() == [
        "Northwind BV: sending to LinkedIn is paused",
        "Northwind BV: events on hold become too old within 3 days",
    ]
    page.reload()
    expect(page.locator("#pause")).to_contain_text("The first of them turns 90 days in 3 days")

    event.update(happened_at=timezone.now() - timedelta(days=90, hours=1))
    replace_token(page)
    deliver(company.pk)

    open_page(page, event.get().get_absolute_url())
    expect(page.locator("#event")).to_contain_text("LinkedIn takes events for 90 days, and this one is older.")
    assert ConversionEvent.objects.get(lead=fresh).state == "accepted"
    assert [element["eventId"] for element in received(sandbox)][1:] == [
        ConversionEvent.objects.get(lead=fresh).event_id
    ]
