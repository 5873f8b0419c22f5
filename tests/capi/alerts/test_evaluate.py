"""What opens an alert, what closes it, and what is no news."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models.functions import Now

from capi import services
from capi.alerts import evaluate as looking
from capi.delivery import sweep
from capi.models import (
    Alert,
    Connection,
    ConversionEvent,
    ConversionRule,
    DayCount,
    Mail,
)
from capi.selectors.explanations.alerts import explain_opening
from capi.services.statistics import recount_days
from crm.models import Company
from crm.services.companies import deactivate_company
from tests.capi.alerts.conftest import look, open_alerts, subjects
from tests.capi.conftest import send_all
from tests.capi.counted import count_now
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def log(rule, state: str, count: int = 1, **fields) -> None:
    defaults = {"settled_at": Now(), "next_attempt_at": None, "state": state}
    rows = [
        ConversionEvent(company_id=rule.company_id, rule=rule, **{**defaults, **fields})
        for _ in range(count)
    ]
    ConversionEvent.objects.bulk_create(rows)


def test_a_revoked_token_is_told_once_and_its_mending_once(
    company, admin, connected, make_rule
) -> None:
    make_rule()
    make_lead(company)
    services.save_token(company=company, token=f"{TOKEN}-revoked")
    send_all(company)

    assert looking.due_companies() == [company.pk]  # the pause itself asked for a look
    assert looking.evaluate(company.pk, now=datetime.now(UTC))
    assert looking.due_companies() == []
    make_lead(company)
    look(company)
    assert subjects() == ["Northwind BV: sending to LinkedIn is paused"]

    services.save_token(company=company, token=TOKEN)
    assert looking.due_companies() == [company.pk]
    look(company)
    look(company)
    assert subjects()[1:] == ["Northwind BV: sending to LinkedIn has resumed"]
    assert open_alerts() == []


def test_a_test_event_that_meets_the_same_pause_is_no_news(
    company, admin, connected, make_rule
) -> None:
    rule = make_rule()
    services.save_token(company=company, token=f"{TOKEN}-revoked")
    services.send_test_event(rule=rule)
    send_all(company)
    look(company)

    services.send_test_event(rule=rule)
    send_all(company)
    look(company)

    assert subjects() == ["Northwind BV: sending to LinkedIn is paused"]


def test_a_rule_that_linkedin_does_not_know_is_told_and_so_is_its_resumption(
    company, admin, connected, make_rule
) -> None:
    rule = make_rule(linkedin_id="404404", name="New lead")
    make_lead(company)
    send_all(company)
    assert looking.due_companies() == [company.pk]

    look(company)
    assert open_alerts() == [("rule_paused", rule.pk)]
    services.resume_rule(rule=rule)
    assert looking.due_companies() == [company.pk]
    look(company)

    assert subjects() == [
        "Northwind BV: the rule “New lead” is paused",
        "Northwind BV: the rule “New lead” has resumed",
    ]


@pytest.mark.parametrize("end", ["off", "deleted"])
def test_the_pause_of_a_rule_that_is_no_longer_used_ends_without_a_mail(
    company, line, make_rule, end
) -> None:
    rule = make_rule(is_paused=True, paused_reason="rule_not_found", paused_at=Now())
    make_rule("deal_won", "104013")
    look(company)

    if end == "off":
        services.set_rule_active(rule=rule, active=False)
    else:
        services.delete_rule(rule=rule)
    look(company)

    assert Alert.objects.values_list("ending", flat=True).get() == "gone"
    assert len(subjects()) == 1


def test_a_pause_that_ended_and_began_again_between_two_looks_is_a_new_one(
    company, line, make_rule
) -> None:
    make_rule()
    Connection.objects.update(
        is_paused=True, paused_reason="token_refused", paused_at=Now()
    )
    look(company)

    services.resume_connection(company=company)
    Connection.objects.update(
        is_paused=True, paused_reason="token_refused", paused_at=Now()
    )
    look(company)

    assert subjects() == ["Northwind BV: sending to LinkedIn is paused"] * 2
    assert list(Alert.objects.order_by("pk").values_list("ending", flat=True)) == [
        "replaced",
        "",
    ]


def test_a_retired_version_pauses_everybody_and_each_company_is_told(
    company, other_company, admin, connected, make_rule, settings
) -> None:
    make_rule()
    services.save_token(company=other_company, token=TOKEN)
    make_rule(company=other_company)
    settings.LINKEDIN_API_VERSION = "202409"
    make_lead(company)
    send_all(company)

    for one in (company, other_company):
        look(one)

    alerts = Alert.objects.order_by("company").values_list("company", "kind", "reason")
    assert list(alerts) == [
        (company.pk, "connection_paused", "version_retired"), (other_company.pk, "connection_paused", "version_retired")
    ]  # fmt: skip
    settings.LINKEDIN_API_VERSION = "202609"
    sweep.due_companies()
    assert looking.due_companies() == [company.pk, other_company.pk]


def test_a_token_near_its_date_is_told_at_14_7_3_and_1_days_and_on_the_day(
    company, line, make_rule
) -> None:
    make_rule()
    Connection.objects.update(token_expires_on=NOON.date() + timedelta(days=20))

    told = []
    for day in range(23):
        look(company, now=NOON + timedelta(days=day))
        told += [day] * (len(subjects()) - len(told))

    assert told == [6, 13, 17, 19, 20]
    assert subjects() == [
        f"Northwind BV: the access token expires {left}"
        for left in (
            "within 14 days",
            "within 7 days",
            "within 3 days",
            "within a day",
            "now",
        )
    ]


def test_a_version_near_its_end_is_told_at_60_30_and_7_days_and_on_the_day(
    company, line, make_rule
) -> None:
    make_rule()
    end = datetime(2027, 9, 15, 12, tzinfo=UTC)

    told = []
    for days in range(70, -3, -1):
        look(company, now=end - timedelta(days=days))
        told += [days] * (len(subjects()) - len(told))

    assert told == [60, 30, 7, 0]
    assert (
        subjects()[0]
        == "Northwind BV: LinkedIn retires API version 202609 within 60 days"
    )
    assert subjects()[-1] == "Northwind BV: LinkedIn retires API version 202609 now"


def test_so_is_one_that_the_table_does_not_know_at_the_earliest_day(
    company, line, make_rule, settings
) -> None:
    settings.LINKEDIN_API_VERSION = "202610"
    make_rule()

    look(company, now=datetime(2027, 9, 1, 12, tzinfo=UTC))
    look(company, now=datetime(2027, 10, 2, 12, tzinfo=UTC))

    assert subjects() == [
        "Northwind BV: LinkedIn may retire API version 202610 within 30 days",
        "Northwind BV: LinkedIn may retire API version 202610 now",
    ]
    assert (
        "which LinkedIn switches off on 1 October 2027 at the earliest."
        in explain_opening(Alert.objects.latest("pk")).what
    )


def test_an_event_on_hold_near_its_90_days_is_told_at_14_and_3_days(
    company, line, make_rule
) -> None:
    rule = make_rule(is_paused=True, paused_reason="rule_not_found", paused_at=Now())
    now = datetime.now(UTC)
    log(rule, "pending", settled_at=None, happened_at=now - timedelta(days=70))

    told = []
    for day in range(20):
        look(company, now=now + timedelta(days=day))
        told += [day] * (
            len([one for one in subjects() if "on hold expire" in one]) - len(told)
        )

    assert told == [6, 17]  # with less than 15 days left, and with less than 4
    assert subjects()[-1] == "Northwind BV: events on hold expire within 3 days"


@pytest.mark.parametrize(
    ("failed", "sent", "opens"),
    [
        (4, 16, True), (3, 17, False), (20, 0, True), (100, 401, False),
        (4, 0, False), (5, 0, True), (3, 2, True), (2, 3, False), (10, 9, True), (9, 10, False),
    ],
)  # fmt: skip
def test_failures_are_told_from_a_fifth_of_20_on_and_from_half_of_fewer(
    company, line, make_rule, failed, sent, opens
) -> None:
    rule = make_rule(name="New lead")
    # Too long ago to count.
    log(rule, "rejected", 4, created_at=Now() - timedelta(days=31))
    log(rule, "rejected", failed - failed // 2)
    log(rule, "exhausted", failed // 2)
    log(rule, "accepted", sent)
    log(rule, "rejected", 50, is_test=True)
    log(rule, "expired", 50)
    count_now()

    look(company)

    assert open_alerts() == ([("failing", rule.pk)] if opens else [])
    if opens:
        assert Alert.objects.get().facts == {"failed": failed, "ended": failed + sent}


def test_a_rule_that_begins_to_fail_is_told_though_it_sent_much_before(
    company, line, make_rule
) -> None:
    rule = make_rule()
    log(rule, "accepted", 200, created_at=Now() - timedelta(days=3))
    log(rule, "accepted", 18, created_at=Now() - timedelta(days=1))
    log(rule, "rejected", 5)
    count_now()

    look(company)

    assert Alert.objects.get().facts == {"failed": 5, "ended": 23}


def test_of_a_small_rule_the_last_five_are_looked_at(company, line, make_rule) -> None:
    rule = make_rule()
    log(rule, "accepted", 13, created_at=Now() - timedelta(days=9))
    for day in (8, 5, 2):
        log(rule, "exhausted", 2, created_at=Now() - timedelta(days=day))
    count_now()
    look(company)
    assert Alert.objects.get().facts == {"failed": 6, "ended": 6}

    # Retried manually, and accepted.
    ConversionEvent.objects.filter(state="exhausted").update(state="accepted")
    recount_days()
    look(company)

    assert open_alerts() == []


def test_a_small_rule_beside_a_big_one_is_not_told_of_falsely(
    company, line, make_rule
) -> None:
    small, big = make_rule(), make_rule("deal_won", "104013")
    log(small, "accepted", 30)
    log(small, "rejected", 5)
    # However many: they don't count towards the small rule's share.
    log(big, "accepted", 30)
    count_now()
    DayCount.objects.filter(rule=big).update(count=5_000_000)

    look(company)

    assert open_alerts() == []


def test_an_alert_about_failures_does_not_flap(company, line, make_rule) -> None:
    rule = make_rule(name="New lead")
    log(rule, "rejected", 20)
    count_now()
    look(company)

    log(rule, "accepted", 100)  # 17 %
    count_now()
    look(company)
    log(rule, "accepted", 80)  # 10 %
    count_now()
    look(company)
    assert open_alerts() == [("failing", rule.pk)]
    log(rule, "accepted", 1)
    count_now()
    look(company)
    look(company)

    assert subjects() == [
        "Northwind BV: many events of the rule “New lead” fail", "Northwind BV: the rule “New lead” works again"
    ]  # fmt: skip


def test_an_alert_about_failures_stays_while_nothing_comes_to_an_end(
    company, line, make_rule
) -> None:
    rule = make_rule()
    log(rule, "rejected", 20)
    count_now()
    look(company)

    look(company, now=datetime.now(UTC) + timedelta(days=40))
    services.remove_token(company=company)
    look(company)

    assert open_alerts() == [("failing", rule.pk)]


def test_of_two_workers_that_look_at_once_one_finds_it_done(
    company, line, make_rule
) -> None:
    make_rule(is_paused=True, paused_reason="rule_not_found", paused_at=Now())

    assert [look(company), looking.evaluate(company.pk, now=NOON)] == [True, False]

    assert Alert.objects.count() == 1


def test_a_look_that_dies_leaves_nothing_and_is_due_again(
    company, line, make_rule, monkeypatch
) -> None:
    make_rule(is_paused=True, paused_reason="rule_not_found", paused_at=Now())
    monkeypatch.setattr(Mail.objects, "bulk_create", None)
    with pytest.raises(TypeError):
        look(company)

    assert (Alert.objects.count(), looking.due_companies()) == (0, [company.pk])


def test_a_closed_company_hears_nothing(company, admin, line, make_rule) -> None:
    make_rule()
    Connection.objects.update(
        is_paused=True, paused_reason="token_refused", paused_at=Now()
    )
    look(company)

    deactivate_company(company=company)
    look(company)

    assert Alert.objects.values_list("ending", flat=True).get() == "gone"
    assert subjects() == []  # not even the mails written before: no one may sign in


def test_nothing_is_told_of_a_company_without_rules_or_connection(
    company, other_company, admin
) -> None:
    services.save_token(company=company, token=TOKEN)
    Connection.objects.update(
        is_paused=True, paused_reason="token_refused", paused_at=Now()
    )

    assert look(company)
    assert not looking.evaluate(other_company.pk, now=NOON)

    assert not Alert.objects.exists()


def test_a_look_takes_as_many_queries_for_50_rules_as_for_one(
    company, line, make_rule, django_assert_max_num_queries
) -> None:
    for number in range(50):
        make_rule(linkedin_id=str(1_000 + number))

    # One for each rule, for the time of its last event.
    with django_assert_max_num_queries(20 + 50):
        look(company)


def test_alerts_of_one_company_are_not_anothers(
    company, other_company, line, make_rule
) -> None:
    make_rule(
        company=other_company,
        is_paused=True,
        paused_reason="rule_not_found",
        paused_at=Now(),
    )
    make_rule()
    Company.objects.get(pk=other_company.pk)

    look(company)

    assert not Alert.objects.exists()
    assert ConversionRule.objects.for_company(other_company).get().is_paused
