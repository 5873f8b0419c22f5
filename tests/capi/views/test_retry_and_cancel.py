"""Retrying and cancelling from Recent Events and from an event's page: asked first, then done."""

import re
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse

from capi import services
from capi.models import Connection, ConversionEvent, ConversionRule
from capi.selectors import event_actions
from capi.services import events
from crm.models import AuditEntry
from tests.capi.conftest import states
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db

LONG_AGO = Now() - timedelta(days=91)
EVENTS, RETRY, CANCEL = (
    reverse("events"),
    reverse("events_retry"),
    reverse("events_cancel"),
)


@pytest.fixture
def web(client_as, ops):
    return client_as(ops)


@pytest.fixture
def rule(company, make_rule):
    services.save_token(company=company, token=TOKEN)
    return make_rule()


def event(rule, state: str = "pending", reason: str = "", **fields) -> ConversionEvent:
    made = ConversionEvent.objects.get(lead=make_lead(rule.company), rule=rule)
    settled = (
        {} if state == "pending" else {"next_attempt_at": None, "settled_at": Now()}
    )
    ConversionEvent.objects.filter(pk=made.pk).update(
        state=state, reason=reason, **settled, **fields
    )
    return made


def test_an_events_page_offers_what_can_be_done_with_it(web, rule) -> None:
    offered = {}
    for state, reason in (
        ("pending", ""),
        ("exhausted", "timed_out"),
        ("accepted", ""),
        ("cancelled", "erased"),
    ):
        page = web.get(event(rule, state, reason).get_absolute_url()).content.decode()
        offered[state] = [f'id="{what}"' in page for what in ("retry", "cancel")]

    assert offered == {
        "pending": [False, True], "exhausted": [True, False], "accepted": [False, False], "cancelled": [False, False],
    }  # fmt: skip


def test_an_events_page_says_why_it_can_not_be_retried(web, rule) -> None:
    stuck = event(rule, "exhausted", "timed_out")
    rule.is_active = False
    rule.save()

    page = web.get(stuck.get_absolute_url()).content.decode()

    assert "It can't be retried yet: The rule was switched off" in page
    assert 'id="retry"' not in page


def test_one_event_is_retried_after_a_question_and_put_on_record(
    web, ops, rule
) -> None:
    stuck = event(rule, "exhausted", "timed_out")
    address = f"{RETRY}?event={stuck.pk}"

    question = web.get(address).content.decode()

    assert "Retry this event?" in question
    assert states(rule.company) == ["exhausted"]
    answer = web.post(address, follow=True)
    assert answer.redirect_chain == [(stuck.get_absolute_url(), 302)]
    assert "1 event queued again." in answer.content.decode()
    assert states(rule.company) == ["pending"]
    entry = AuditEntry.objects.get(action="retry")
    assert (entry.actor_id, entry.object_kind, entry.object_id) == (
        ops.user_id,
        "conversionevent",
        stuck.pk,
    )


def test_ticked_events_are_cancelled_and_the_others_are_not(web, rule) -> None:
    ticked = [event(rule), event(rule, "waiting", "no_email"), event(rule, "accepted")]
    event(rule)
    query = {
        "ticked": "1",
        "event": [made.pk for made in ticked],
        "next": f"{EVENTS}?state=queued",
    }

    question = web.get(CANCEL, query)
    answer = web.post(
        question.request["PATH_INFO"] + "?" + question.request["QUERY_STRING"]
    )

    assert "Cancel 2 events?" in question.content.decode()
    assert answer.url == f"{EVENTS}?state=queued"
    assert states(rule.company) == ["cancelled", "cancelled", "accepted", "pending"]


def test_ticking_nothing_does_nothing(web, rule) -> None:
    event(rule)

    answers = [web.get(f"{CANCEL}?ticked=1"), web.post(f"{CANCEL}?ticked=1")]

    assert [answer.url for answer in answers] == [EVENTS, EVENTS]
    assert states(rule.company) == ["pending"]


