"""A rule that counts once per person: two leads with one address are one conversion, and none is lost."""

import pytest

from capi import services
from capi.delivery import lane, persons, recall, selection
from capi.linkedin.identity import counted_person_key, email_sha256
from capi.linkedin.sandbox.faults import Drop, Fault
from capi.models import Connection, ConversionEvent, CountedPerson
from capi.models.choices import Reason
from capi.selectors.explanations.explain import SAME_PERSON_FIRST, explain
from crm.models import Lead
from crm.services.erasure import erase_lead
from tests.capi.conftest import hashes, received, send_all, states, wait_is_over
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db
with_commits = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rule(connected, make_rule):
    return make_rule("lead_created", frequency="per_person")


def cancel(company, event) -> None:
    services.cancel_events(company=company, pks=[event.pk])


def test_two_leads_with_one_address_are_one_conversion(company, rule, sandbox) -> None:
    make_lead(company, email="Ada@Example.com")
    make_lead(company, email="ada@example.com")

    send_all(company)
    assert states(company) == ["accepted", "pending"]
    wait_is_over()
    send_all(company)

    assert states(company) == ["accepted", "skipped"]
    assert ConversionEvent.objects.get(state="skipped").reason == Reason.ALREADY_COUNTED
    assert hashes(sandbox) == [email_sha256("ada@example.com")]


def test_a_later_lead_of_the_same_person_is_skipped_at_once(
    company, rule, sandbox
) -> None:
    make_lead(company)
    send_all(company)
    make_lead(company, email=" ADA@example.com".strip())

    send_all(company)

    assert states(company) == ["accepted", "skipped"]


def test_two_deals_of_one_person_are_one_conversion(
    company, connected, make_rule, sandbox
) -> None:
    make_rule("deal_created", frequency="per_person")
    make_deal(make_lead(company))
    send_all(company)
    make_deal(make_lead(company))

    send_all(company)

    assert states(company) == ["accepted", "skipped"]


def test_another_person_rule_and_company_count_for_themselves(
    company, rule, make_rule, sandbox
) -> None:
    make_rule("lead_created", "104020", frequency="per_person")
    make_lead(company)
    make_lead(company, email="bob@example.com")

    send_all(company)

    assert states(company) == ["accepted"] * 4
    assert len(set(CountedPerson.objects.values_list("person", flat=True))) == 4


def test_the_address_decides_that_is_sent_not_the_one_at_the_time_of_the_change(
    company, rule, sandbox
) -> None:
    make_lead(company)
    wrong = make_lead(company)
    Lead.objects.filter(pk=wrong.pk).update(email="bob@example.com")

    send_all(company)

    assert states(company) == ["accepted", "accepted"]


def test_two_that_wait_and_get_the_same_address_are_one_conversion(
    company, rule, sandbox
) -> None:
    leads = [make_lead(company, email="") for _ in range(2)]
    for lead in leads:
        Lead.objects.filter(pk=lead.pk).update(email="ada@example.com")

    send_all(company)
    wait_is_over()
    send_all(company)

    assert sorted(states(company)) == ["accepted", "skipped"]
    assert len(received(sandbox)) == 1


def test_after_a_new_address_the_lead_is_another_person(
    company, rule, make_rule, sandbox
) -> None:
    won = make_rule("deal_created", "104020", frequency="per_person")
    lead = make_lead(company)
    make_deal(lead)
    send_all(company)
    Lead.objects.filter(pk=lead.pk).update(email="bob@example.com")
    make_deal(lead)

    send_all(company)

    assert (
        list(ConversionEvent.objects.filter(rule=won).values_list("state", flat=True))
        == ["accepted"] * 2
    )


def test_if_the_first_is_cancelled_before_it_is_sent_the_second_goes(
    company, rule, sandbox
) -> None:
    make_lead(company)
    cancel(company, ConversionEvent.objects.get())
    make_lead(company)

    send_all(company)

    assert states(company) == ["cancelled", "accepted"]


def test_while_the_first_is_retried_the_second_waits_and_says_so(
    company, rule, sandbox
) -> None:
    make_lead(company)
    sandbox.faults.add(Fault(drop=Drop.AFTER_BODY))
    send_all(company)
    make_lead(company)
    Connection.objects.update(next_attempt_at=None, resting_since=None)

    send_all(company)

    second = ConversionEvent.objects.first()
    assert (second.state, second.reason, second.attempts) == (
        "pending",
        Reason.ALREADY_COUNTED,
        0,
    )
    assert explain(second, Connection.objects.get()) == SAME_PERSON_FIRST
    assert len(received(sandbox)) == 1


def test_if_the_first_fails_for_good_the_second_goes(company, rule, sandbox) -> None:
    make_lead(company)
    sandbox.faults.add(Fault(status=503))
    send_all(company)
    make_lead(company)
    Connection.objects.update(next_attempt_at=None)
    send_all(company)
    cancel(company, ConversionEvent.objects.last())

    Connection.objects.update(next_attempt_at=None)
    wait_is_over()
    send_all(company)

    assert states(company) == ["cancelled", "accepted"]
    assert len(received(sandbox)) == 1


