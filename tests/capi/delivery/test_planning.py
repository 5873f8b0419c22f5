"""A CRM event becomes one conversion event per active rule, in the transaction of the change."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from capi.delivery import planning, planning_sql, sweep
from capi.models import ConversionEvent
from crm.models import CrmEvent, Deal, Lead, LeadStatus
from crm.models.tracking.snapshots import supports_returning_old
from tests.capi.conftest import states
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


def reasons() -> list[str]:
    return list(ConversionEvent.objects.order_by("pk").values_list("reason", flat=True))


def test_a_mapped_event_is_planned_with_all_that_identifies_it(
    company, make_rule
) -> None:
    rule = make_rule("deal_created")

    deal = make_deal(make_lead(company))

    event, crm_event = (
        ConversionEvent.objects.get(),
        CrmEvent.objects.get(kind="deal_created"),
    )
    assert (event.company, event.rule, event.crm_event) == (company, rule, crm_event)
    assert (event.lead, event.deal, event.happened_at) == (
        deal.lead,
        deal,
        crm_event.occurred_at,
    )
    assert (event.state, event.attempts, event.http_status, event.is_test) == (
        "pending",
        0,
        None,
        False,
    )
    assert event.event_id == f"lm-{crm_event.public_id.hex}-{rule.pk}"
    assert len(event.event_id) <= 64
    assert event.next_attempt_at is not None


@pytest.mark.parametrize("is_one", [True, False])
def test_what_a_rule_has_counted_is_recorded_in_full(
    company, make_rule, is_one: bool
) -> None:
    once, always = (
        make_rule("lead_created", "1", frequency="once"),
        make_rule("lead_created", "2", frequency="every_time"),
    )
    lead = make_lead(company)
    again = [
        CrmEvent.objects.create(company=company, lead=lead, kind="lead_created")
        for _ in range(1 if is_one else 2)
    ]

    due = planning.plan([event.pk for event in again])

    assert due.keys() == {company.pk}
    for crm_event in CrmEvent.objects.filter(pk__in=[event.pk for event in again]):
        counted, sent = ConversionEvent.objects.filter(crm_event=crm_event).order_by(
            "rule"
        )
        assert (counted.rule, counted.state, counted.reason) == (
            once,
            "skipped",
            "already_counted",
        )
        assert (sent.rule, sent.state, sent.reason) == (always, "pending", "")
        for event in counted, sent:
            assert (event.company, event.lead, event.deal, event.backfill) == (
                company,
                lead,
                None,
                None,
            )
            assert event.happened_at == crm_event.occurred_at
            assert event.event_id == f"lm-{crm_event.public_id.hex}-{event.rule_id}"
        assert (
            counted.once_key,
            counted.next_attempt_at,
            counted.settled_at is None,
        ) == (None, None, False)
    assert planning.plan([event.pk for event in again]) == {}
    assert ConversionEvent.objects.count() == 2 + 2 * len(again)


def test_without_an_active_rule_nothing_is_planned(company, make_rule) -> None:
    make_rule("lead_created", is_active=False)
    make_rule("lead_qualified")
    make_rule("lead_created", "104014").delete()

    make_lead(company)

    assert not ConversionEvent.objects.exists()


def test_each_active_rule_gets_its_own_event(company, make_rule) -> None:
    make_rule("lead_created", "1")
    make_rule("lead_created", "2")

    make_lead(company)

    assert sorted(
        ConversionEvent.objects.values_list("rule__linkedin_id", flat=True)
    ) == ["1", "2"]


def test_a_neighbour_s_rule_gets_nothing(company, other_company, make_rule) -> None:
    make_rule("lead_created", company=other_company)

    make_lead(company)

    assert not ConversionEvent.objects.exists()


def test_a_rule_that_linkedin_paused_still_collects_events(company, make_rule) -> None:
    make_rule("lead_created", is_paused=True)

    make_lead(company)

    assert states(company) == ["pending"]


def test_bulk_creation_plans_an_event_for_each_lead(company, make_rule) -> None:
    make_rule("lead_created")

    Lead.objects.bulk_create(
        Lead(company=company, first_name=f"Lead {n}", email=f"{n}@example.com")
        for n in range(50)
    )

    assert states(company) == ["pending"] * 50
    assert ConversionEvent.objects.values("event_id").distinct().count() == 50


def test_planning_the_same_event_twice_makes_nothing_the_second_time(
    company, make_rule
) -> None:
    make_rule("lead_created")
    make_lead(company)
    crm_event = CrmEvent.objects.get()

    again = planning.plan([crm_event.pk])

    assert again == {}
    assert states(company) == ["pending"]


def test_a_rollback_takes_the_plan_with_it(company, make_rule) -> None:
    make_rule("lead_created")

    with pytest.raises(RuntimeError), transaction.atomic():
        make_lead(company)
        raise RuntimeError

    assert not ConversionEvent.objects.exists()
    assert not CrmEvent.objects.exists()


def test_a_rule_that_counts_once_explains_what_it_does_not_count(
    company, make_rule
) -> None:
    make_rule("lead_qualified", frequency="once")
    lead = make_lead(company)
    new, qualified = (
        LeadStatus.objects.get(company=company, meaning=meaning)
        for meaning in ("new", "qualified")
    )

    for status in (qualified, new, qualified):
        Lead.objects.filter(pk=lead.pk).update(status=status)

    assert states(company) == ["pending", "skipped"]
    assert reasons() == ["", "already_counted"]


def test_a_rule_that_counts_every_time_does(company, make_rule) -> None:
    make_rule("lead_qualified", frequency="every_time")
    lead = make_lead(company)
    new, qualified = (
        LeadStatus.objects.get(company=company, meaning=meaning)
        for meaning in ("new", "qualified")
    )

    for status in (qualified, new, qualified):
        Lead.objects.filter(pk=lead.pk).update(status=status)

    assert states(company) == ["pending", "pending"]


def test_once_is_counted_per_deal_for_deal_events(company, make_rule) -> None:
    make_rule("deal_created", frequency="once")
    lead = make_lead(company)

    make_deal(lead, title="Forty licences")
    make_deal(lead, title="Training")

    assert states(company) == ["pending", "pending"]


def test_the_place_of_a_rejected_event_is_free_for_the_next(company, make_rule) -> None:
    make_rule("lead_qualified", frequency="once")
    lead = make_lead(company)
    new, qualified = (
        LeadStatus.objects.get(company=company, meaning=meaning)
        for meaning in ("new", "qualified")
    )
    Lead.objects.filter(pk=lead.pk).update(status=qualified)
    ConversionEvent.objects.update(state="rejected", once_key=None)

    for status in (new, qualified):
        Lead.objects.filter(pk=lead.pk).update(status=status)

    assert states(company) == ["rejected", "pending"]


def test_a_lead_without_an_address_waits_until_one_is_entered(
    company, make_rule
) -> None:
    make_rule("lead_created")
    lead = make_lead(company, email="")
    assert (states(company), reasons()) == (["waiting"], ["no_email"])

    Lead.objects.filter(pk=lead.pk).update(email="ada@example.com")

    assert (states(company), reasons()) == (["pending"], [""])


def test_a_lead_that_opted_out_is_skipped(company, make_rule) -> None:
    make_rule("lead_created")

    make_lead(company, share_with_ad_platforms=False)

    assert (states(company), reasons()) == (["skipped"], ["opted_out"])
    assert ConversionEvent.objects.get().next_attempt_at is None


@pytest.mark.parametrize("email", ["ada@example.com", ""])
def test_opting_out_skips_what_is_open(company, make_rule, email) -> None:
    make_rule("lead_created")
    lead = make_lead(company, email=email)

    lead.share_with_ad_platforms = False
    lead.save()

    assert (states(company), reasons()) == (["skipped"], ["opted_out"])


def test_tidying_finds_an_address_that_no_signal_told_of(company, make_rule) -> None:
    make_rule("lead_created")
    lead = make_lead(company, email="")
    QuerySet(Lead).filter(pk=lead.pk).update(email="ada@example.com")

    sweep.tidy()

    assert states(company) == ["pending"]


def test_tidying_ends_what_can_never_be_sent(company, make_rule) -> None:
    make_rule("lead_created", is_paused=True)
    deal_rule = make_rule("deal_created", "2", is_paused=True)
    deleted = make_rule("lead_qualified", "3")
    old, gone = make_lead(company), make_lead(company, first_name="Grace")
    deal = make_deal(old)
    qualified = LeadStatus.objects.get(company=company, meaning="qualified")
    Lead.objects.filter(pk=old.pk).update(status=qualified)
    ConversionEvent.objects.filter(lead=old, rule__crm_event="lead_created").update(
        happened_at=timezone.now() - timedelta(days=91)
    )
    gone.delete()
    deal.delete()
    deleted.delete()

    sweep.tidy()

    assert states(company) == ["expired", "cancelled", "cancelled", "cancelled"]
    assert reasons() == ["too_old", "lead_deleted", "deal_deleted", "rule_deleted"]
    assert deal_rule.events.get().next_attempt_at is None


def test_the_amount_planned_is_that_of_the_moment(company, make_rule) -> None:
    make_rule("deal_created")
    deal = make_deal(make_lead(company), amount="10.00")

    Deal.objects.filter(pk=deal.pk).update(amount="99.00")

    assert ConversionEvent.objects.get().crm_event.amount == Decimal("10.00")


def test_planning_says_which_companies_have_something_to_send(
    company, other_company, make_rule
) -> None:
    make_rule("lead_created")
    make_rule("lead_created", company=other_company)
    leads = Lead.objects.bulk_create(
        [
            Lead(company=company, first_name="Ada", email="ada@example.com"),
            Lead(company=other_company, first_name="Grace"),
        ]
    )
    ConversionEvent.objects.all().delete()

    due = planning.plan(
        list(CrmEvent.objects.filter(lead__in=leads).values_list("pk", flat=True))
    )

    assert {pk: round(seconds) for pk, seconds in due.items()} == {company.pk: 0}
    assert states(other_company) == ["waiting"]


def test_planning_is_one_statement_however_many_events(
    company, make_rule, django_assert_max_num_queries
) -> None:
    make_rule("lead_created")
    make_rule("lead_created", "2")
    Lead.objects.bulk_create(
        Lead(company=company, first_name=f"Lead {n}", email=f"{n}@example.com")
        for n in range(9)
    )
    crm_events = list(CrmEvent.objects.values_list("pk", flat=True))
    ConversionEvent.objects.all().delete()

    with django_assert_max_num_queries(1):
        planning.plan(crm_events)

    assert ConversionEvent.objects.count() == 18


def test_no_pair_is_compared_with_all_others_whatever_postgresql_takes_for_small(
    company, make_rule
) -> None:
    make_rule("lead_created")
    statements, chosen = planning_sql.planning([1, 2])

    explained = explain_for_few(statements.at_once, [chosen])

    assert "Anti Join" not in explained
    assert "hashed SubPlan" in explained
    # CRM events with rules, and there are few rules.
    assert explained.count("Nested Loop") == 1


@pytest.mark.parametrize("about_deal", [False, True])
def test_foreseeing_compares_nothing_with_all_either(about_deal) -> None:
    of_ids = explain_for_few(
        planning_sql.preview_of_ids(about_deal=about_deal), [[1, 2], 1, [1, 2]]
    )
    period = [1, "lead_created", timezone.now(), timezone.now()]
    of_period = explain_for_few(
        planning_sql.preview_of_period(about_deal=about_deal), [*period, 1, *period]
    )

    assert of_ids.count("Nested Loop") == of_period.count("Nested Loop") == 1


def explain_for_few(statement: str, parameters: list[Any]) -> str:
    """PostgreSQL's plan while it takes its tables for small, as it does before it has counted their rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
        )
        cursor.execute(f"EXPLAIN {statement}", parameters)
        return "\n".join(line for (line,) in cursor.fetchall())


