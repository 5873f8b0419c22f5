"""`manage.py deliver`: all lanes, manually."""

from io import StringIO

import pytest
from django.core.management import call_command

from capi import services
from capi.models import ConversionRule
from tests.capi.conftest import received, requests_made, states
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db


def deliver() -> str:
    printed = StringIO()
    call_command("deliver", stdout=printed)
    return printed.getvalue()


def test_with_nothing_due_it_says_so(connected) -> None:
    assert (
        deliver()
        == "Sent nothing: no event was due.\n0 requests to LinkedIn.\nNothing is on hold.\n"
    )


def test_it_sends_for_every_company_and_counts_the_outcomes(
    company, other_company, connected, sandbox, make_rule, settings
) -> None:
    services.save_token(company=other_company, token=TOKEN)
    make_rule()
    make_rule(company=other_company)
    for _ in range(3):
        make_lead(company)
    make_lead(other_company)
    settings.BATCH_SIZE = 2

    printed = deliver()

    assert (
        printed == "accepted        4\n3 requests to LinkedIn.\nNothing is on hold.\n"
    )
    assert len(received(sandbox)) == 4
    assert states(company) == ["accepted"] * 3
    assert states(other_company) == ["accepted"]


def test_outcomes_are_sorted_and_aligned(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)
    opted_out = make_rule("lead_qualified", "422422")
    services.send_test_event(rule=opted_out)

    assert (
        deliver()
        == "accepted        1\nrejected        1\n2 requests to LinkedIn.\nNothing is on hold.\n"
    )


def test_it_tells_what_is_on_hold_and_why(
    company, other_company, connected, sandbox, make_rule
) -> None:
    make_rule("lead_created", "403403")
    make_rule(company=other_company)
    for _ in range(2):
        make_lead(company)
    services.connection_of(other_company)
    make_lead(other_company)

    printed = deliver()

    assert printed == (
        "pending        2\n"
        "1 request to LinkedIn.\n"
        "On hold:\n"
        "contoso: No access token                         1\n"
        "northwind: No permission, or unknown rule        2\n"
    )
    assert ConversionRule.objects.get(company=company).is_paused


def test_events_of_a_company_that_never_had_a_connection_are_on_hold_too(
    other_company, make_rule
) -> None:
    make_rule(company=other_company)
    make_lead(other_company)

    assert deliver() == (
        "Sent nothing: no event was due.\n0 requests to LinkedIn.\nOn hold:\ncontoso: No access token        1\n"
    )


def test_a_second_run_sends_nothing_again(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)

    deliver()
    printed = deliver()

    assert (
        printed
        == "Sent nothing: no event was due.\n0 requests to LinkedIn.\nNothing is on hold.\n"
    )
    assert requests_made(sandbox) == [201]


def test_it_waits_for_the_purse_of_requests_rather_than_stop_halfway(
    company, connected, sandbox, make_rule, settings, monkeypatch
) -> None:
    monkeypatch.setattr("capi.delivery.deliver.LONGEST_SLEEP_SECONDS", 0.2)
    # One every 0.5 seconds once half of the purse is spent.
    settings.REQUESTS_PER_MINUTE = 120
    settings.BATCH_SIZE = 1
    connected.requests_left, connected.requests_counted_at = (
        59,
        connected.token_saved_at,
    )
    connected.save()
    make_rule()
    for _ in range(3):
        make_lead(company)

    deliver()

    assert states(company) == ["accepted"] * 3
    assert requests_made(sandbox) == [201, 201, 201]
