"""`manage.py demo`: a company that has something to show on every page."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.core.management import call_command
from django.db.models import Sum
from django.test import override_settings
from django.utils import timezone

from capi import services
from capi.delivery import lane
from capi.delivery.sent_hashes import hash_of
from capi.linkedin.identity import email_sha256
from capi.models import Attempt, Connection, ConversionEvent, ConversionRule, DayCount
from capi.models.choices import Frequency, State
from crm.models import (
    Company,
    CrmEvent,
    Deal,
    DealPerson,
    Lead,
    OrganisationDetails,
    Stage,
    User,
)
from crm.selectors.organisation_domains import usual_domain
from leadmachine.demo import load as demo_of
from leadmachine.demo.people import PASSWORD
from tests.capi.conftest import received, send_all
from tests.capi.counted import count_now

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _development(settings):
    settings.DEBUG = True


def load() -> str:
    printed = StringIO()
    call_command("demo", stdout=printed)
    return printed.getvalue()


@pytest.fixture(scope="module")
def demo(made_once):
    """Loaded once, because it takes half a second."""
    with made_once(), override_settings(DEBUG=True):
        load()


@pytest.fixture
def northwind(demo):
    return Company.objects.get(slug="northwind")


def test_some_open_deals_have_further_people_of_the_leads_organisation(
    northwind,
) -> None:
    links = DealPerson.objects.for_company(northwind).select_related(
        "deal__lead", "lead"
    )

    assert links.count() >= 5
    assert all(
        link.deal.stage.is_open and link.lead_id != link.deal.lead_id for link in links
    )
    assert {
        link.lead.organisation == link.deal.lead.organisation for link in links
    } == {True}


def test_organisations_have_details_and_the_domain_of_their_people(northwind) -> None:
    details = OrganisationDetails.objects.for_company(northwind)

    assert details.count() >= 5
    assert not details.without_leads().exists()
    for row in details:
        assert usual_domain(northwind, row.key) == row.domain


def test_everybody_it_prints_can_sign_in(northwind) -> None:
    addresses = User.objects.values_list("email", flat=True)

    assert len(addresses) == 4
    for address in addresses:
        assert authenticate(username=address, password=PASSWORD) is not None


def test_the_printed_password_is_one_that_the_product_would_take(northwind) -> None:
    # It raises where it refuses.
    assert [validate_password(PASSWORD, user) for user in User.objects.all()] == [
        None
    ] * 4


def test_a_second_run_changes_nothing(northwind) -> None:
    def everything():
        return [
            list(m.objects.order_by("pk").values())
            for m in (Company, Lead, Deal, CrmEvent, ConversionEvent)
        ]

    before = everything()

    printed = load()

    assert printed.startswith("The demo companies already exist.\n")
    assert everything() == before


OUTCOMES = {
    ("accepted", ""),
    ("cancelled", "lead_deleted"),
    ("cancelled", "rule_inactive"),
    ("exhausted", "server_trouble"),
    ("expired", "too_old"),
    ("pending", ""),
    ("pending", "rule_forbidden"),
    ("pending", "server_trouble"),
    ("rejected", "data_refused"),
    ("skipped", "already_counted"),
    ("skipped", "opted_out"),
    ("waiting", "no_email"),
}


def test_the_log_holds_every_state_with_reasons_that_explain_them(northwind) -> None:
    assert {state for state, _ in OUTCOMES} == set(State.values)
    assert (
        set(
            ConversionEvent.objects.for_company(northwind).values_list(
                "state", "reason"
            )
        )
        == OUTCOMES
    )


@pytest.mark.thorough
@pytest.mark.parametrize("days", range(7))
def test_it_does_so_on_every_day_of_the_week(days) -> None:
    """Leads hardly ever come in at a weekend, which makes some of them too old to be sent."""
    # The demo of other tests here; it comes back at the end of this test's transaction.
    for model in (Company, User):
        model.objects.all().delete()

    assert demo_of(timezone.now() - timedelta(days=days))

    assert (
        set(
            ConversionEvent.objects.filter(company__name="Northwind BV").values_list(
                "state", "reason"
            )
        )
        == OUTCOMES
    )


def test_there_are_three_months_of_leads_and_deals(northwind) -> None:
    now = timezone.now()
    moments = CrmEvent.objects.for_company(northwind).values_list(
        "occurred_at", flat=True
    )

    assert Lead.objects.for_company(northwind).count() == 199
    assert Deal.objects.for_company(northwind).count() == 60
    assert now - timedelta(days=97) < min(moments) < now - timedelta(days=90)
    assert now - timedelta(minutes=10) < max(moments) < now


def test_ids_follow_time_so_that_logs_read_naturally(northwind) -> None:
    for model, moment in (
        (CrmEvent, "occurred_at"),
        (ConversionEvent, "happened_at"),
        (Attempt, "started_at"),
    ):
        moments = list(
            model.objects.for_company(northwind)
            .order_by("pk")
            .values_list(moment, flat=True)
        )

        assert moments == sorted(moments)


def test_an_event_that_was_sent_shows_the_attempt_and_the_hash_that_went_out(
    northwind,
) -> None:
    event = (
        ConversionEvent.objects.filter(state="accepted")
        .select_related("last_attempt", "lead")
        .first()
    )

    assert event is not None
    assert hash_of(event.last_attempt.sent_hashes, event.pk) == email_sha256(
        event.lead.email
    )
    assert (event.attempts, event.http_status, event.next_attempt_at) == (1, 201, None)
    assert (event.last_attempt.http_status, event.last_attempt.linkedin_id) == (
        201,
        event.rule.linkedin_id,
    )
    assert event.happened_at < event.last_attempt.started_at == event.settled_at


def test_what_has_expired_did_so_when_it_became_too_old_and_not_at_the_first_start(
    northwind,
) -> None:
    expired = ConversionEvent.objects.for_company(northwind).filter(state=State.EXPIRED)

    assert {event.settled_at - event.happened_at for event in expired} == {
        timedelta(days=90)
    }


def test_what_gave_up_has_all_its_attempts(northwind) -> None:
    event = ConversionEvent.objects.get(state="exhausted")

    assert event.attempts == event.earlier_attempts.count() + 1 == 18


def test_no_old_event_is_sent_at_the_first_start(northwind) -> None:
    assert not lane.due_lanes().exists()


def test_whichever_open_deal_is_won_is_sent_at_once(northwind, sandbox) -> None:
    deals = list(Deal.objects.for_company(northwind).open())
    won = Stage.objects.usual_of(northwind).get(meaning="won")

    for deal in deals:
        deal.stage = won
        deal.save()
    send_all(northwind)

    events = ConversionEvent.objects.filter(deal__in=deals, rule__crm_event="deal_won")
    assert len(deals) > 20
    assert list(events.values_list("state", flat=True)) == ["accepted"] * len(deals)
    assert len(received(sandbox)) == len(deals)


def test_play_works_for_each_of_the_five_rules(northwind, sandbox) -> None:
    rules = (
        ConversionRule.objects.for_company(northwind).active().filter(is_paused=False)
    )

    tests = [services.send_test_event(rule=rule) for rule in rules]
    send_all(northwind)

    assert {rule.crm_event for rule in rules} == {
        "lead_created", "lead_qualified", "deal_created", "deal_won", "deal_lost",
    }  # fmt: skip
    for test in tests:
        test.refresh_from_db()
        assert (test.state, test.http_status) == ("accepted", 201)


def test_the_second_company_shares_nothing_with_the_first(northwind) -> None:
    contoso = Company.objects.get(slug="contoso")

    assert Lead.objects.for_company(contoso).count() == 12
    assert Deal.objects.for_company(contoso).count() == 3
    assert not Connection.objects.for_company(contoso).exists()
    assert (
        not User.objects.filter(memberships__company=northwind)
        .filter(memberships__company=contoso)
        .exists()
    )


def test_all_addresses_are_synthetic(northwind) -> None:
    addresses = [
        *Lead.objects.exclude(email="").values_list("email", flat=True),
        *User.objects.values_list("email"),
    ]

    assert len(addresses) > 190
    assert {str(address).strip("(',)").rpartition(".")[2] for address in addresses} == {
        "example"
    }


def test_each_rule_counts_once_unless_told_otherwise(northwind) -> None:
    assert set(ConversionRule.objects.values_list("frequency", flat=True)) == {
        Frequency.ONCE
    }


def test_all_of_the_demos_log_is_counted_by_the_day(northwind) -> None:
    count_now()

    counted = DayCount.objects.for_company(northwind).aggregate(total=Sum("count"))[
        "total"
    ]
    assert counted == ConversionEvent.objects.for_company(northwind).counted().count()
    assert counted > 100
