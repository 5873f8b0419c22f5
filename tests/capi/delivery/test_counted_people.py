"""A person is counted by an event that LinkedIn has or may have, and by no other."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from capi import services
from capi.linkedin.identity import email_sha256
from capi.linkedin.sandbox.faults import Drop, Fault
from capi.models import Connection, ConversionEvent, ConversionRule, CountedPerson
from capi.models.choices import Reason
from crm.models import Lead
from tests.capi.conftest import (
    hashes,
    received,
    requests_made,
    send_all,
    states,
    wait_is_over,
)
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db

NOTHING_TAKEN = [401, 403, 404, 422, 426, 429, 500, 503]
UNKNOWN = [
    Fault(drop=Drop.AFTER_BODY),
    Fault(status=200, body="<html>"),
    Fault(cut_after=-1),
]


@pytest.fixture
def rule(connected, make_rule):
    return make_rule("lead_created", frequency="per_person")


def address(lead: Lead, email: str) -> None:
    Lead.objects.filter(pk=lead.pk).update(email=email)


def send_on(company, *, rounds: int = 3) -> None:
    """Resume everything, end all waits and send, `rounds` times."""
    for _ in range(rounds):
        ConversionRule.objects.update(is_paused=False, paused_reason="")
        Connection.objects.update(
            next_attempt_at=None, resting_since=None, is_paused=False, paused_reason=""
        )
        wait_is_over()
        send_all(company)


def give_up(company, sandbox, fault: Fault) -> None:
    """Make the last attempt at the company's only event, with this answer."""
    ConversionEvent.objects.update(attempts=100)
    sandbox.faults.add(fault)
    send_all(company)
    assert states(company) == ["exhausted"]


@pytest.mark.parametrize("status", NOTHING_TAKEN)
def test_an_answer_that_plainly_took_nothing_counts_nobody(
    company, rule, sandbox, status
) -> None:
    make_lead(company)
    sandbox.faults.add(Fault(status=status))

    send_all(company)

    assert requests_made(sandbox) == [status]
    assert not CountedPerson.objects.exists()


def test_a_request_that_never_left_counts_nobody(company, rule, settings) -> None:
    settings.LINKEDIN_API_URL = "http://127.0.0.1:9"
    make_lead(company)

    send_all(company)

    assert ConversionEvent.objects.get().reason == Reason.UNREACHABLE
    assert not CountedPerson.objects.exists()


def test_of_a_batch_those_are_counted_whom_linkedin_has_or_may_have(
    company, rule, sandbox
) -> None:
    accepted, unclear, _ = (
        make_lead(company, email=f"{name}@example.com")
        for name in ("ada", "bob", "eve")
    )
    elements = '{"status":201}, {"status":202}, {"status":503}'
    sandbox.faults.add(Fault(status=200, body=f'{{"elements":[{elements}]}}'))

    send_all(company)

    assert {row.event.lead for row in CountedPerson.objects.all()} == {
        accepted,
        unclear,
    }


@pytest.mark.parametrize("fault", UNKNOWN)
def test_after_an_unknown_answer_the_place_stays_taken(
    company, rule, sandbox, fault
) -> None:
    make_lead(company)
    sandbox.faults.add(fault)
    send_all(company)
    Connection.objects.update(next_attempt_at=None)
    wait_is_over()
    sandbox.faults.add(Fault(status=429))

    send_all(company)

    assert requests_made(sandbox)[-1] == 429
    assert CountedPerson.objects.get().event == ConversionEvent.objects.get()


@pytest.mark.parametrize("status", [429, 503])
def test_a_person_whom_a_wrong_address_never_reached_is_sent(
    company, rule, sandbox, status
) -> None:
    wrong = make_lead(company)
    sandbox.faults.add(Fault(status=status))
    send_all(company)
    address(wrong, "bob@example.com")
    send_on(company, rounds=1)
    make_lead(company)

    send_on(company)

    assert states(company) == ["accepted", "accepted"]


@pytest.mark.parametrize("fault", [Fault(status=429), Fault(status=503), *UNKNOWN])
def test_two_whose_addresses_were_swapped_never_wait_for_each_other(
    company, rule, sandbox, fault
) -> None:
    leads = [
        make_lead(company, email=email)
        for email in ("ada@example.com", "bob@example.com")
    ]
    sandbox.faults.add(fault)
    send_all(company)
    address(leads[0], "bob@example.com")
    address(leads[1], "ada@example.com")

    send_on(company)

    # If the answer is unknown, LinkedIn may have both people.
    assert states(company) == ["skipped" if fault in UNKNOWN else "accepted"] * 2
    assert set(hashes(sandbox)) <= {
        email_sha256("ada@example.com"),
        email_sha256("bob@example.com"),
    }


@pytest.mark.parametrize(
    ("fault", "then"), [(Fault(status=429), "accepted"), (UNKNOWN[0], "skipped")]
)
def test_nobody_waits_for_an_event_that_waits_for_an_address(
    company, rule, sandbox, fault, then
) -> None:
    first = make_lead(company)
    sandbox.faults.add(fault)
    send_all(company)
    address(first, "")
    make_lead(company)

    send_on(company)

    assert states(company) == ["waiting", then]


@pytest.mark.parametrize("fault", [Fault(status=503), UNKNOWN[0]])
def test_after_the_first_gave_up_the_second_goes_if_linkedin_has_none(
    company, rule, sandbox, fault
) -> None:
    make_lead(company)
    give_up(company, sandbox, fault)
    make_lead(company)

    send_on(company)

    assert states(company) == [
        "exhausted",
        "skipped" if fault in UNKNOWN else "accepted",
    ]
    assert len(received(sandbox)) == 1


ENDINGS = {
    "cancelled": lambda event: services.cancel_events(
        company=event.company, pks=[event.pk]
    ),
    "opted out": lambda event: Lead.objects.filter(pk=event.lead_id).update(
        share_with_ad_platforms=False
    ),
    "deleted": lambda event: Lead.objects.filter(pk=event.lead_id).delete(),
    "too old": lambda event: ConversionEvent.objects.update(
        happened_at=Now() - timedelta(days=91)
    ),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
def test_however_an_event_ends_that_linkedin_may_have_no_other_is_sent(
    company, rule, sandbox, ending
) -> None:
    make_lead(company)
    sandbox.faults.add(Fault(drop=Drop.AFTER_BODY))
    send_all(company)
    ending(ConversionEvent.objects.get())
    make_lead(company)

    send_on(company)

    assert ConversionEvent.objects.first().reason == Reason.ALREADY_COUNTED
    assert len(received(sandbox)) == 1
