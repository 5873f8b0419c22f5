"""The dashboard: numbers of leads, deals and events, without test events."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models.functions import Now

from capi import services
from capi.models import ConversionEvent
from crm.models import Lead, LeadStatus, Stage
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from tests.capi.counted import count_now
from tests.conftest import TOKEN, make_deal, make_lead

pytestmark = pytest.mark.django_db


def log(rule, state: str, *, days_ago: int = 0, **fields) -> ConversionEvent:
    """An event of the rule as the log keeps it."""
    moment = Now() - timedelta(days=days_ago)
    return ConversionEvent.objects.create(
        company_id=rule.company_id,
        rule=rule,
        state=state,
        created_at=moment,
        **{"lead": None, **fields},
    )


def test_it_counts_open_leads_and_those_of_this_week(client_as, sales, company) -> None:
    unqualified = LeadStatus.objects.get(company=company, meaning="unqualified")
    old, _, lost = (make_lead(company, email=f"p{n}@example.com") for n in range(3))
    Lead.objects.filter(pk=old.pk).update(created_at=Now() - timedelta(days=8))
    Lead.objects.filter(pk=lost.pk).update(status=unqualified)

    shown = client_as(sales).get("/dashboard/").context["leads"]

    assert (shown.open, shown.new_this_week) == (2, 2)


def test_it_counts_no_lead_that_was_erased_or_merged(client_as, sales, company) -> None:
    for number in range(4):
        make_lead(company, email=f"p{number}@example.com")
    kept, gone, erased, twice = Lead.objects.order_by("pk")
    merge_leads(kept=kept, gone=gone)
    merge_leads(kept=erased, gone=twice)
    erase_lead(lead=erased)

    shown = client_as(sales).get("/dashboard/").context["leads"]

    assert (shown.open, shown.new_this_week) == (1, 1)


def test_it_sums_open_deals_in_the_companys_currency_and_others_apart(
    client_as, sales, company
) -> None:
    lead, won = make_lead(company), Stage.objects.get(company=company, meaning="won")
    for amount, currency, fields in [
        ("1000", "EUR", {}), ("250.50", "EUR", {}), (None, "EUR", {}), ("300", "CHF", {}),
        ("9999", "EUR", {"stage": won}),
    ]:  # fmt: skip
        make_deal(lead, amount=amount, currency=currency, **fields)

    page = client_as(sales).get("/dashboard/")

    pipeline = page.context["pipeline"]
    assert (pipeline.own, pipeline.others, pipeline.deals) == (
        Decimal("1250.50"),
        [(Decimal(300), "CHF")],
        4,
    )
    assert "€1,250.50" in page.content.decode()


def test_it_counts_outcomes_of_fourteen_days_without_tests(
    client_as, sales, make_rule
) -> None:
    rule = make_rule()
    for state, days_ago, is_test in [
        ("accepted", 14, False), ("accepted", 13, False), ("expired", 1, False), ("accepted", 0, False),
        ("accepted", 0, False), ("accepted", 0, True), ("rejected", 0, False), ("skipped", 0, False),
        ("waiting", 0, False),
    ]:  # fmt: skip
        log(rule, state, days_ago=days_ago, is_test=is_test)
    count_now()

    outcomes = client_as(sales).get("/dashboard/").context["outcomes"]

    totals = {series.label: series.total for series in outcomes.chart.series}
    assert totals == {"sent": 3, "on the way": 1, "failed": 2, "not sent": 1}
    assert [series.values[0] for series in outcomes.chart.series] == [1, 0, 0, 0]
    assert outcomes.accepted_percent == 60


def test_open_events_are_told_apart(client_as, sales, company, make_rule) -> None:
    services.save_token(company=company, token=TOKEN)
    going = make_rule("lead_created")
    paused = make_rule("deal_won", is_paused=True, paused_reason="rule_not_found")
    for rule, state in [
        (going, "pending"),
        (paused, "pending"),
        (paused, "pending"),
        (going, "waiting"),
    ]:
        log(rule, state)
    log(going, "pending", is_test=True)

    shown = client_as(sales).get("/dashboard/").context["open"]

    assert (shown.queued, shown.on_hold, shown.waiting) == (1, 2, 1)


def test_everything_open_is_on_hold_without_a_token(
    client_as, sales, make_rule
) -> None:
    log(make_rule(), "pending")

    shown = client_as(sales).get("/dashboard/").context["open"]

    assert (shown.queued, shown.on_hold) == (0, 1)


def test_the_latest_events_are_for_those_who_may_see_the_log(
    client_as, admin, ops, sales, company, make_rule
) -> None:
    make_rule()
    make_lead(company, first_name="Grace", last_name="Hopper")

    pages = {
        role: client_as(member).get("/dashboard/")
        for role, member in [("admin", admin), ("ops", ops), ("sales", sales)]
    }

    assert [row.event.lead.name for row in pages["admin"].context["latest"]] == [
        "Grace Hopper"
    ]
    assert [row.event.lead.name for row in pages["ops"].context["latest"]] == [
        "Grace Hopper"
    ]
    assert pages["sales"].context["latest"] is None
    assert "Grace Hopper" not in pages["sales"].content.decode()


def test_getting_started_goes_once_all_is_done(
    client_as, admin, company, make_rule
) -> None:
    web = client_as(admin)

    at_first = web.get("/dashboard/").context["start"]
    services.save_token(company=company, token=TOKEN)
    rule = make_rule()
    before_test = web.get("/dashboard/")
    log(rule, "accepted", is_test=True)
    make_lead(company)
    after_test = web.get("/dashboard/")

    assert [is_done for is_done, _, _ in at_first.steps] == [
        False,
        False,
        False,
        False,
        False,
    ]
    assert [is_done for is_done, _, _ in before_test.context["start"].steps] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert "Getting started" in before_test.content.decode()
    assert "Getting started" not in after_test.content.decode()


def test_only_those_who_may_invite_are_asked_to(client_as, admin, ops) -> None:
    steps = {
        member: client_as(member).get("/dashboard/").context["start"].steps
        for member in (admin, ops)
    }

    assert [label for _, label, _ in steps[admin]][3:] == [
        "Add your leads, manually or through the API", "Invite your colleagues",
    ]  # fmt: skip
    assert steps[admin][-1] == (True, "Invite your colleagues", "/company/people/")
    assert len(steps[ops]) == 4


def test_sales_are_not_asked_to_set_anything_up(client_as, sales) -> None:
    page = client_as(sales).get("/dashboard/")

    assert page.context["start"] is None
    assert "Getting started" not in page.content.decode()


def test_an_empty_company_sees_no_empty_drawing(client_as, admin) -> None:
    page = client_as(admin).get("/dashboard/").content.decode()

    assert "No events in the last 14 days" in page
    assert "<rect class" not in page


@pytest.mark.parametrize("leads", [1, 30])
def test_it_takes_the_same_queries_however_much_there_is(
    client_as, admin, company, make_rule, leads, django_assert_num_queries
) -> None:
    make_rule()
    for number in range(leads):
        make_deal(make_lead(company, email=f"p{number}@example.com"))
    web = client_as(admin)

    # Session, person, company; line; statuses, leads, stages, deals; the counts, and how new they are; open ones; the
    # latest; four first steps; the rules, and what is on hold.
    with django_assert_num_queries(18):
        web.get("/dashboard/")