def test_an_event_whose_address_changes_after_an_unknown_answer_holds_both_rows(
    company, rule, sandbox
) -> None:
    first = make_lead(company)
    sandbox.faults.add(Fault(drop=Drop.AFTER_BODY))
    send_all(company)
    Lead.objects.filter(pk=first.pk).update(email="bob@example.com")
    Connection.objects.update(next_attempt_at=None)
    wait_is_over()
    send_all(company)
    make_lead(company)
    make_lead(company, email="bob@example.com")

    send_all(company)

    assert states(company) == ["accepted", "skipped", "skipped"]


def test_what_is_put_back_after_another_was_counted_is_skipped(
    company, rule, sandbox
) -> None:
    make_lead(company)
    cancel(company, ConversionEvent.objects.get())
    make_lead(company)
    send_all(company)

    services.retry_events(company=company, pks=[ConversionEvent.objects.last().pk])
    send_all(company)

    assert states(company) == ["skipped", "accepted"]


def test_nobody_is_counted_by_a_request_that_is_not_made(company, rule) -> None:
    make_lead(company)
    lease = lane.take_lease(company.pk)
    snapshot = lane.read_lane(lease)
    batch = selection.next_batch(company.pk, size=10, now=snapshot.now)
    Connection.objects.update(token_version=snapshot.connection.token_version + 1)

    sent, _ = persons.spend_for_people(
        lease, snapshot, rule, batch.sendable, recalls=snapshot.connection.recalls
    )

    assert sent == []
    assert not CountedPerson.objects.exists()


@pytest.mark.parametrize("change", [{"state": "cancelled"}, {"lead": None}])
def test_nobody_is_counted_by_an_event_that_has_since_ended(
    company, rule, change
) -> None:
    make_lead(company)
    lease = lane.take_lease(company.pk)
    snapshot = lane.read_lane(lease)
    batch = selection.next_batch(company.pk, size=10, now=snapshot.now)
    recall.recall_unsent([company.pk])
    ConversionEvent.objects.update(**change)

    sent, _ = persons.spend_for_people(
        lease, snapshot, rule, batch.sendable, recalls=snapshot.connection.recalls
    )

    assert sent == []
    assert not CountedPerson.objects.exists()


def test_a_test_event_counts_nobody(company, rule, sandbox) -> None:
    services.send_test_event(rule=rule)

    send_all(company)

    assert states(company) == ["accepted"]
    assert not CountedPerson.objects.exists()


def test_only_a_number_is_kept_of_the_address_and_it_differs_by_rule() -> None:
    sha256 = email_sha256("ada@example.com")
    keys = {counted_person_key(sha256, rule_id=pk) for pk in range(1, 1_000)}

    assert len(keys) == 999
    assert all(-(2**63) <= key < 2**63 for key in keys)
    assert not any(f"{key & (2**64 - 1):x}"[:12] in sha256 for key in keys)


# --- erasure ---------------------------------------------------------------------------------------------------------


@with_commits
def test_erasing_the_only_lead_of_a_person_leaves_nothing_to_recognise_them_by(
    company, rule, sandbox
) -> None:
    lead = make_lead(company)
    send_all(company)

    erase_lead(lead=lead)

    assert not CountedPerson.objects.exists()


@with_commits
def test_a_person_who_is_left_under_another_lead_stays_counted(
    company, rule, sandbox
) -> None:
    first = make_lead(company)
    send_all(company)
    second = make_lead(company, status=first.status)

    erase_lead(lead=first)
    send_all(company)

    assert states(company) == ["accepted", "skipped"]
    erase_lead(lead=second)
    assert not CountedPerson.objects.exists()


@with_commits
@pytest.mark.parametrize(
    ("counted", "left"),
    [("ada@example.com", "ADA@example.com"), ("ren\u00e9@a.com", "RENE\u0301@a.com")],
)
@pytest.mark.parametrize("address", ["bob@example.com", None])
def test_a_person_who_is_left_stays_counted_however_their_address_is_written(
    company, rule, sandbox, counted, left, address
) -> None:
    first = make_lead(company, email=counted)
    send_all(company)
    if address is not None:
        Lead.objects.filter(pk=first.pk).update(email=address)
    make_lead(company, email=left)

    erase_lead(lead=Lead.objects.get(pk=first.pk))
    send_all(company)

    assert states(company) == ["accepted", "skipped"]


@with_commits
def test_what_was_sent_under_an_earlier_address_is_forgotten_with_the_lead(
    company, rule, sandbox
) -> None:
    lead = make_lead(company)
    make_lead(company, email="carol@example.com")
    send_all(company)
    Lead.objects.filter(pk=lead.pk).update(email="bob@example.com")

    erase_lead(lead=Lead.objects.get(pk=lead.pk))

    assert CountedPerson.objects.get().event.lead.email == "carol@example.com"


@with_commits
def test_if_the_first_is_erased_before_it_is_sent_the_second_goes(
    company, rule, sandbox
) -> None:
    first = make_lead(company)
    make_lead(company)

    erase_lead(lead=first)
    send_all(company)

    assert states(company) == ["cancelled", "accepted"]
