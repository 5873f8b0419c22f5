"""Undo, and what is taken back because it was set back before its release."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from capi.delivery import cancellation, planning, retries
from capi.models import Connection, ConversionEvent
from capi.models.choices import Reason, State
from capi.models.lookups import IdList, pack_ids
from crm.models import Change, Company, CrmEvent, Deal, Lead, LeadStatus, Stage
from crm.models.tracking.origin import acting_as
from crm.services.editing import change_status, move_deal
from crm.services.undo import NothingToUndo, undo
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def patient(company: Company) -> Company:
    company.grace_seconds = 30
    company.save()
    return company


class Person:
    """Changes as a person makes them in the browser: each request has an action of its own."""

    def __init__(self, user: Any) -> None:
        self.user = user

    def __call__(self) -> Any:
        self.action = uuid.uuid4()
        return acting_as(self.user, action=self.action)


@pytest.fixture
def person(sales: Any) -> Person:
    return Person(sales.user)


@pytest.fixture
def rules(patient: Company, token: Any, make_rule: Any) -> None:
    for kind in (
        "lead_created",
        "lead_qualified",
        "deal_created",
        "deal_won",
        "deal_lost",
    ):
        make_rule(kind)


def status(company: Company, name: str) -> LeadStatus:
    return LeadStatus.objects.for_company(company).get(name=name)


def stage(company: Company, name: str) -> Stage:
    return Stage.objects.for_company(company).get(name=name)


def give(lead: Lead, name: str) -> None:
    change_status(
        leads=Lead.objects.filter(pk=lead.pk), status=status(lead.company, name)
    )


def move(deal: Deal, name: str) -> None:
    move_deal(deal=deal, stage=stage(deal.company, name))


def log(kind: str) -> list[tuple[str, str]]:
    events = ConversionEvent.objects.filter(crm_event__kind=kind).order_by("pk")
    return list(events.values_list("state", "reason"))


TAKEN_BACK = (State.CANCELLED, Reason.TAKEN_BACK)
QUEUED = (State.PENDING, Reason.NONE)
SENT = (State.ACCEPTED, Reason.NONE)


def end_grace() -> None:
    CrmEvent.objects.update(release_at=F("release_at") - timedelta(seconds=60))
    ConversionEvent.objects.filter(state=State.PENDING).update(next_attempt_at=Now())


# --- the grace period ------------------------------------------------------------------------------------------------


def test_what_a_person_changes_is_due_after_the_grace_period(
    patient, rules, person
) -> None:
    with person():
        make_lead(patient)

    event = ConversionEvent.objects.annotate(now=Now()).get()
    assert 28 < (event.next_attempt_at - event.now).total_seconds() <= 30
    assert not ConversionEvent.objects.due().exists()
    assert event.crm_event.release_at is not None


def test_what_a_script_changes_is_due_at_once(patient, rules) -> None:
    make_lead(patient)

    assert ConversionEvent.objects.due().count() == 1
    assert CrmEvent.objects.get().release_at is None


def test_without_a_grace_period_everything_is_due_at_once(
    company, rules, person
) -> None:
    Company.objects.update(grace_seconds=0)

    with person():
        make_lead(company)

    assert ConversionEvent.objects.due().count() == 1


def test_an_address_that_comes_within_the_grace_period_does_not_end_it(
    patient, rules, person
) -> None:
    with person():
        lead = make_lead(patient, email="")
    assert log("lead_created") == [(State.WAITING, Reason.NO_EMAIL)]

    lead.email = "ada@example.com"
    lead.save()

    assert log("lead_created") == [QUEUED]
    assert not ConversionEvent.objects.due().exists()


def test_a_bulk_change_has_a_grace_period_for_each_event(
    patient, rules, person
) -> None:
    leads = [make_lead(patient, email=f"{number}@example.com") for number in range(3)]

    with person():
        change_status(
            leads=Lead.objects.filter(pk__in=[lead.pk for lead in leads]),
            status=status(patient, "Qualified"),
        )

    qualified = CrmEvent.objects.filter(kind="lead_qualified")
    assert {event.action for event in qualified} == {person.action}
    assert all(event.release_at for event in qualified)
    # Those of the script that made the leads.
    assert ConversionEvent.objects.due().count() == 3


# --- set back within it ----------------------------------------------------------------------------------------------


def test_a_status_that_is_set_back_within_the_grace_period_is_taken_back(
    patient, rules, person
) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")
    with person():
        give(lead, "New")

    assert log("lead_qualified") == [TAKEN_BACK]
    assert CrmEvent.objects.get(kind="lead_qualified").taken_back_at is not None


def test_a_stage_that_is_left_for_another_within_the_grace_period_is_taken_back_too(
    patient, rules, person
) -> None:
    deal = make_deal(make_lead(patient))
    with person():
        move(deal, "Won")
    with person():
        move(deal, "Lost")

    assert log("deal_won") == [TAKEN_BACK]
    assert log("deal_lost") == [QUEUED]


def values(kind: str) -> list[tuple[str, str]]:
    return [
        (str(each.amount), each.currency)
        for each in CrmEvent.objects.filter(kind=kind).order_by("pk")
    ]


@pytest.mark.parametrize("by_form", [True, False])
def test_an_amount_that_is_corrected_within_the_grace_period_is_the_one_that_is_sent(
    by_form: bool, patient, rules, person
) -> None:
    with person():
        deal = make_deal(make_lead(patient), amount="90000.00", currency="EUR")
        move(deal, "Won")
    recalls = Connection.objects.get().recalls

    with person():
        if by_form:
            deal.amount, deal.currency = Decimal("900.00"), "USD"
            deal.save()
        else:
            Deal.objects.filter(pk=deal.pk).update(amount="900.00", currency="USD")

    assert values("deal_created") == values("deal_won") == [("900.00", "USD")]
    # A batch that is being read is read again.
    assert Connection.objects.get().recalls > recalls


def test_an_amount_that_is_changed_later_or_of_another_deal_changes_no_event(
    patient, rules, person
) -> None:
    with person():
        lead = make_lead(patient)
        move(early := make_deal(lead, amount="90000.00"), "Won")
    end_grace()
    with person():
        move(other := make_deal(lead, amount="5.00"), "Won")
        move(other, "Discovery")
        move(make_deal(lead, amount="7.00"), "Won")

    with person():
        Deal.objects.filter(pk__in=[early.pk, other.pk]).update(amount="900.00")

    assert values("deal_won") == [("90000.00", "EUR"), ("5.00", "EUR"), ("7.00", "EUR")]


def test_what_is_set_back_after_the_grace_period_stays(patient, rules, person) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")
    end_grace()
    with person():
        give(lead, "New")

    assert log("lead_qualified") == [QUEUED]


def test_a_script_may_set_it_back_too(patient, rules, person) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")

    give(lead, "New")

    assert log("lead_qualified") == [TAKEN_BACK]


def test_the_place_of_a_rule_that_counts_once_is_free_again(
    patient, rules, person
) -> None:
    lead = make_lead(patient)
    for name in ("Qualified", "New", "Qualified"):
        with person():
            give(lead, name)

    assert log("lead_qualified") == [TAKEN_BACK, QUEUED]


def test_a_lead_is_not_taken_for_another(patient, rules, person) -> None:
    ada, bob = make_lead(patient), make_lead(patient, email="bob@example.com")
    with person():
        give(ada, "Qualified")
    with person():
        give(bob, "Qualified")
    with person():
        give(bob, "New")

    assert log("lead_qualified") == [QUEUED, TAKEN_BACK]


def test_a_lead_that_leaves_qualified_keeps_what_its_deals_have_won(
    patient, rules, person
) -> None:
    deal = make_deal(make_lead(patient))
    with person():
        give(deal.lead, "Qualified")
    with person():
        move(deal, "Won")
    with person():
        give(deal.lead, "New")

    assert (log("lead_qualified"), log("deal_won")) == ([TAKEN_BACK], [QUEUED])


# --- undo ------------------------------------------------------------------------------------------------------------


def test_undo_puts_the_status_back_and_stops_what_has_not_gone_out(
    patient, rules, person
) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")

    with Person(person.user)():
        undone = undo(company=patient, action=person.action)

    lead.refresh_from_db()
    assert (lead.status.name, undone.put_back, undone.told) == ("New", [lead], [])
    assert log("lead_qualified") == [TAKEN_BACK]
    assert list(Change.objects.order_by("pk").values_list("field", "is_undo")) == [
        ("status", False),
        ("status", True),
    ]


def test_undo_after_the_grace_period_stops_what_is_still_on_hold(
    patient, rules, person
) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")
    end_grace()

    undo(company=patient, action=person.action)

    assert log("lead_qualified") == [TAKEN_BACK]


def test_undo_names_what_has_been_sent(patient, rules, person) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")
    ConversionEvent.objects.filter(crm_event__kind="lead_qualified").update(
        state=State.ACCEPTED
    )

    undone = undo(company=patient, action=person.action)

    assert undone.told == ["“Lead qualified” had already been sent to LinkedIn."]
    assert log("lead_qualified") == [(State.ACCEPTED, Reason.NONE)]


def test_undo_leaves_what_someone_else_has_changed_since(
    patient, rules, person
) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")
    give(lead, "Unqualified")

    undone = undo(company=patient, action=person.action)

    lead.refresh_from_db()
    assert (lead.status.name, undone.put_back, undone.changed_since) == (
        "Unqualified",
        [],
        [lead],
    )


def test_undo_of_a_bulk_change_gives_each_lead_its_own_status_back(
    patient, rules, person
) -> None:
    ada, bob, eve = (
        make_lead(patient, email=f"{name}@example.com")
        for name in ("ada", "bob", "eve")
    )
    give(bob, "Contacted")
    with person():
        change_status(leads=Lead.objects.all(), status=status(patient, "Qualified"))
    give(eve, "New")

    undone = undo(company=patient, action=person.action)

    names = dict(Lead.objects.values_list("pk", "status__name"))
    assert names == {ada.pk: "New", bob.pk: "Contacted", eve.pk: "New"}
    assert len(undone.put_back) == 2
    assert log("lead_qualified") == [TAKEN_BACK] * 3


def test_undo_of_lost_makes_the_deal_won_again_and_says_so_once(
    patient, rules, person
) -> None:
    deal = make_deal(make_lead(patient))
    with person():
        move(deal, "Won")
    with person():
        move(deal, "Lost")

    undo(company=patient, action=person.action)

    deal.refresh_from_db()
    assert deal.stage.name == "Won"
    assert log("deal_won") == [TAKEN_BACK, QUEUED]
    assert log("deal_lost") == [TAKEN_BACK]


def test_undo_of_a_move_away_from_an_old_win_reports_no_second_one(
    patient, rules, person
) -> None:
    deal = make_deal(make_lead(patient))
    move(deal, "Won")
    with person():
        move(deal, "Negotiation")

    undo(company=patient, action=person.action)

    assert log("deal_won") == [QUEUED]


def test_undo_removes_a_lead_that_has_just_been_added(patient, rules, person) -> None:
    with person():
        make_lead(patient)

    undone = undo(company=patient, action=person.action)

    assert not Lead.objects.exists()
    assert undone.removed == ["Ada"]
    assert list(ConversionEvent.objects.values_list("state", "reason")) == [TAKEN_BACK]


def test_undo_keeps_a_lead_that_has_been_used_since(patient, rules, person) -> None:
    with person():
        lead = make_lead(patient)
    make_deal(lead)

    undone = undo(company=patient, action=person.action)

    assert Lead.objects.filter(pk=lead.pk).exists()
    assert undone.changed_since == [lead]
    assert log("lead_created") == [QUEUED]


def test_undo_twice_is_nothing_to_undo(patient, rules, person) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")
    undo(company=patient, action=person.action)

    with pytest.raises(NothingToUndo):
        undo(company=patient, action=person.action)


def test_undo_does_not_reach_into_another_company(
    patient, other_company, rules, person
) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")

    with pytest.raises(NothingToUndo):
        undo(company=other_company, action=person.action)

    assert log("lead_qualified") == [QUEUED]


# --- what follows from it --------------------------------------------------------------------------------------------


@pytest.fixture
def taken_back(patient: Company, person: Person) -> Iterator[CrmEvent]:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")
    undo(company=patient, action=person.action)
    return CrmEvent.objects.get(kind="lead_qualified")


def test_no_later_rule_sends_what_was_taken_back(taken_back, make_rule) -> None:
    make_rule("lead_qualified")

    planning.plan([taken_back.pk])

    assert not ConversionEvent.objects.filter(crm_event=taken_back).exists()


# --- with retries, second undos and moved deals ----------------------------------------------------------------------


def retry_all(company: Company) -> int:
    return retries.retry(
        company_id=company.pk,
        pks=list(ConversionEvent.objects.values_list("pk", flat=True)),
    )


def test_what_was_taken_back_after_it_was_cancelled_can_not_be_retried(
    patient, rules, person
) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")
    event = ConversionEvent.objects.get(crm_event__kind="lead_qualified")
    with transaction.atomic():
        cancellation.cancel(company_id=patient.pk, pks=[event.pk])
    undo(company=patient, action=person.action)

    assert retry_all(patient) == 0
    assert log("lead_qualified") == [(State.CANCELLED, Reason.CANCELLED_BY_HAND)]


def test_a_retry_does_not_end_the_grace_period(patient, rules, person) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")
    event = ConversionEvent.objects.get(crm_event__kind="lead_qualified")
    with transaction.atomic():
        cancellation.cancel(company_id=patient.pk, pks=[event.pk])

    assert retry_all(patient) == 1
    event.refresh_from_db()
    assert event.next_attempt_at == event.crm_event.release_at
    give(lead, "New")
    assert log("lead_qualified") == [TAKEN_BACK]


def test_an_old_undo_leaves_what_was_done_again(patient, rules, person) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")
    first = person.action
    for name in ("New", "Qualified"):
        with person():
            give(lead, name)

    undone = undo(company=patient, action=first)

    lead.refresh_from_db()
    assert (lead.status.name, undone.changed_since) == ("Qualified", [lead])
    assert log("lead_qualified") == [TAKEN_BACK, QUEUED]


def test_undo_stops_what_is_on_hold_although_the_status_was_set_back_by_hand(
    patient, rules, person
) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")
    end_grace()
    give(lead, "New")

    undone = undo(company=patient, action=person.action)

    assert undone.put_back == [lead]
    assert log("lead_qualified") == [TAKEN_BACK]


@pytest.mark.parametrize(
    ("state", "recorded"), [("pending", [TAKEN_BACK, QUEUED]), ("accepted", [SENT])]
)
def test_what_an_old_undo_has_stopped_is_recorded_again_if_the_status_returns(
    patient, rules, person, state, recorded
) -> None:
    lead, actions = make_lead(patient), []
    for name in ("Qualified", "New"):
        with person():
            give(lead, name)
        actions.append(person.action)
        end_grace()
        ConversionEvent.objects.filter(crm_event__kind="lead_qualified").update(
            state=state
        )

    for action in actions:  # the first one of a page that was left open
        with person():
            undo(company=patient, action=action)

    lead.refresh_from_db()
    assert lead.status.name == "Qualified"
    assert log("lead_qualified") == recorded


@pytest.mark.parametrize("first", ["Won", "Lost"])
def test_so_is_the_win_or_loss_of_a_deal(patient, rules, person, first) -> None:
    deal, actions = make_deal(make_lead(patient)), []
    for name in (first, "Discovery"):
        with person():
            move(deal, name)
        actions.append(person.action)
        end_grace()

    for action in actions:
        with person():
            undo(company=patient, action=action)

    deal.refresh_from_db()
    assert (deal.stage.name, log(f"deal_{first.lower()}")) == (
        first,
        [TAKEN_BACK, QUEUED],
    )


def test_a_win_is_recorded_again_although_the_deal_has_another_lead_now(
    patient, rules, person
) -> None:
    deal = make_deal(make_lead(patient))
    with person():
        move(deal, "Won")
    with person():
        move(deal, "Lost")
    Deal.objects.filter(pk=deal.pk).update(
        lead=make_lead(patient, email="bob@example.com")
    )

    undo(company=patient, action=person.action)

    assert log("deal_won") == [TAKEN_BACK, QUEUED]


def test_undo_names_what_may_have_arrived_although_no_answer_came(
    patient, rules, person
) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")
    exhausted = {"state": State.EXHAUSTED, "may_have_arrived": True}
    ConversionEvent.objects.filter(crm_event__kind="lead_qualified").update(**exhausted)

    undone = undo(company=patient, action=person.action)

    assert undone.told == [
        "LinkedIn may already have “Lead qualified”: an earlier attempt had no clear result."
    ]


def test_what_was_sent_of_many_is_counted(patient, rules, person) -> None:
    for number in range(3):
        make_lead(patient, email=f"{number}@example.com")
    with person():
        change_status(leads=Lead.objects.all(), status=status(patient, "Qualified"))
    ConversionEvent.objects.filter(crm_event__kind="lead_qualified").update(
        state=State.ACCEPTED
    )

    undone = undo(company=patient, action=person.action)

    assert undone.told == [
        "“Lead qualified” (3 conversions) had already been sent to LinkedIn."
    ]


def test_a_lead_that_was_qualified_at_once_is_not_removed_with_that(
    patient, rules, person
) -> None:
    with person():
        lead = make_lead(patient)
    Lead.objects.filter(pk=lead.pk).update(status=status(patient, "Qualified"))

    undone = undo(company=patient, action=person.action)

    assert (undone.removed, undone.changed_since) == ([], [lead])
    assert log("lead_qualified") == [QUEUED]


def begin_a_request(token, *events) -> None:
    packed = pack_ids(event.pk for event in events)
    began = {
        "lease_id": uuid.uuid4(),
        "leased_until": Now(),
        "request_started_at": Now(),
    }
    type(token).objects.update(**began, request_events=packed)


def test_what_is_in_a_request_in_flight_is_left_to_its_answer(
    patient, rules, person, token
) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")
    end_grace()
    begin_a_request(token, *ConversionEvent.objects.all())

    undone = undo(company=patient, action=person.action)

    assert log("lead_qualified") == [(State.PENDING, Reason.TAKEN_BACK)]
    assert undone.told == [
        "“Lead qualified” may be in a request to LinkedIn that had already begun. Recent Events shows the result."
    ]
    planning.tidy_after_recall(
        IdList(ConversionEvent.objects.values_list("pk", flat=True))
    )
    assert log("lead_qualified") == [TAKEN_BACK]


def test_what_is_due_but_in_no_request_is_taken_back(
    patient, rules, person, token
) -> None:
    lead = make_lead(patient)
    with person():
        give(lead, "Qualified")
    end_grace()
    begin_a_request(token)

    undo(company=patient, action=person.action)

    assert log("lead_qualified") == [TAKEN_BACK]
