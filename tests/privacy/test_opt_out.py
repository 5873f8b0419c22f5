"""S39: a lead that is not shared with ad platforms is in no request that begins after this was saved."""

import pytest

from capi.delivery import lane, selection
from capi.delivery.sent_hashes import hash_of
from capi.linkedin import payload
from capi.models import Attempt, Connection, ConversionEvent
from crm.models import Lead
from tests.capi.conftest import received, requests_made, send_all, states
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db(transaction=True)


def once(monkeypatch, owner, name, work) -> None:
    """Do `work` the next time that `owner.name` has been called, before its result is used."""
    original = getattr(owner, name)

    def called(*args, **kwargs):
        monkeypatch.setattr(owner, name, original)
        result = original(*args, **kwargs)
        work()
        return result

    monkeypatch.setattr(owner, name, called)


def opt_out(lead) -> None:
    Lead.objects.filter(pk=lead.pk).update(share_with_ad_platforms=False)


def numbers(sandbox, people):
    by_event = dict(ConversionEvent.objects.values_list("event_id", "lead__first_name"))
    return [by_event[element["eventId"]] for element in received(sandbox)]


@pytest.mark.covers("S39")
def test_what_was_read_before_and_is_sent_after_goes_without_them(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    ada, grace, mary = (
        make_lead(company, first_name=name) for name in ("Ada", "Grace", "Mary")
    )
    once(monkeypatch, selection, "next_batch", lambda: opt_out(grace))

    send_all(company)

    assert numbers(sandbox, (ada, grace, mary)) == ["Ada", "Mary"]
    assert states(company) == ["accepted", "skipped", "accepted"]


def test_a_batch_of_nobody_else_makes_no_request(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    lead = make_lead(company)
    once(monkeypatch, selection, "next_batch", lambda: opt_out(lead))

    turn = send_all(company)

    assert (turn.requests, requests_made(sandbox), states(company)) == (
        0,
        [],
        ["skipped"],
    )
    assert Connection.objects.get().request_started_at is None


def test_what_is_on_the_way_is_recorded_as_sent(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    lead = make_lead(company)
    once(monkeypatch, payload, "encode", lambda: opt_out(lead))

    send_all(company)

    assert len(received(sandbox)) == 1
    assert states(company) == ["accepted"]


def test_a_refusal_that_comes_after_it_keeps_no_hash(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule(linkedin_id="500500")
    lead = make_lead(company)
    once(monkeypatch, payload, "encode", lambda: opt_out(lead))

    send_all(company)

    event, attempt = ConversionEvent.objects.get(), Attempt.objects.get()
    assert (event.state, event.last_attempt) == ("skipped", None)
    assert hash_of(bytes(attempt.sent_hashes), event.pk) == ""


def test_another_change_of_the_lead_recalls_nobody(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    lead = make_lead(company)

    lead.email = "ada@example.org"
    lead.save()

    assert Connection.objects.get().recalls == 0


def test_an_opt_out_in_another_company_recalls_nobody_here(
    company, other_company, connected
) -> None:
    lead = make_lead(other_company)

    opt_out(lead)

    assert Connection.objects.get(company=company).recalls == 0


def test_a_request_is_noted_while_it_is_under_way_only(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    make_lead(company)
    seen = []
    once(
        monkeypatch,
        payload,
        "encode",
        lambda: seen.append(Connection.objects.get().request_started_at),
    )

    send_all(company)

    assert seen != [None]
    assert Connection.objects.get().request_started_at is None


def test_a_lost_lease_pays_for_nothing(company, connected) -> None:
    lease = lane.take_lease(company.pk)
    snapshot = lane.read_lane(lease)
    lane.release(lease)

    paid = lane.spend_request(lease, snapshot, [])

    assert paid is False
    assert Connection.objects.get().request_started_at is None
