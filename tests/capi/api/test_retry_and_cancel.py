"""Retrying and cancelling an event over the API."""

import pytest

from capi import services
from capi.models import ConversionEvent, ConversionRule
from capi.selectors.explanations.explain import NOT_AS_THINGS_STAND
from capi.selectors.explanations.reasons import REASONS
from tests.conftest import TOKEN, make_lead
from tests.crm.api.calling import caller

pytestmark = pytest.mark.django_db


@pytest.fixture
def event(company) -> ConversionEvent:
    services.save_token(company=company, token=TOKEN)
    ConversionRule.objects.create(
        company=company,
        crm_event="lead_created",
        linkedin_id="104012",
        name="New leads",
    )
    return ConversionEvent.objects.get(crm_event__lead=make_lead(company))


def post(client, event, what: str):
    return client.post(f"/api/v1/conversion-events/{event.pk}/{what}/")


def test_an_event_is_cancelled_and_retried(company, event) -> None:
    client = caller(company, "ops")

    cancelled, retried = post(client, event, "cancel"), post(client, event, "retry")

    assert [
        (answer.status_code, answer.json()["state"]) for answer in (cancelled, retried)
    ] == [
        (200, "cancelled"),
        (200, "pending"),
    ]
    assert cancelled.json()["reason"] == "cancelled_by_hand"


def test_what_can_not_be_done_is_a_conflict_that_says_why(company, event) -> None:
    client = caller(company, "ops")
    ConversionEvent.objects.update(
        state="exhausted", reason="timed_out", next_attempt_at=None
    )
    event.lead.share_with_ad_platforms = False
    event.lead.save()

    answers = [post(client, event, what) for what in ("retry", "cancel")]

    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (409, {"detail": REASONS["opted_out"].what}),
        (409, {"detail": NOT_AS_THINGS_STAND}),
    ]
    assert ConversionEvent.objects.get().state == "exhausted"


def test_a_sales_key_may_not_and_a_neighbour_finds_nothing(
    company, other_company, event
) -> None:
    answers = [
        post(caller(company, "sales"), event, "cancel"),
        post(caller(other_company, "admin"), event, "cancel"),
    ]

    assert [answer.status_code for answer in answers] == [403, 404]
    assert ConversionEvent.objects.get().state == "pending"