def test_all_that_match_a_filter_are_retried_and_nothing_else(
    web, rule, make_rule
) -> None:
    other = make_rule("lead_qualified")
    for _ in range(3):
        event(rule, "exhausted", "timed_out")
    theirs = event(rule, "exhausted", "timed_out")
    ConversionEvent.objects.filter(pk=theirs.pk).update(rule=other)
    event(rule, "cancelled", "cancelled_by_hand")

    question = web.get(RETRY, {"state": "failed", "rule": rule.pk})
    web.post(
        f"{RETRY}?state=failed&rule={rule.pk}",
        {"until": ConversionEvent.objects.order_by("pk").last().pk},
    )

    assert "Retry 3 events?" in question.content.decode()
    assert states(rule.company) == [
        "pending",
        "pending",
        "pending",
        "exhausted",
        "cancelled",
    ]


def test_what_came_after_the_question_is_not_touched(web, rule) -> None:
    asked = event(rule)
    event(rule)

    web.post(f"{CANCEL}?state=queued", {"until": asked.pk})

    assert states(rule.company) == ["cancelled", "pending"]


def test_only_what_is_on_hold_is_cancelled_where_that_is_the_filter(
    web, rule, make_rule
) -> None:
    event(rule)
    held = make_rule("lead_qualified", is_paused=True)
    ConversionEvent.objects.filter(pk=event(rule).pk).update(rule=held)

    web.post(f"{CANCEL}?state=on_hold")

    assert states(rule.company) == ["pending", "cancelled"]


def test_the_question_says_why_some_would_stay(web, rule) -> None:
    event(rule, "exhausted", "timed_out")
    opted_out = event(rule, "exhausted", "timed_out")
    opted_out.lead.share_with_ad_platforms = False
    opted_out.lead.save()

    page = web.get(RETRY, {"state": "failed"}).content.decode()

    assert "Retry 1 event?" in page
    assert "<li>1 skipped: The lead is not shared with ad platforms.</li>" in page


def test_more_than_can_be_asked_for_at_once_is_asked_for_in_portions(
    web, rule, monkeypatch
) -> None:
    monkeypatch.setattr(event_actions, "AT_MOST", 2)
    asked = [event(rule) for _ in range(3)]
    address = f"{CANCEL}?state=queued"

    page = web.get(address).content.decode()
    answer = web.post(address, {"until": asked[1].pk, "next": f"{EVENTS}?state=queued"})

    assert "Cancel 2 events?" in page
    assert "These are the oldest. You'll be asked about the others afterwards." in page
    assert states(rule.company) == ["cancelled", "cancelled", "pending"]
    assert (
        answer.url
        == f"{CANCEL}?state=queued&after={asked[1].pk}&next=%2Fintegrations%2Flinkedin%2Fevents%2F%3Fstate%3Dqueued"
    )
    rest = web.get(answer.url).content.decode()
    assert "2 events cancelled. Continue with the rest." in rest
    assert "Cancel 1 event?" in rest
    assert web.post(answer.url).url == f"{EVENTS}?state=queued"
    assert states(rule.company) == ["cancelled"] * 3


def test_what_takes_long_is_done_in_steps_that_leave_out_nothing_and_repeat_nothing(
    web, rule, monkeypatch
) -> None:
    monkeypatch.setattr("crm.models.tracking.snapshots.CHUNK", 2)
    monkeypatch.setattr(events, "STEP_SECONDS", 0)
    stuck = [
        event(
            rule,
            "exhausted",
            "timed_out",
            **({"happened_at": LONG_AGO} if i < 3 else {}),
        )
        for i in range(5)
    ]
    address, seen = f"{RETRY}?state=failed", []

    while address.startswith(RETRY):
        answer = web.post(address, {"until": stuck[-1].pk})
        address = answer.url
        seen.append(states(rule.company).count("pending"))

    assert address == EVENTS
    assert seen == [0, 1, 2]
    assert states(rule.company) == ["exhausted"] * 3 + ["pending"] * 2
    details = (
        AuditEntry.objects.filter(action="retry")
        .order_by("pk")
        .values_list("details", flat=True)
    )
    assert list(details) == [
        {"events": 1, "from": stuck[2].pk, "to": stuck[3].pk},
        {"events": 1, "from": stuck[4].pk, "to": stuck[4].pk},
    ]


