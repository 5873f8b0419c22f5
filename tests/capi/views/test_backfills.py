"""The pages of a backfill: its plan, start, progress and end."""

import pytest
from django.urls import reverse

from capi.models import Backfill, ConversionEvent
from capi.selectors.explanations.rules import COUNTED_TWICE
from capi.services import backfills
from crm.models import Stage
from tests.capi.conftest import send_all, states
from tests.capi.delivery.test_backfill import ago, make_leads, start
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db

LIST, PLAN = reverse("backfills"), reverse("backfill_plan")


@pytest.fixture
def web(client_as, admin):
    return client_as(admin)


def lines(answer) -> dict[str, int]:
    """The plan on the page, without its zeros."""
    (plan,) = answer.context["plans"]
    return {line.label: line.planned for line in plan.lines if line.planned}


def test_the_plan_says_what_becomes_of_each_event_and_sends_nothing(
    web, company, connected, sandbox, make_rule
) -> None:
    make_leads(company, 3)
    make_lead(company, email="")
    make_lead(company, share_with_ad_platforms=False)
    rule = make_rule()

    answer = web.get(PLAN, {"rule": rule.pk, "period": 30})

    assert lines(answer) == {
        "To be sent": 3,
        "Waiting for an e-mail": 1,
        "Skipped: not shared": 1,
    }
    page = answer.content.decode()
    assert "Send 4 earlier events" in page
    assert "It may accept an old event but count it for no ad" in page
    assert COUNTED_TWICE not in page
    assert not Backfill.objects.exists()
    assert not ConversionEvent.objects.exists()


def test_the_plan_warns_of_a_deleted_rule_that_has_sent_the_same(
    web, company, connected, sandbox, make_rule
) -> None:
    earlier = make_rule("lead_created", "104012", name="Sign-up")
    make_lead(company)
    send_all(company)
    earlier.delete()
    rule = make_rule("lead_created", "104012")
    another = make_rule("lead_created", "104013")

    warned = [
        "“Sign-up”, which is deleted, was mapped to the same LinkedIn rule"
        in web.get(PLAN, asked).content.decode()
        for asked in (
            {"rule": rule.pk, "period": 30},
            {"rule": another.pk, "period": 30},
        )
    ]

    assert warned == [True, False]


def test_a_plan_of_all_active_rules_warns_of_purchases(web, company, make_rule) -> None:
    make_leads(company, 2)
    make_deal(
        make_lead(company), stage=Stage.objects.get(company=company, meaning="won")
    )
    make_rule("lead_created")
    make_rule("deal_won")
    make_rule("deal_lost", is_active=False)

    answer = web.get(PLAN, {"rule": "", "period": 7})

    assert [
        (plan.rule.crm_event, plan.total, plan.sendable)
        for plan in answer.context["plans"]
    ] == [
        ("lead_created", 3, 3),
        ("deal_won", 1, 1),
    ]
    assert COUNTED_TWICE in answer.content.decode()


def test_what_was_planned_is_started_with_the_same_form(
    web, company, admin, connected, sandbox, make_rule
) -> None:
    make_leads(company, 3)
    rule = make_rule()

    answer = web.post(PLAN, {"rule": rule.pk, "period": 30})

    backfill = Backfill.objects.get()
    assert answer.url == reverse("backfill", args=[backfill.pk])
    assert (backfill.rule, backfill.planned, backfill.made_by) == (
        rule,
        {"goes": 3},
        admin.user,
    )
    assert (backfill.until - backfill.since).days == 30
    send_all(company)
    assert states(company) == ["accepted"] * 3
    assert (
        "All past events in the period have been processed."
        in web.get(answer.url).content.decode()
    )


def test_with_nothing_to_send_nothing_is_started(web, company, make_rule) -> None:
    rule = make_rule()

    page = web.get(PLAN, {"rule": rule.pk, "period": 7})
    answer = web.post(PLAN, {"rule": rule.pk, "period": 7}, follow=True)

    assert "Nothing to send." in page.content.decode()
    assert "Lead created has nothing to send in this period." in answer.content.decode()
    assert not Backfill.objects.exists()


