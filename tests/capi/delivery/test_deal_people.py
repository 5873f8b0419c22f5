"""Changing the people of a deal never creates, loses or doubles a conversion; each is about its lead alone."""

from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.db import DatabaseError
from django.db.models.functions import Now

from capi.delivery import http_session, lane, selection, settle, sweep
from capi.linkedin.identity import email_sha256
from capi.linkedin.sandbox.faults import Drop, Fault
from capi.models import Attempt, Connection, ConversionEvent, ConversionRule
from capi.selectors.deal_people import NOT_NOW, PERHAPS, SENT
from capi.services.rules import delete_rule
from crm.models import Deal, Lead, Stage
from crm.services.deal_people import (
    PeopleRefused,
    add_person,
    change_lead,
    remove_person,
    why_lead_stays,
)
from crm.services.editing import move_deal
from crm.services.erasure import erase_lead
from tests.capi.conftest import hashes, received, send_all, states, wait_is_over
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db

ADA, GRACE = "ada@example.com", "grace@example.com"


@pytest.fixture(autouse=True)
def no_grace(company) -> None:
    type(company).objects.update(grace_seconds=0)
    company.refresh_from_db()


@pytest.fixture
def deal(company, connected, make_rule):
    """A deal with Ada, which has one pending conversion, and Grace as a further person."""
    make_rule("deal_created", frequency="every_time")
    found = make_deal(make_lead(company))
    add_person(deal=found, lead=make_lead(company, first_name="Grace", email=GRACE))
    return found


def fail(write):
    raise DatabaseError("The database is away.")


def grace():
    return Lead.objects.get(first_name="Grace")


def win(deal):
    move_deal(
        deal=Deal.objects.get(pk=deal.pk),
        stage=Stage.objects.get(company=deal.company, meaning="won"),
    )


def hashes_of(*addresses):
    return [email_sha256(address) for address in addresses]


def test_who_is_added_or_removed_changes_nothing_about_conversions(
    company, deal, sandbox, make_rule
) -> None:
    make_rule("deal_won")
    make_rule("lead_created", linkedin_id="104099")
    before = list(ConversionEvent.objects.order_by("pk").values())

    remove_person(deal=deal, lead=grace())
    add_person(deal=deal, lead=grace())
    assert list(ConversionEvent.objects.order_by("pk").values()) == before
    win(deal)
    send_all(company)

    assert hashes(sandbox) == hashes_of(ADA, ADA)


def test_a_conversion_that_is_pending_is_about_the_new_lead_alone(
    company, deal, sandbox
) -> None:
    was = ConversionEvent.objects.get()

    change_lead(deal=deal, lead=grace())
    send_all(company)

    [element] = received(sandbox)
    assert (hashes(sandbox), element["eventId"]) == (hashes_of(GRACE), was.event_id)
    assert list(ConversionEvent.objects.values_list("lead", flat=True)) == [grace().pk]


def test_what_happens_later_is_about_the_new_lead_too(
    company, deal, sandbox, make_rule
) -> None:
    make_rule("deal_won", linkedin_id="104099")
    change_lead(deal=deal, lead=grace())

    win(deal)
    send_all(company)

    assert hashes(sandbox) == hashes_of(GRACE, GRACE)


def test_once_it_was_sent_the_deal_keeps_its_lead_and_says_why(
    company, deal, sandbox
) -> None:
    assert why_lead_stays(deal) == ""
    send_all(company)

    assert why_lead_stays(deal) == SENT
    with pytest.raises(PeopleRefused, match=SENT):
        change_lead(deal=deal, lead=grace())

    deal.refresh_from_db()
    assert deal.lead.first_name == "Ada"
    assert set(deal.crm_events.values_list("lead", flat=True)) == {deal.lead_id}
    assert list(deal.people.all()) == [grace()]
    win(deal)
    send_all(company)
    assert GRACE not in hashes(sandbox)


def test_so_it_does_if_linkedin_may_have_got_it(company, deal, sandbox) -> None:
    sandbox.faults.add(Fault(drop=Drop.AFTER_BODY))
    send_all(company)

    assert why_lead_stays(deal) == PERHAPS
    with pytest.raises(PeopleRefused, match=PERHAPS):
        change_lead(deal=deal, lead=grace())
    wait_is_over()
    send_all(company)

    assert set(hashes(sandbox)) == set(hashes_of(ADA))


