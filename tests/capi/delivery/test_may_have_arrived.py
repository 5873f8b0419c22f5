"""Whether LinkedIn may have an event is one fact: an undo, an import's report, a page and a deal all say the same."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from capi import services
from capi.linkedin.sandbox.faults import Drop, Fault
from capi.models import Connection, ConversionEvent
from capi.models.choices import Reason, State
from capi.selectors.deal_people import PERHAPS, SENT, why_lead_stays
from capi.selectors.explanations.explain import explain
from crm.models import Company, CrmEvent, Membership
from crm.services import lead_imports
from crm.services.undo import undo
from tests.capi.conftest import send_all, states, wait_is_over
from tests.capi.delivery.test_duplicates import pick
from tests.conftest import make_deal, make_lead
from tests.crm.data_exchange.importing.uploading import PEOPLE, run, upload, work_on

pytestmark = pytest.mark.django_db(transaction=True)

PLAIN_REFUSALS = {
    "401": Fault(status=401),
    "403": Fault(status=403),
    "408": Fault(status=408, body=""),
    "422": Fault(status=422),
    "429": Fault(status=429),
    "500": Fault(status=500),
    "503": Fault(status=503, body="<html>busy</html>"),
    "a redirect": Fault(status=302, headers={"Location": "https://example.com/"}),
    "a firewall's 403": Fault(status=403, body="<html>Forbidden</html>"),
}
NO_CLEAR_ANSWER = {
    "no answer": Fault(drop=Drop.AFTER_BODY),
    "half an answer": Fault(cut_after=12),
    "a success that is not plain": Fault(status=202, body=""),
    "a sign-in page": Fault(status=201, body="<html>Sign in</html>"),
    "a gateway that got no answer": Fault(
        status=504, body="<html>504 Gateway Time-out</html>"
    ),
}
ANSWERS = [
    *(pytest.param(fault, False, id=name) for name, fault in PLAIN_REFUSALS.items()),
    *(pytest.param(fault, True, id=name) for name, fault in NO_CLEAR_ANSWER.items()),
]
each_answer = pytest.mark.parametrize(("fault", "may_have_it"), ANSWERS)
MAY_HAVE_IT = "LinkedIn may already have “Lead qualified”: an earlier attempt had no clear result."


@pytest.fixture
def rule(connected: Connection, make_rule: Any) -> Any:
    return make_rule("lead_qualified", frequency="once")


@each_answer
def test_an_undo_says_so_only_of_what_linkedin_may_have(
    company: Company, rule: Any, sandbox: Any, fault: Fault, may_have_it: bool
) -> None:
    action = pick(make_lead(company), "qualified")
    sandbox.faults.add(fault)
    send_all(company)

    undone = undo(company=company, action=action)

    assert undone.told == ([MAY_HAVE_IT] if may_have_it else [])


@pytest.mark.parametrize(
    ("fault", "may_have_it"),
    [(Fault(status=503), False), (Fault(drop=Drop.AFTER_BODY), True)],
)
def test_nor_of_what_was_given_up(
    company: Company, rule: Any, sandbox: Any, fault: Fault, may_have_it: bool
) -> None:
    action = pick(make_lead(company), "qualified")
    ConversionEvent.objects.update(attempts=100)
    sandbox.faults.add(fault)
    send_all(company)

    undone = undo(company=company, action=action)

    assert states(company) == ["exhausted"]
    assert undone.told == ([MAY_HAVE_IT] if may_have_it else [])


def test_an_undo_says_so_of_what_was_cancelled_before_it(
    company: Company, rule: Any, sandbox: Any
) -> None:
    action = pick(make_lead(company), "qualified")
    sandbox.faults.add(Fault(drop=Drop.AFTER_BODY))
    send_all(company)
    services.cancel_events(company=company, pks=[ConversionEvent.objects.get().pk])

    undone = undo(company=company, action=action)

    assert undone.told == [MAY_HAVE_IT]


@each_answer
def test_the_page_of_an_event_that_ended_says_the_same(
    company: Company, rule: Any, sandbox: Any, fault: Fault, may_have_it: bool
) -> None:
    pick(make_lead(company), "qualified")
    sandbox.faults.add(fault)
    send_all(company)
    event = ConversionEvent.objects.get()
    services.cancel_events(company=company, pks=[event.pk])

    event.refresh_from_db()

    assert ("LinkedIn may have this event" in explain(event, None).what) == may_have_it


@pytest.mark.parametrize("last", [Fault(status=503), Fault(status=422)])
def test_so_it_does_of_one_that_was_given_up_or_rejected_after_an_unclear_answer(
    company: Company, rule: Any, sandbox: Any, last: Fault
) -> None:
    pick(make_lead(company), "qualified")
    sandbox.faults.add(Fault(drop=Drop.AFTER_BODY), last)
    send_all(company)
    ConversionEvent.objects.update(attempts=100)
    Connection.objects.update(next_attempt_at=None)
    wait_is_over()
    send_all(company)

    event = ConversionEvent.objects.get()

    assert event.state in (State.EXHAUSTED, State.REJECTED)
    assert "LinkedIn may have this event" in explain(event, None).what


@each_answer
def test_the_report_of_an_import_counts_only_what_linkedin_may_have(
    sales: Membership,
    connected: Connection,
    make_rule: Any,
    sandbox: Any,
    fault: Fault,
    may_have_it: bool,
) -> None:
    make_rule("lead_created")
    done = run(upload(sales, PEOPLE), sales, tells_platforms=True)
    sandbox.faults.add(replace(fault, times=3))  # a batch of two, and each by itself
    send_all(sales.company)

    lead_imports.undo(lead_import=done, actor=sales.user)
    work_on(done)

    assert done.already_told == (2 if may_have_it else 0)


@each_answer
def test_a_deal_keeps_its_main_person_only_if_linkedin_may_have_it(
    company: Company,
    connected: Connection,
    make_rule: Any,
    sandbox: Any,
    fault: Fault,
    may_have_it: bool,
) -> None:
    make_rule("deal_created")
    deal = make_deal(make_lead(company))
    sandbox.faults.add(fault)

    send_all(company)

    assert why_lead_stays(deal) == (PERHAPS if may_have_it else "")


def test_what_was_accepted_is_said_to_be_sent_everywhere(
    company: Company, connected: Connection, make_rule: Any, sandbox: Any
) -> None:
    make_rule("lead_qualified")
    make_rule("deal_created")
    lead = make_lead(company)
    deal, action = make_deal(lead), pick(lead, "qualified")
    send_all(company)

    undone = undo(company=company, action=action)

    assert undone.told == ["“Lead qualified” had already been sent to LinkedIn."]
    assert why_lead_stays(deal) == SENT


def test_after_a_plain_refusal_the_undo_of_a_later_change_records_it_again(
    company: Company, rule: Any, sandbox: Any
) -> None:
    Company.objects.filter(pk=company.pk).update(grace_seconds=30)
    lead = make_lead(company)
    first = pick(lead, "qualified")
    ConversionEvent.objects.update(next_attempt_at=Now() - timedelta(seconds=1))
    CrmEvent.objects.update(release_at=Now() - timedelta(seconds=1))
    sandbox.faults.add(Fault(status=503))
    send_all(company)
    second = pick(lead, "new")

    assert undo(company=company, action=first).told == []
    undo(company=company, action=second)

    assert list(
        ConversionEvent.objects.order_by("pk").values_list("state", "reason")
    ) == [
        (State.CANCELLED, Reason.TAKEN_BACK),
        (State.PENDING, Reason.NONE),
    ]