@pytest.mark.parametrize(
    ("asked", "errors"),
    [
        ({"period": "14"}, {"period"}),
        ({}, {"period"}),
        ({"period": "0"}, {"since"}),
        ({"period": "0", "since": "2020-01-01"}, {"since"}),
        ({"period": "0", "since": "2999-01-01"}, {"since"}),
        ({"period": "0", "since": "yesterday"}, {"since"}),
        ({"period": "0", "since": "{recent}", "until": "2020-01-01"}, {"until"}),
        ({"period": "7", "rule": "999999"}, {"rule"}),
        ({"period": "7", "rule": "x"}, {"rule"}),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_makes_no_sense_is_said_beside_its_field(
    web, company, make_rule, asked, errors, method
) -> None:
    make_leads(company, 2)
    make_rule()
    asked = {name: value.format(recent=ago(3).date()) for name, value in asked.items()}

    answer = getattr(web, method)(PLAN, asked)

    assert set(answer.context["form"].errors) == errors
    assert not Backfill.objects.exists()


def test_other_dates_are_whole_days(web, company, make_rule) -> None:
    make_leads(company, 2, days=5)
    rule = make_rule()
    before, that_day = ago(9).date(), ago(5).date()

    ends_before = web.get(
        PLAN, {"rule": rule.pk, "period": 0, "since": before, "until": ago(7).date()}
    )
    holds_it = web.get(
        PLAN, {"rule": rule.pk, "period": 0, "since": before, "until": that_day}
    )

    assert lines(ends_before) == {}
    assert lines(holds_it) == {"To be sent": 2}


def test_a_rule_of_another_company_is_no_choice(
    web, company, other_company, make_rule
) -> None:
    make_leads(other_company, 2)
    theirs = make_rule(company=other_company)

    answer = web.post(PLAN, {"rule": theirs.pk, "period": 7})

    assert set(answer.context["form"].errors) == {"rule"}
    assert not Backfill.objects.exists()


def test_its_page_tells_how_far_it_has_come_and_what_holds_it(
    web, company, connected, sandbox, make_rule
) -> None:
    make_leads(company, 12)
    rule = make_rule()
    backfill = start(rule)
    Backfill.objects.update(done={"goes": 5}, reached=5, state="running")
    address = backfill.get_absolute_url()

    running = web.get(address).content.decode()
    assert "5 of 12 events processed" in running
    assert '<progress max="12" value="5"' in running
    assert "Past events are sent after new ones." in running
    assert f'hx-get="{address}"' in running

    type(rule).objects.update(is_active=False)
    assert "The rule is switched off." in web.get(address).content.decode()
    type(rule).objects.update(is_active=True)
    type(connected).objects.update(sealed_token="")
    assert "No access token is saved." in web.get(address).content.decode()


def test_htmx_gets_just_the_part_that_moves(web, company, make_rule) -> None:
    make_leads(company, 2)
    backfill = start(make_rule())

    part = web.get(
        backfill.get_absolute_url(), headers={"HX-Request": "true"}
    ).content.decode()

    assert part.lstrip().startswith('<div id="backfill"')
    Backfill.objects.update(state="done")
    part = web.get(
        backfill.get_absolute_url(), headers={"HX-Request": "true"}
    ).content.decode()
    assert "hx-get" not in part


def test_it_is_paused_and_resumed_and_cancelled(
    web, company, connected, sandbox, make_rule
) -> None:
    make_leads(company, 2)
    backfill = start(make_rule())

    def press(name: str) -> str:
        web.post(reverse(name, args=[backfill.pk]))
        backfill.refresh_from_db()
        return backfill.state

    assert press("backfill_pause") == "paused"
    assert (
        "Resume it to continue where it stopped."
        in web.get(backfill.get_absolute_url()).content.decode()
    )
    assert press("backfill_resume") == "waiting"
    assert (
        "It can't be resumed."
        in web.get(reverse("backfill_cancel", args=[backfill.pk])).content.decode()
    )
    assert press("backfill_cancel") == "cancelled"
    assert press("backfill_resume") == "cancelled"
    send_all(company)
    assert states(company) == []


def test_the_list_shows_the_company_s_own_newest_first(
    web, company, other_company, make_rule, django_assert_max_num_queries
) -> None:
    for owner in (company, other_company):
        make_leads(owner, 2)
        for number in range(4):
            start(
                make_rule(
                    "lead_created",
                    str(number + 1),
                    company=owner,
                    name=f"{owner} {number}",
                )
            )

    with django_assert_max_num_queries(9):
        answer = web.get(LIST)

    assert [str(row.backfill.rule) for row in answer.context["rows"]] == [
        f"Northwind BV {n}" for n in (3, 2, 1, 0)
    ]
    assert "Contoso" not in answer.content.decode()


def test_the_empty_list_says_what_a_backfill_is_for(web) -> None:
    assert (
        "Use one if leads or deals were added before their rule."
        in web.get(LIST).content.decode()
    )


def test_a_new_rule_offers_what_it_has_missed(web, company) -> None:
    make_leads(company, 3)
    fields = {
        "crm_event": "lead_created",
        "name": "New lead",
        "linkedin_id": "104012",
        "frequency": "once",
    }

    answer = web.post(reverse("rule_new"), {**fields, "is_active": "on"}, follow=True)

    rule = company.conversion_rules.get()
    page = answer.content.decode()
    assert "3 such events have happened in the last 30 days." in page
    assert (
        f'<a href="{PLAN}?rule={rule.pk}&amp;period=30">Send earlier events too?</a>'
        in page
    )


def test_a_new_rule_that_missed_nothing_or_is_off_offers_nothing(web, company) -> None:
    fields = {
        "crm_event": "lead_created",
        "name": "New lead",
        "linkedin_id": "1",
        "frequency": "once",
    }
    nothing = web.post(reverse("rule_new"), {**fields, "is_active": "on"}, follow=True)
    make_leads(company, 3)
    is_off = web.post(reverse("rule_new"), {**fields, "linkedin_id": "2"}, follow=True)

    assert (
        "earlier events too" not in nothing.content.decode() + is_off.content.decode()
    )


def test_an_event_s_page_says_that_a_backfill_planned_it(
    web, ops, client_as, company, connected, sandbox, make_rule
) -> None:
    make_leads(company, 1)
    backfill = start(make_rule())
    send_all(company)
    address = ConversionEvent.objects.get().get_absolute_url()

    assert (
        f'<a href="{backfill.get_absolute_url()}">a backfill</a>'
        in web.get(address).content.decode()
    )
    assert "<dd>a backfill</dd>" in client_as(ops).get(address).content.decode()


@pytest.mark.parametrize("name", ["backfills", "backfill_plan"])
def test_it_is_for_admins(client_as, ops, sales, name) -> None:
    for member in (ops, sales):
        assert client_as(member).get(reverse(name)).status_code == 403


def test_a_second_one_of_the_same_rule_is_refused_in_words(
    web, company, make_rule
) -> None:
    make_leads(company, 2)
    rule = make_rule()
    start(rule)

    answer = web.post(PLAN, {"rule": rule.pk, "period": 30}, follow=True)

    assert "Lead created already has an unfinished backfill." in answer.content.decode()
    assert Backfill.objects.count() == 1
    assert backfills.pause(backfill=Backfill.objects.get())