def test_so_it_does_after_a_worker_has_died_in_the_middle_of_a_request(
    company, deal, sandbox, monkeypatch
) -> None:
    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(http_session, "send", Mock(side_effect=RuntimeError))
        patched.setattr(lane, "release", lambda lease: None)
        send_all(company)
    Connection.objects.update(leased_until=Now() - timedelta(minutes=1), is_paused=True)
    send_all(company)  # takes the lane over, and sends nothing

    assert why_lead_stays(deal) == PERHAPS
    with pytest.raises(PeopleRefused, match=PERHAPS):
        change_lead(deal=deal, lead=grace())
    later = make_deal(deal.lead)
    change_lead(deal=later, lead=grace())

    assert ConversionEvent.objects.get(deal=deal).lead == deal.lead
    assert ConversionEvent.objects.get(deal=later).lead == grace()


def test_so_it_does_if_the_result_of_a_request_could_not_be_written(
    company, deal, sandbox, monkeypatch
) -> None:
    monkeypatch.setattr(settle, "until_written", fail)
    with pytest.raises(DatabaseError):
        send_all(company)

    assert ConversionEvent.objects.get().state == "pending"
    with pytest.raises(PeopleRefused, match=NOT_NOW):
        change_lead(deal=deal, lead=grace())
    Connection.objects.update(is_paused=True)
    assert sweep.due_companies() == [company.pk]
    send_all(company)
    with pytest.raises(PeopleRefused, match=PERHAPS):
        change_lead(deal=deal, lead=grace())


def test_nothing_changes_while_a_request_may_have_it(
    company, deal, sandbox, monkeypatch
) -> None:
    refused, send = [], http_session.send

    def send_and_change(**request):
        monkeypatch.setattr(http_session, "send", send)
        with pytest.raises(PeopleRefused) as error:
            change_lead(deal=deal, lead=grace())
        refused.append(str(error.value))
        return send(**request)

    monkeypatch.setattr(http_session, "send", send_and_change)
    send_all(company)

    assert refused == [NOT_NOW]
    assert hashes(sandbox) == hashes_of(ADA)


@pytest.mark.parametrize("ending", ["opt-out", "rule"])
@pytest.mark.django_db(transaction=True)
def test_nor_if_it_has_ended_since_that_began(
    company, deal, sandbox, monkeypatch, ending
) -> None:
    refused, send = [], http_session.send

    def send_and_change(**request):
        monkeypatch.setattr(http_session, "send", send)
        if ending == "opt-out":
            Lead.objects.filter(pk=deal.lead_id).update(share_with_ad_platforms=False)
            assert states(company) == ["skipped"]
        else:
            delete_rule(rule=ConversionRule.objects.get())
        with pytest.raises(PeopleRefused) as error:
            change_lead(deal=deal, lead=grace())
        refused.append(str(error.value))
        return send(**request)

    monkeypatch.setattr(http_session, "send", send_and_change)
    send_all(company)

    assert refused == [NOT_NOW]
    assert hashes(sandbox) == hashes_of(ADA)
    event = ConversionEvent.objects.get()
    assert (event.state, event.lead) == ("accepted", deal.lead)


def test_what_was_read_for_a_request_that_has_not_begun_is_sent_for_the_new_lead(
    company, deal, sandbox, monkeypatch
) -> None:
    read, done = selection.next_batch, []

    def read_and_change(*args, **options):
        batch = read(*args, **options)
        if batch and not done:
            done.append(change_lead(deal=deal, lead=grace()))
        return batch

    monkeypatch.setattr(selection, "next_batch", read_and_change)
    for _ in range(2):
        send_all(company)

    assert (len(done), hashes(sandbox)) == (1, hashes_of(GRACE))


