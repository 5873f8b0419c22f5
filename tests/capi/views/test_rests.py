"""A lane that rests for longer than five minutes is shown where people look, and those with permission can end it."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from capi import services
from capi.alerts import evaluate
from capi.linkedin.sandbox.faults import Fault
from capi.models import Alert, Connection, ConversionEvent
from crm.models import AuditEntry
from tests.capi.conftest import requests_made, send_all, states
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db(transaction=True)

LINKEDIN, LEADS, RESUME = (
    reverse("linkedin"),
    reverse("leads"),
    reverse("connection_resume"),
)
SAID = "Nothing is sent at the moment."


def throttle(company, sandbox, make_rule, seconds: int) -> ConversionEvent:
    """Add a lead whose event LinkedIn throttles for so many seconds. Returns the event."""
    services.save_token(company=company, token=TOKEN)
    make_rule()
    make_lead(company)
    sandbox.faults.add(Fault(status=429, headers={"Retry-After": str(seconds)}))
    send_all(company)
    return ConversionEvent.objects.get()


def test_a_short_rest_is_nothing_to_speak_of(
    client_as, admin, company, sandbox, make_rule
) -> None:
    throttle(company, sandbox, make_rule, 290)

    web = client_as(admin)

    assert SAID not in web.get(LEADS).content.decode()
    assert SAID not in web.get(LINKEDIN).content.decode()


def test_a_long_rest_is_on_every_page_for_those_who_may_know(
    client_as, admin, ops, sales, company, sandbox, make_rule
) -> None:
    throttle(company, sandbox, make_rule, 7200)

    pages = [
        client_as(member).get(LEADS).content.decode() for member in (admin, ops, sales)
    ]

    assert [SAID in page for page in pages] == [True, True, False]
    until = timezone.localtime(Connection.objects.get().next_attempt_at)
    assert (
        f"LinkedIn asked us to wait. Sending continues at {until:%H:%M} on {until.day} {until:%B}."
        in pages[0]
    )


def test_the_linkedin_page_offers_to_try_now_to_whoever_may(
    client_as, admin, ops, company, sandbox, make_rule
) -> None:
    throttle(company, sandbox, make_rule, 7200)

    pages = [
        client_as(member).get(LINKEDIN).content.decode() for member in (admin, ops)
    ]

    assert [page.count(SAID) for page in pages] == [1, 1]
    assert ['id="try-now"' in page for page in pages] == [True, False]


def test_the_page_of_an_event_tells_why_it_waits_and_when_it_goes_out(
    client_as, ops, company, sandbox, make_rule
):
    event = throttle(company, sandbox, make_rule, 7200)
    # Never attempted, and due at once by its own row.
    make_lead(company, email="grace@example.com")
    web = client_as(ops)

    until = Connection.objects.get().next_attempt_at
    for each in (event, ConversionEvent.objects.exclude(pk=event.pk).get()):
        page = web.get(each.get_absolute_url()).content.decode()
        assert "LinkedIn asked us to wait." in page
        assert (
            f'<dt>Next attempt</dt><dd><time datetime="{timezone.localtime(until).isoformat()}"'
            in page
        )


def test_try_now_sends_what_waits_and_is_on_record(
    client_as, admin, company, sandbox, make_rule
) -> None:
    throttle(company, sandbox, make_rule, 7200)
    ConversionEvent.objects.update(next_attempt_at=timezone.now() + timedelta(hours=5))

    answer = client_as(admin).post(RESUME, follow=True)
    send_all(company)

    assert "Trying again now." in answer.content.decode()
    assert (states(company), requests_made(sandbox)) == (["accepted"], [429, 201])
    lane = Connection.objects.get()
    assert (
        lane.next_attempt_at,
        lane.resting_since,
        lane.rest_cause,
        lane.throttles_in_a_row,
    ) == (None, None, "", 0)
    assert AuditEntry.objects.filter(action="connection_resumed").count() == 1


def test_try_now_wakes_nothing_that_is_settled_or_another_companys(
    client_as, admin, company, other_company, sandbox, make_rule
) -> None:
    services.save_token(company=company, token=TOKEN)
    later = timezone.now() + timedelta(hours=5)
    theirs = make_rule(company=other_company).events.create(
        company=other_company, next_attempt_at=later
    )
    ended = make_rule().events.create(
        company=company, state="exhausted", next_attempt_at=None
    )

    client_as(admin).post(RESUME)

    for event in (theirs, ended):
        before = event.next_attempt_at, event.state
        event.refresh_from_db()
        assert (event.next_attempt_at, event.state) == before


def test_a_long_rest_is_told_once_and_its_end_too(
    company, admin, sandbox, make_rule
) -> None:
    throttle(company, sandbox, make_rule, 7200)
    assert evaluate.due_companies() == [company.pk]  # at once, and not within the hour
    evaluate.evaluate(company.pk, now=timezone.now())
    Connection.objects.update(next_attempt_at=None)

    send_all(company)

    assert evaluate.due_companies() == [company.pk]
    evaluate.evaluate(company.pk, now=timezone.now())
    [alert] = Alert.objects.filter(kind="resting")
    assert (alert.reason, alert.ending) == ("asked", "fixed")
    assert [mail.news for mail in alert.mails.order_by("pk")] == ["opened", "closed"]


def test_an_open_alert_names_the_next_try_and_not_the_first_one(
    company, admin, sandbox, make_rule, client_as
) -> None:
    throttle(company, sandbox, make_rule, 7200)
    evaluate.evaluate(company.pk, now=timezone.now())
    later = timezone.now() + timedelta(hours=9)
    Connection.objects.update(next_attempt_at=later, rest_cause="throttled")

    page = client_as(admin).get(reverse("alerts")).content.decode()

    now = f"The next attempt is at {timezone.localtime(later):%H:%M} on"
    assert page.count(now) == 2  # in the banner and in the alert
    assert "LinkedIn asked us to wait." not in page


def test_trouble_that_lasts_is_a_long_rest_though_each_single_one_is_short(
    company, admin, sandbox, make_rule, client_as
) -> None:
    services.save_token(company=company, token=TOKEN)
    make_rule()
    make_lead(company)
    sandbox.faults.add(Fault(status=503, times=2))
    send_all(company)
    first = timezone.now() - timedelta(minutes=10)
    Connection.objects.update(next_attempt_at=None, resting_since=first)
    ConversionEvent.objects.update(
        next_attempt_at=timezone.now() - timedelta(seconds=1)
    )

    send_all(company)

    lane = Connection.objects.get()
    assert (lane.resting_since, lane.failures_in_a_row) == (first, 2)
    page = client_as(admin).get(LEADS).content.decode()
    assert (
        f"no request has succeeded since {timezone.localtime(first):%H:%M} on" in page
    )


def test_the_linkedin_page_says_how_large_requests_are_while_they_are_limited(
    client_as, ops, company
) -> None:
    services.save_token(company=company, token=TOKEN)
    web = client_as(ops)
    assert "Size of requests</dt>" not in web.get(LINKEDIN).content.decode()

    Connection.objects.update(body_limit=614_400)

    assert (
        "<dt>Size of requests</dt><dd>at most 600.0\xa0KB for now"
        in web.get(LINKEDIN).content.decode()
    )


def test_between_two_tries_nothing_is_said_to_work_again(
    company, admin, sandbox, make_rule
) -> None:
    throttle(company, sandbox, make_rule, 7200)
    evaluate.evaluate(company.pk, now=timezone.now())

    for hours in (3, 6):
        Connection.objects.update(next_look_at=None)
        evaluate.evaluate(company.pk, now=timezone.now() + timedelta(hours=hours))

    assert Alert.objects.get(kind="resting").is_open


def test_try_now_says_nothing_of_linkedin_before_it_was_asked(
    client_as, admin, company, sandbox, make_rule
) -> None:
    throttle(company, sandbox, make_rule, 7200)
    evaluate.evaluate(company.pk, now=timezone.now())

    client_as(admin).post(RESUME)
    evaluate.evaluate(company.pk, now=timezone.now())

    assert Alert.objects.get(kind="resting").is_open
    assert SAID not in client_as(admin).get(LEADS).content.decode()


def test_a_trouble_of_days_ago_makes_none_of_today_long(
    company, sandbox, make_rule
) -> None:
    throttle(company, sandbox, make_rule, 1)
    days_ago = timezone.now() - timedelta(days=3)
    Connection.objects.update(
        resting_since=days_ago, next_attempt_at=days_ago + timedelta(seconds=1)
    )
    sandbox.faults.add(Fault(status=503))

    send_all(company)

    lane = Connection.objects.get()
    assert lane.resting_since > days_ago + timedelta(days=2)
    assert not lane.rests_long(timezone.now())


def test_a_failure_hours_after_one_whose_event_is_gone_is_another_one(
    company, sandbox, make_rule
) -> None:
    event = throttle(company, sandbox, make_rule, 1)
    event.lead.delete()
    hours_ago = timezone.now() - timedelta(hours=6)
    Connection.objects.update(
        resting_since=hours_ago,
        next_attempt_at=hours_ago + timedelta(seconds=1),
        failures_in_a_row=4,
    )
    make_lead(company, email="grace@example.com")
    sandbox.faults.add(Fault(status=503))

    send_all(company)

    lane = Connection.objects.get()
    assert lane.resting_since > hours_ago + timedelta(hours=5)
    assert lane.failures_in_a_row == 1


def test_a_failure_hours_after_one_of_the_same_event_is_the_same_trouble(
    company, sandbox, make_rule
) -> None:
    throttle(company, sandbox, make_rule, 1)
    hours_ago = timezone.now() - timedelta(hours=6)
    Connection.objects.update(
        resting_since=hours_ago, next_attempt_at=hours_ago + timedelta(seconds=1)
    )
    ConversionEvent.objects.update(
        attempts=5, next_attempt_at=timezone.now() - timedelta(seconds=1)
    )
    sandbox.faults.add(Fault(status=503))

    send_all(company)

    assert Connection.objects.get().resting_since == hours_ago


def test_a_test_event_that_linkedin_takes_wakes_no_lane_that_linkedin_asked_to_wait(
    company, sandbox, make_rule
) -> None:
    event = throttle(company, sandbox, make_rule, 7200)
    until = Connection.objects.get().next_attempt_at

    services.send_test_event(rule=event.rule)
    send_all(company)

    assert requests_made(sandbox) == [429, 201]
    assert Connection.objects.get().next_attempt_at == until
    event.refresh_from_db()
    assert event.state == "pending"


def test_an_event_that_goes_out_at_once_has_no_next_try_in_the_past(
    client_as, ops, company, make_rule
) -> None:
    services.save_token(company=company, token=TOKEN)
    Connection.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=1))
    event = make_rule().events.create(company=company)

    page = client_as(ops).get(event.get_absolute_url()).content.decode()

    assert "<dt>Next attempt</dt>" not in page
