"""People, deals and companies that are removed while their conversions are on the way (F55, F56)."""

import os
import signal
from collections import Counter

import pytest
from django.db import OperationalError

from capi.delivery import recall
from capi.models import Attempt, Connection, ConversionEvent, ConversionRule
from crm.models import Company, CrmEvent, Deal, Lead, Stage
from crm.services import audit
from crm.services.companies import deactivate_company, reactivate_company
from crm.services.erasure import erase_lead
from tests.capi.conftest import received, requests_made, send_all, states
from tests.conftest import make_deal, make_lead
from tests.faults import figures
from tests.faults.invariants import Allowed, broken
from tests.faults.threads import in_threads
from tests.faults.world import SMALL, make_leads, timed

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

COUNT, GONE = 50, 20


def freeze_in_flight(world, company, point: str = "answer_read") -> int:
    """Start a delivery that freezes once LinkedIn has answered, before anything is written. Returns its process id."""
    world.arm(point, "SIGSTOP")
    pid = world.deliveries.start(company.pk)
    world.deliveries.wait_until_stopped(pid)
    return pid


def wake(world, pid: int) -> int:
    os.kill(pid, signal.SIGCONT)
    return world.deliveries.wait(pid)


# --- F55: deleted ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["waiting", "in flight"])
@pytest.mark.parametrize("what", [Lead, Deal])
@pytest.mark.covers("F55")
def test_what_is_deleted_is_not_sent_and_what_linkedin_has_taken_stays_on_record(
    what, when, world
) -> None:
    company = world.connect(rules=("deal_created" if what is Deal else "lead_created",))
    make_leads(company, COUNT)
    if what is Deal:
        Deal.objects.bulk_create(
            Deal(company=company, lead=lead, title="Licences")
            for lead in Lead.objects.all()
        )
    gone = what.objects.filter(
        pk__in=list(what.objects.order_by("pk").values_list("pk", flat=True)[:GONE])
    )
    of_gone = {f"{what.__name__.lower()}__in": gone}
    ids = set(
        ConversionEvent.objects.filter(**of_gone).values_list("event_id", flat=True)
    )
    pid = freeze_in_flight(world, company) if when == "in flight" else None

    gone.delete()

    assert pid is None or wake(world, pid) == 0
    assert world.deliveries.run(company.pk) == 0
    sent = {
        element["eventId"]
        for entry in world.ledger.entries()
        for element in entry.elements
    }
    ended = Counter(
        ConversionEvent.objects.filter(event_id__in=ids).values_list("state", "reason")
    )
    assert len(ids) == GONE
    assert len(world.ledger.entries()) == 1
    if pid is None:
        assert ended == {("cancelled", f"{what.__name__.lower()}_deleted"): GONE}
        assert len(sent) == COUNT - GONE
        assert sent.isdisjoint(ids)
    else:
        assert ended == {("accepted", ""): GONE}
        assert len(sent) == COUNT
    assert world.broken() == []


# --- F55, F56: erased and closed, while the worker is dead or as good as dead ----------------------------------------

# What happens to the delivery, and whether LinkedIn has taken the batch by then.
ENDS = [("after_lease", "SIGKILL", False), ("half_body_sent", "SIGKILL", False), ("answer_read", "SIGKILL", True),
        ("before_commit", "SIGKILL", True), ("answer_read", "SIGSTOP", True)]  # fmt: skip
CASES = [(way, *end) for way in ("erased", "closed") for end in ENDS]


@pytest.mark.covers("F55", "F56")
def test_who_goes_while_a_worker_lies_dead_is_gone_in_time_and_in_no_later_request(
    world, monkeypatch
) -> None:
    monkeypatch.setattr(recall, "START_SECONDS", 0.2)
    companies = [
        world.connect(f"company-{n}", token=f"AQV-the-token-of-company-{n}")
        for n in range(len(CASES))
    ]
    zombies = [die(world, *each) for each in zip(companies, CASES, strict=True)]
    gone = [company.leads.order_by("pk")[7] for company in companies]
    erased = events_of(lead__in=gone[: len(ENDS)])
    closed = events_of(company__in=companies[len(ENDS) :])

    # Erasing or closing waits for a request that is under way, but no longer than a request may take.
    with timed(SMALL["SEND_TIMEOUT_SECONDS"] + 2):
        in_threads(
            len(CASES),
            lambda number: let_go(CASES[number][0], companies[number], gone[number]),
        )
    before = len(world.ledger.entries())
    world.let_leases_lapse()
    assert world.deliveries.run(*[company.pk for company in companies]) == 0
    assert [wake(world, pid) for pid in zombies if pid] == [0, 0]

    later = {
        element["eventId"]
        for entry in world.ledger.entries()[before:]
        for element in entry.elements
    }
    ended = ConversionEvent.objects.filter(state="cancelled").values_list(
        "event_id", "reason"
    )
    assert (len(erased), len(closed)) == (len(ENDS), len(ENDS) * COUNT)
    assert later.isdisjoint(erased | closed)
    assert dict(ended) == dict.fromkeys(erased, "erased") | dict.fromkeys(
        closed, "company_closed"
    )
    assert ConversionEvent.objects.filter(state="accepted").count() == len(ENDS) * (
        COUNT - 1
    )
    hidden = sum(taken for _, _, _, taken in CASES)
    assert world.broken(Allowed(hidden_answers=hidden, endings={"cancelled"})) == []
    figures.count("kills", len(CASES) - 2)
    figures.count("zombies", 2)