@pytest.mark.parametrize("frequency", ["once", "per_person", "every_time"])
@pytest.mark.parametrize(
    ("fields", "state"),
    [({"email": ""}, "waiting"), ({"share_with_ad_platforms": False}, "skipped")],
)
def test_a_new_lead_who_can_not_be_sent_is_not_and_a_corrected_choice_loses_nothing(
    company, connected, make_rule, sandbox, frequency, fields, state
) -> None:
    make_rule("deal_created", frequency=frequency)
    ada, deal = (
        make_lead(company),
        make_deal(make_lead(company, email=GRACE, first_name="Grace")),
    )
    Lead.objects.filter(pk=ada.pk).update(**fields)

    change_lead(deal=deal, lead=ada)
    send_all(company)
    assert (states(company), received(sandbox)) == ([state], [])
    change_lead(deal=deal, lead=grace())
    send_all(company)

    assert (states(company), hashes(sandbox)) == (["accepted"], hashes_of(GRACE))


@pytest.mark.parametrize("while_it_was", ["hers", "Ada's"])
def test_who_opted_out_since_is_not_sent_what_happened_before_even_if_they_opted_in_again(
    company, connected, make_rule, sandbox, while_it_was
) -> None:
    make_rule("deal_created", frequency="every_time")
    ada, deal = (
        make_lead(company),
        make_deal(make_lead(company, email=GRACE, first_name="Grace")),
    )
    if while_it_was == "Ada's":
        change_lead(deal=deal, lead=ada)
    for choice in (False, True):
        Lead.objects.filter(pk=grace().pk).update(share_with_ad_platforms=choice)
    if while_it_was == "hers":
        assert states(company) == ["skipped"]
        change_lead(deal=deal, lead=ada)
    assert states(company) == ["pending"]

    change_lead(deal=deal, lead=grace())
    assert states(company) == ["skipped"]
    change_lead(deal=deal, lead=ada)
    send_all(company)

    assert (states(company), hashes(sandbox)) == (["accepted"], hashes_of(ADA))


def test_a_rule_that_counts_people_counts_the_new_lead(
    company, connected, make_rule, sandbox
) -> None:
    make_rule("deal_created", frequency="per_person")
    ada = make_lead(company)
    make_deal(ada)
    send_all(company)
    second = make_deal(ada)
    send_all(company)
    assert states(company) == ["accepted", "skipped"]

    change_lead(deal=second, lead=make_lead(company, first_name="Grace", email=GRACE))
    send_all(company)

    assert (states(company), hashes(sandbox)) == (
        ["accepted", "accepted"],
        hashes_of(ADA, GRACE),
    )


def test_a_rule_that_has_counted_the_new_lead_skips_it(
    company, connected, make_rule, sandbox
) -> None:
    make_rule("deal_created", frequency="per_person")
    ada = make_lead(company)
    make_deal(ada)
    send_all(company)
    second = make_deal(make_lead(company, first_name="Grace", email=GRACE))

    change_lead(deal=second, lead=ada)
    send_all(company)

    assert (states(company), hashes(sandbox)) == (
        ["accepted", "skipped"],
        hashes_of(ADA),
    )


@pytest.mark.django_db(transaction=True)
def test_a_former_lead_can_be_erased_and_the_conversion_of_the_new_one_goes_on(
    company, deal, sandbox
) -> None:
    ada = deal.lead
    change_lead(deal=deal, lead=grace())

    erase_lead(lead=ada)
    send_all(company)

    assert hashes(sandbox) == hashes_of(GRACE)
    assert not deal.people.exists()


@pytest.mark.parametrize("status", [400, 401, 429])
@pytest.mark.django_db(transaction=True)
def test_nothing_is_left_of_a_former_lead_whose_conversion_linkedin_did_not_take(
    company, deal, sandbox, settings, status
) -> None:
    settings.LINKEDIN_SANDBOX_LEDGER = sandbox.ledger.path
    ada = deal.lead
    sandbox.faults.add(Fault(status=status, body='{"message": "Not now"}'))
    send_all(company)
    [sha256] = hashes_of(ADA)
    assert bytes.fromhex(sha256) in bytes(Attempt.objects.get().sent_hashes)

    change_lead(deal=deal, lead=grace())
    erase_lead(lead=ada)

    assert bytes.fromhex(sha256) not in bytes(Attempt.objects.get().sent_hashes)
    assert not any(sha256 in str(entry) for entry in sandbox.ledger.tail(10))
    event = ConversionEvent.objects.get()
    assert (event.lead, event.message) == (grace(), "")
