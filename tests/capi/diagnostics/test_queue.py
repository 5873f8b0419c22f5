"""The doctor on unsent events: those on hold and how long they can stay so, and those that are due."""

from datetime import timedelta

import pytest

from capi import services
from capi.diagnostics import queue
from capi.models import Connection, ConversionRule
from capi.models.functions import database_now
from tests.capi.diagnostics.conftest import about, log
from tests.conftest import TOKEN

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    return database_now()


@pytest.fixture
def sending(company) -> Connection:
    return services.save_token(company=company, token=TOKEN)


def finding(company, check, now):
    connection = Connection.objects.for_company(company).first()
    rules = list(ConversionRule.objects.for_company(company))
    return about(
        [
            *queue.queue_findings(company.pk, connection, rules, now),
            *queue.at_hand(connection, now),
        ],
        check,
    )


def test_where_nothing_is_held_it_says_so(company, sending, make_rule, now) -> None:
    rule = make_rule()
    log(rule, "pending")
    log(rule, "waiting")

    found = finding(company, "on_hold", now)

    assert (found.level, found.sentence) == ("green", "None.")


def test_without_a_connection_all_that_waits_is_on_hold(
    company, make_rule, now
) -> None:
    log(make_rule(), "pending", happened_at=now - timedelta(days=60))

    found = finding(company, "on_hold", now)

    assert found.level == "amber"
    assert found.sentence.startswith("1 is on hold. Fix this by ")
    assert "(in 30 days)" in found.sentence
    assert found.link == "/integrations/linkedin/events/?state=on_hold"


def test_only_what_the_paused_rule_holds_is_counted_and_no_test(
    company, sending, make_rule, now
) -> None:
    held, free = (
        make_rule("lead_created", "104011", is_paused=True),
        make_rule("deal_won", "104012"),
    )
    for _ in range(1200):
        log(held, "pending", happened_at=now - timedelta(days=10))
    log(held, "pending", is_test=True)
    log(free, "pending", happened_at=now - timedelta(days=80))

    found = finding(company, "on_hold", now)

    assert found.sentence.startswith("1,200 are on hold. Fix this by ")
    assert "(in 80 days)" in found.sentence


@pytest.mark.parametrize(
    ("age", "level", "left"),
    [
        (timedelta(days=83), "amber", "(in 7 days): "),
        (timedelta(days=84), "red", "(in 6 days): "),
        (timedelta(days=89), "red", "(tomorrow): "),
        (timedelta(days=90), "red", "Fix this today: "),
        (timedelta(days=91), "red", "Fix this now: "),
    ],
)
def test_it_becomes_urgent_before_the_first_turns_90_days(
    company, make_rule, now, age, level, left
) -> None:
    log(make_rule(), "pending", happened_at=now - age)

    found = finding(company, "on_hold", now)

    assert found.level == level
    assert left in found.sentence


@pytest.mark.parametrize(
    ("waits", "level", "sentence"),
    [
        (
            timedelta(minutes=4),
            "green",
            "None has been due for more than five minutes.",
        ),
        (
            timedelta(minutes=6),
            "amber",
            "The oldest has been due for 6 minutes, and no worker has sent it.",
        ),
        (
            timedelta(minutes=61),
            "red",
            "The oldest has been due for 61 minutes, and no worker has sent it.",
        ),
        (
            timedelta(hours=30),
            "red",
            "The oldest has been due for 30 hours, and no worker has sent it.",
        ),
    ],
)
def test_an_event_that_is_due_and_not_sent_shows_that_no_worker_runs(
    company, sending, make_rule, now, waits, level, sentence
) -> None:
    log(
        make_rule(),
        "pending",
        next_attempt_at=now - waits,
        happened_at=now - timedelta(days=3),
    )

    found = finding(company, "due", now)

    assert (found.level, found.sentence) == (level, sentence)


def test_a_lane_that_rests_is_no_emergency(company, sending, make_rule, now) -> None:
    log(
        make_rule(),
        "pending",
        next_attempt_at=now - timedelta(hours=2),
        happened_at=now - timedelta(days=1),
    )
    Connection.objects.update(next_attempt_at=now + timedelta(hours=5))

    found = finding(company, "due", now)

    assert found.level == "amber"
    assert found.sentence.startswith("Waiting: the next request is at ")


@pytest.mark.parametrize(
    ("length", "level"),
    [(timedelta(minutes=5), "green"), (timedelta(minutes=6), "amber"), (timedelta(minutes=59), "amber"),
     (timedelta(hours=1), "red"), (timedelta(hours=20), "red")],
)  # fmt: skip
def test_a_rest_of_more_than_five_minutes_is_said_and_one_of_an_hour_is_urgent(
    company, sending, now, length, level
) -> None:
    rests = {
        "resting_since": now,
        "next_attempt_at": now + length,
        "rest_cause": "throttled_often",
    }
    Connection.objects.update(**rests)

    found = finding(company, "rest", now)

    assert found.level == level
    assert found.sentence.startswith(
        "LinkedIn isn't making us wait."
        if level == "green"
        else "LinkedIn answered “too"
    )


def test_between_two_tries_it_is_not_said_that_all_is_well(
    company, sending, now
) -> None:
    hours_ago = now - timedelta(hours=3)
    Connection.objects.update(
        resting_since=hours_ago, next_attempt_at=hours_ago + timedelta(minutes=5)
    )

    found = finding(company, "rest", now)

    assert found.level == "amber"
    assert found.sentence.startswith("No request has succeeded since ")


def test_the_size_of_requests_is_said_while_it_is_limited(
    company, sending, now
) -> None:
    assert finding(company, "size", now).level == "green"

    Connection.objects.update(body_limit=614_400)

    found = finding(company, "size", now)
    assert found.level == "amber"
    assert "600" in found.sentence


def test_another_companys_events_are_not_ours(
    company, other_company, sending, make_rule, now
) -> None:
    services.save_token(company=other_company, token=TOKEN)
    log(
        make_rule(company=other_company),
        "pending",
        next_attempt_at=now - timedelta(hours=2),
    )

    assert finding(company, "due", now).level == "green"
    assert finding(company, "on_hold", now).level == "green"


def test_while_nothing_is_sent_nothing_is_due(company, make_rule, now) -> None:
    log(make_rule(), "pending", next_attempt_at=now - timedelta(hours=2))

    found = finding(company, "due", now)

    assert (found.level, found.sentence) == (
        "green",
        "None: nothing is being sent, so events are on hold.",
    )
