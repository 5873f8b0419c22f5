"""A rule's own page: when it last sent and failed, 30 days by outcome, and what LinkedIn says about it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from capi import services
from capi.models import ConversionEvent, ConversionRule
from capi.selectors import rule_health, rules
from tests.capi.counted import count_now, record
from tests.conftest import TOKEN

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(company):
    return services.save_token(company=company, token=TOKEN)


def days_ago(days: float):
    return timezone.now() - timedelta(days=days)


@pytest.fixture
def rule(connection, make_rule) -> ConversionRule:
    """Sent 3, one of them 40 days ago; 1 rejected, 1 skipped, a test; its neighbour sent 5."""
    rule, neighbour = (
        make_rule("deal_won", name="Purchase"),
        make_rule("lead_created", "104099", name="Other"),
    )
    for days in (40, 10, 2):
        record(
            rule, "accepted", days_ago(days), settled_at=days_ago(days), http_status=201
        )
    record(
        rule,
        "rejected",
        days_ago(1),
        settled_at=days_ago(1),
        reason="data_refused",
        message="amount",
        http_status=422,
    )
    record(rule, "skipped", days_ago(1), reason="opted_out")
    record(rule, "accepted", is_test=True, settled_at=days_ago(0))
    for _ in range(5):
        record(neighbour, "accepted", days_ago(0), settled_at=days_ago(0))
    count_now()
    return rule


def test_the_page_tells_what_became_of_the_rules_events_in_30_days(
    client_as, ops, rule
) -> None:
    page = client_as(ops).get(rule.get_absolute_url())

    health = page.context["health"]
    outcomes = health.outcomes
    assert (outcomes.sent, outcomes.failed, outcomes.not_sent, outcomes.on_the_way) == (
        2,
        1,
        1,
        0,
    )
    assert outcomes.accepted_percent == pytest.approx(66.67, abs=0.01)
    assert len(outcomes.chart.days) == 30
    assert "66.7% accepted" in page.content.decode()
    assert (
        f'href="/integrations/linkedin/events/?rule={rule.pk}"' in page.content.decode()
    )


def test_the_last_failure_is_the_one_that_failed_last_and_not_the_newest_event(
    client_as, ops, rule
) -> None:
    tried_for_days = record(
        rule,
        "exhausted",
        days_ago(4),
        settled_at=days_ago(0.5),
        reason="server_trouble",
    )
    record(rule, "rejected", days_ago(3), settled_at=days_ago(3), reason="data_refused")

    health = client_as(ops).get(rule.get_absolute_url()).context["health"]

    assert health.last_failed.event == tried_for_days
    assert health.row.last_failed_at == tried_for_days.settled_at


def test_it_tells_when_the_rule_last_sent_and_why_it_last_failed(
    client_as, ops, rule
) -> None:
    page = client_as(ops).get(rule.get_absolute_url())

    health, text = page.context["health"], page.content.decode()
    sent = ConversionEvent.objects.filter(
        rule=rule, state="accepted", is_test=False
    ).latest("settled_at")
    failed = ConversionEvent.objects.get(rule=rule, state="rejected")
    assert health.row.last_sent_at == sent.settled_at
    assert health.last_failed.event == failed
    assert "LinkedIn says 422: something in this event is missing" in text
    assert "LinkedIn's message: “amount”" in text
    assert failed.get_absolute_url() in text


def test_what_lies_far_back_in_a_long_log_is_known_by_its_day(
    client_as, ops, rule, monkeypatch
) -> None:
    monkeypatch.setattr(rule_health, "STRETCH", 3)
    monkeypatch.setattr(rules, "HEALTH_ROWS", 3)

    health = client_as(ops).get(rule.get_absolute_url()).context["health"]

    assert (health.row.last_sent_at, health.last_failed) == (None, None)
    assert health.row.last_sent_on == timezone.localdate(days_ago(2))
    assert health.last_failed_on == timezone.localdate(days_ago(1))


def test_a_new_rule_has_nothing_to_tell_yet(client_as, ops, make_rule) -> None:
    rule = make_rule("lead_qualified")

    page = client_as(ops).get(rule.get_absolute_url())

    health = page.context["health"]
    assert (
        health.outcomes.total,
        health.row.last_sent_at,
        health.row.last_sent_on,
        health.last_failed,
    ) == (
        0,
        None,
        None,
        None,
    )
    assert "No events in the last 30 days" in page.content.decode()


def test_a_paused_rule_shows_why_what_waits_and_how_to_go_on(
    client_as, admin, connection, make_rule
) -> None:
    rule = make_rule(
        is_paused=True,
        paused_reason="rule_not_found",
        paused_message="Could not find entity",
    )
    for _ in range(2):
        record(rule, "pending")

    page = client_as(admin).get(rule.get_absolute_url())

    assert page.context["health"].row.on_hold == 2
    text = page.content.decode()
    assert "LinkedIn says 404: there is no conversion rule with this id." in text
    assert "LinkedIn's message: “Could not find entity”" in text
    assert f"/integrations/linkedin/rules/{rule.pk}/resume/" in text


@pytest.mark.parametrize(
    ("crm_event", "linkedin_type", "frequency", "warnings"),
    [
        ("deal_lost", "", "once", ["No campaign should optimise"]),
        (
            "deal_lost",
            "PURCHASE",
            "every_time",
            ["No campaign should optimise", "LinkedIn counts every event"],
        ),
        ("deal_won", "", "every_time", ["LinkedIn counts every event"]),
        ("deal_won", "PURCHASE", "once", []),
        ("deal_won", "LEAD", "every_time", []),
        ("lead_created", "LEAD", "every_time", []),
    ],
)
def test_it_warns_of_what_campaigns_would_learn_and_of_what_counts_twice(
    client_as, ops, make_rule, crm_event, linkedin_type, frequency, warnings
) -> None:
    rule = make_rule(crm_event, linkedin_type=linkedin_type, frequency=frequency)

    shown = client_as(ops).get(rule.get_absolute_url()).context["health"].warnings

    assert [
        text[: len(start)] for text, start in zip(shown, warnings, strict=True)
    ] == warnings


def test_it_tells_what_linkedin_said_of_the_rule(client_as, ops, make_rule) -> None:
    told = make_rule(
        "deal_won",
        linkedin_type="QUALIFIED_LEAD",
        linkedin_method="INSIGHT_TAG_URL_MATCH_RULES",
        linkedin_enabled=False,
        linkedin_read_at=timezone.now(),
    )
    untold = make_rule("lead_created", "7")

    pages = [
        client_as(ops).get(rule.get_absolute_url()).content.decode()
        for rule in (told, untold)
    ]

    assert "<dd>Qualified Lead</dd>" in pages[0]
    assert "Not the Conversions API" in pages[0]
    assert '<span class="bad-text">No</span>' in pages[0]
    assert "LeadMachine hasn't read this rule from LinkedIn yet" in pages[1]


def test_odd_words_of_linkedin_are_text(client_as, ops, connection, make_rule) -> None:
    rule = make_rule(name="<script>alert(1)</script>")
    record(
        rule,
        "rejected",
        reason="data_refused",
        message="<img src=x onerror=alert(1)>",
        settled_at=timezone.now(),
    )

    page = client_as(ops).get(rule.get_absolute_url()).content.decode()

    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_sales_and_other_companies_do_not_see_it(
    client_as, sales, ops, rule, other_company, make_rule
) -> None:
    theirs = make_rule(company=other_company)

    statuses = [
        client_as(sales).get(rule.get_absolute_url()).status_code,
        client_as(ops).get(theirs.get_absolute_url()).status_code,
    ]

    assert statuses == [403, 404]


def test_a_deleted_rule_has_no_page_and_no_link_to_it(client_as, ops, rule) -> None:
    event = ConversionEvent.objects.get(rule=rule, state="rejected")
    services.delete_rule(rule=rule)
    web = client_as(ops)

    assert web.get(rule.get_absolute_url()).status_code == 404
    assert (
        rule.get_absolute_url()
        not in web.get(event.get_absolute_url()).content.decode()
    )


def test_the_page_asks_the_database_as_often_for_a_long_log_as_for_a_short_one(
    client_as,
    ops,
    rule,
    make_rule,
    django_assert_num_queries,
    django_assert_max_num_queries,
) -> None:
    web = client_as(ops)
    with django_assert_max_num_queries(18) as short:
        web.get(rule.get_absolute_url())
    for days in range(20):
        record(rule, "accepted", days_ago(days), settled_at=days_ago(days))
        record(
            rule,
            "rejected",
            days_ago(days),
            settled_at=days_ago(days),
            reason="data_refused",
        )
    count_now()

    with django_assert_num_queries(len(short)):
        web.get(rule.get_absolute_url())