@pytest.mark.parametrize("address", [RETRY, CANCEL])
def test_another_companys_events_are_not_found_and_nonsense_is_nothing(
    web, rule, other_company, make_rule, address
) -> None:
    theirs = event(make_rule(company=other_company))

    pages = [
        web.get(address, {"event": ids}).content.decode()
        for ids in (theirs.pk, "x", "9" * 40)
    ]
    web.post(f"{address}?event={theirs.pk}")

    assert all("No matching events." in page for page in pages)
    assert states(other_company) == ["pending"]


def test_a_sales_rep_may_not(client_as, sales, rule) -> None:
    waiting = event(rule)

    answer = client_as(sales).post(f"{CANCEL}?event={waiting.pk}")

    assert answer.status_code == 403
    assert states(rule.company) == ["pending"]


def test_the_log_has_a_tick_for_all_but_tests(web, rule) -> None:
    made = event(rule)
    test = ConversionEvent.objects.create(company=rule.company, rule=rule, is_test=True)

    page = web.get(EVENTS).content.decode()

    assert f'name="event" value="{made.pk}"' in page
    assert f'name="event" value="{test.pk}"' not in page


def test_question_takes_the_same_queries_for_one_or_many(
    web, rule, django_assert_num_queries
) -> None:
    event(rule, "exhausted", "timed_out")
    with django_assert_num_queries(7):
        web.get(RETRY, {"state": "failed"})
    for _ in range(5):
        event(rule, "exhausted", "timed_out")

    with django_assert_num_queries(7):
        web.get(RETRY, {"state": "failed"})


def text_of(page) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page.content.decode()).split())


def test_the_question_says_how_many_are_left_out_and_why(web, rule) -> None:
    chosen = [
        event(rule),
        event(rule, "accepted"),
        event(rule, "accepted"),
        event(rule, "expired", "too_old"),
    ]
    query = {"ticked": "1", "event": [made.pk for made in chosen]}

    cancel, retry = text_of(web.get(CANCEL, query)), text_of(web.get(RETRY, query))

    assert "Cancel 1 event?" in cancel
    assert (
        "3 are left out and stay as they are: 2 sent: LinkedIn accepted the event. 1 expired:"
        in cancel
    )
    assert "Nothing to retry" in retry
    assert "None of the selected events can be retried. Why: 2 sent:" in retry
    assert "0 event" not in retry


@pytest.mark.parametrize(
    ("paused", "why"),
    [("rule", "403"), ("connection", "Kept until sending can continue")],
)
def test_the_question_says_of_events_on_hold_that_they_are(
    web, rule, paused, why
) -> None:
    if paused == "rule":
        ConversionRule.objects.update(is_paused=True, paused_reason="rule_forbidden")
    else:
        Connection.objects.update(is_paused=True)
    chosen = [event(rule), event(rule)]

    for query in (
        {"state": "on_hold"},
        {"ticked": "1", "event": [made.pk for made in chosen]},
    ):
        page = text_of(web.get(RETRY, query))

        assert "2 on hold: " in page, query
        assert why in page
        assert "queued" not in page


def test_a_filter_that_matches_nothing_has_nothing_to_retry(web, rule) -> None:
    page = web.get(RETRY, {"state": "failed"})

    assert "Nothing to retry No matching events." in text_of(page)
    assert 'name="until"' not in page.content.decode()


def test_those_left_out_of_a_filter_are_counted_up_to_a_limit(
    web, rule, monkeypatch
) -> None:
    monkeypatch.setattr(event_actions, "LEFT_OUT_AT_MOST", 2)
    for state in ("pending", "accepted", "accepted", "accepted"):
        event(rule, state)

    assert "2+ are left out and stay as they are: 2 sent:" in text_of(web.get(CANCEL))