def die(world, company: Company, case: tuple[str, str, str, bool]) -> int:
    """Run a delivery for new leads that dies or freezes on the way. Returns its process id if it is frozen, else 0."""
    _, point, order, _ = case
    make_leads(company, COUNT)
    if order == "SIGSTOP":
        return freeze_in_flight(world, company, point)
    world.arm(point, order)
    assert world.deliveries.run(company.pk) == -signal.SIGKILL
    return 0


def events_of(**whose: object) -> set[str]:
    return set(
        ConversionEvent.objects.filter(**whose).values_list("event_id", flat=True)
    )


def let_go(way: str, company: Company, lead: Lead) -> None:
    if way == "erased":
        erase_lead(lead=lead)
    else:
        deactivate_company(company=company)


@pytest.mark.parametrize("way", ["erased", "closed"])
@pytest.mark.representative
@pytest.mark.covers("F55", "F56")
def test_where_the_database_fails_at_the_end_of_it_nobody_is_gone_by_half(
    way, company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    lead = make_lead(company, notes="Plays the oboe")
    make_deal(lead)

    def fail(**entry: object) -> None:
        raise OperationalError("the database is away")

    with monkeypatch.context() as failing:
        failing.setattr(audit, "record", fail)
        with pytest.raises(OperationalError):
            let_go(way, company, lead)

    left = Lead.objects.get()
    assert (left.name, left.email, left.notes, left.erased_at) == (
        "Ada",
        "ada@example.com",
        "Plays the oboe",
        None,
    )
    assert Deal.objects.get().title == "Forty licences"
    assert (Company.objects.get().is_active, Connection.objects.get().is_paused) == (
        True,
        False,
    )
    send_all(company)
    assert states(company) == ["accepted"]
    let_go(way, company, lead)
    assert (Lead.objects.get().first_name == "") == (way == "erased")
    assert Company.objects.get().is_active == (way == "erased")
    assert broken(sandbox.ledger.tail(10)) == []


@pytest.mark.covers("F55")
def test_a_lead_whose_deals_go_to_another_and_that_is_deleted_then_leaves_the_other_to_be_reported(
    company, connected, sandbox, make_rule
) -> None:
    """How people join two leads manually, without a merge."""
    for number, name in enumerate(
        ("lead_created", "deal_created", "deal_won"), 104_011
    ):
        make_rule(name, str(number))
    twin, stays = make_lead(company), make_lead(company, email="ada@example.org")
    deal = make_deal(twin)

    deal.lead = stays
    deal.save()
    twin.delete()
    send_all(company)
    deal.stage = Stage.objects.get(company=company, meaning="won")
    deal.save()
    send_all(company)

    ended = ConversionEvent.objects.order_by("pk").values_list(
        "rule__crm_event", "state", "reason"
    )
    assert list(ended) == [
        ("lead_created", "cancelled", "lead_deleted"),
        ("lead_created", "accepted", ""),
        ("deal_created", "cancelled", "lead_deleted"),
        ("deal_won", "accepted", ""),
    ]
    assert CrmEvent.objects.get(kind="deal_won").lead == stays
    assert len(received(sandbox)) == 2
    assert broken(sandbox.ledger.tail(10)[::-1]) == []


# --- F56: companies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["waiting", "in flight"])
@pytest.mark.covers("F56")
def test_a_company_that_is_deleted_is_in_no_later_request_and_leaves_no_row(
    when, world
) -> None:
    company, other = (
        world.connect(),
        world.connect("contoso", token="AQV-the-token-of-contoso-0001"),
    )
    make_leads(company, COUNT)
    make_leads(other, COUNT, start=1_000)
    pid = freeze_in_flight(world, company) if when == "in flight" else None
    before = len(world.ledger.entries())
    number = company.pk

    company.delete()

    assert pid is None or wake(world, pid) == 0
    assert world.deliveries.run(number, other.pk) == 0
    assert before == (0 if pid is None else 1)
    assert [len(entry.elements) for entry in world.ledger.entries()[before:]] == [COUNT]
    for model in (Connection, ConversionRule, ConversionEvent, Attempt, Lead, CrmEvent):
        assert set(model.objects.values_list("company", flat=True)) == {other.pk}, (
            model.__name__
        )
    assert set(states(other)) == {"accepted"}
    assert world.complaints() == []


@pytest.mark.covers("F56")
def test_what_a_closed_company_had_waiting_stays_unsent_when_it_opens_again(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 5)
    deactivate_company(company=company)

    reactivate_company(company=company)
    send_all(company)

    assert requests_made(sandbox) == []
    make_lead(company)
    send_all(company)
    assert Counter(states(company)) == {"cancelled": 5, "accepted": 1}
    assert broken(sandbox.ledger.tail(10)) == []