def test_tidying_joins_no_event_to_anything_so_that_all_are_never_compared_with_all(
    company, make_rule
) -> None:
    make_rule("lead_created")
    make_lead(company)
    without_address = make_lead(company, email="")
    # Unnoticed: the event must be woken.
    Lead.objects.filter(pk=without_address.pk).update(email="ada@example.com")

    with CaptureQueriesContext(connection) as queries:
        sweep.tidy()

    about_events = [
        query["sql"] for query in queries if "capi_conversionevent" in query["sql"]
    ]
    assert len(about_events) >= 7
    assert states(company) == ["pending", "pending"]
    assert [
        sql
        for sql in about_events
        if " JOIN " in sql or 'FROM "capi_conversionevent" U' in sql
    ] == []


def test_postgresql_keeps_its_plans_of_the_statements_of_a_save(
    company, make_rule
) -> None:
    make_rule("lead_qualified")
    qualified = LeadStatus.objects.get(company=company, meaning="qualified")

    for number in range(20):
        lead = make_lead(company, email=f"{number}@example.com")
        lead.status = qualified
        lead.save()

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT statement FROM pg_prepared_statements WHERE generic_plans > 0"
        )
        kept = "".join(statement for (statement,) in cursor.fetchall())
    assert "WITH pairs" in kept
    assert "INSERT INTO crm_crmevent" in kept
    assert (
        "RETURNING old" if supports_returning_old(connection) else "FOR NO KEY UPDATE"
    ) in kept


def test_postgresql_plans_the_statements_of_pages_for_their_values(
    company, make_rule
) -> None:
    make_rule("lead_created")
    for number in range(20):
        make_lead(company, email=f"{number}@example.com")
        assert (
            not ConversionEvent.objects.for_company(company.pk)
            .filter(state="rejected")
            .exists()
        )

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT%capi_conversionevent%'"
        )
        assert cursor.fetchone() == (0,)
