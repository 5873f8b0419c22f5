"""A rule that falls silent, by its own history at the same time of the week, and only once chance can't explain it."""

from datetime import UTC, datetime, timedelta

import pytest

from capi.alerts.detectors import silent_rules
from capi.models import ConversionEvent, ConversionRule
from capi.selectors.explanations.alerts import explain_opening
from crm.models import CrmEvent
from tests.capi.alerts.conftest import look, subjects

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)


def old(rule: ConversionRule, weeks: int = 20) -> ConversionRule:
    """Date the rule's creation back by so many weeks. Returns the rule."""
    ConversionRule.objects.filter(pk=rule.pk).update(
        created_at=NOW - timedelta(weeks=weeks)
    )
    rule.refresh_from_db()
    return rule


def happened(rule, *days_ago: float, state: str = "accepted") -> None:
    """Record events of the rule, one for each of these numbers of days ago."""
    crm_events = CrmEvent.objects.bulk_create(
        CrmEvent(
            company=rule.company,
            kind=rule.crm_event,
            occurred_at=NOW - timedelta(days=ago),
        )
        for ago in days_ago
    )
    ConversionEvent.objects.bulk_create(
        ConversionEvent(
            company=rule.company,
            rule=rule,
            crm_event=event,
            state=state,
            next_attempt_at=None,
        )
        for event in crm_events
    )


def twelve_a_week(until: float, *, weeks: int = 10) -> list[float]:
    """How many days ago each of 12 evenly spread events a week happened, the last one `until` days ago."""
    return [until + number * 7 / 12 for number in range(12 * weeks)]


def found(rule) -> list[tuple[bool, dict]]:
    return [
        (not one.only_keeps, one.facts)
        for one in silent_rules(rule.company_id, [rule], now=NOW)
    ]


@pytest.mark.parametrize(
    ("silent_days", "alarms"),
    [(0.5, False), (3.4, False), (4.2, True), (5, True), (20, True)],
)
def test_of_twelve_a_week_none_for_four_days_is_no_accident(
    make_rule, silent_days, alarms
) -> None:
    rule = old(make_rule())
    happened(rule, *twelve_a_week(silent_days))

    facts = {"days": int(silent_days), "per_week": 12}
    assert found(rule) == ([(True, facts)] if alarms else [])


def test_a_rule_that_is_used_on_workdays_raises_no_alarm_on_sundays(make_rule) -> None:
    rule = old(make_rule())
    # 20 a day, on five days of each week; the last such day ended two days ago.
    happened(
        rule,
        *(
            2 + week * 7 + day + number / 20
            for week in range(9)
            for day in range(5)
            for number in range(20)
        ),
    )

    assert found(rule) == []


def test_one_big_import_makes_no_history(make_rule) -> None:
    rule = old(make_rule())
    happened(rule, 2, *[16.0] * 500, *(2 + 7 * week for week in range(1, 9)))

    assert found(rule) == []


def test_a_young_rule_has_no_history(make_rule) -> None:
    rule = old(make_rule(), weeks=4)
    happened(rule, *twelve_a_week(5, weeks=4))

    assert found(rule) == [(False, {})]


def test_a_rule_that_never_had_an_event_is_not_silent(make_rule) -> None:
    assert found(old(make_rule())) == [(False, {})]


@pytest.mark.parametrize(
    ("state", "alarms"), [("waiting", True), ("skipped", True), ("rejected", False)]
)
def test_events_that_never_reach_the_point_of_being_sent_do_not_end_the_silence(
    make_rule, state, alarms
) -> None:
    rule = old(make_rule())
    happened(rule, *twelve_a_week(5))
    happened(rule, 0.1, 1, 2, 3, 4, state=state)

    assert [opens for opens, _ in found(rule)] == ([True] if alarms else [])


def test_a_silence_is_told_once_and_so_is_its_end(company, line, make_rule) -> None:
    rule = old(make_rule(name="New lead"))
    happened(rule, *twelve_a_week(5))

    look(company, now=NOW)
    look(company, now=NOW + timedelta(days=1))
    told = explain_opening(rule.alerts.get())
    happened(rule, 0)
    look(company, now=NOW)

    assert told.what == "It usually has 12 events a week, but has had none for 5 days."
    assert subjects() == [
        "Northwind BV: the rule “New lead” is silent", "Northwind BV: the rule “New lead” has events again"
    ]  # fmt: skip


@pytest.mark.parametrize("change", [{"is_paused": True}, {"is_active": False}])
def test_a_rule_that_is_paused_or_off_raises_no_alarm(
    company, line, make_rule, change
) -> None:
    rule = old(make_rule())
    make_rule("deal_won", "104013")
    happened(rule, *twelve_a_week(5))
    ConversionRule.objects.filter(pk=rule.pk).update(**change)

    look(company, now=NOW)

    assert not rule.alerts.filter(kind="silent").exists()
