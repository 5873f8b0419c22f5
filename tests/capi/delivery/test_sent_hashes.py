"""What a request carried is kept with the request, event by event, and can be forgotten."""

import pytest

from capi.delivery.sent_hashes import blank_hashes, forget_hashes, hash_of, pack_hashes
from capi.linkedin.sandbox.faults import Fault
from capi.models import Attempt, ConversionEvent
from crm.models import Lead
from tests.capi.conftest import received, send_all
from tests.conftest import make_lead

ADA, GRACE = "a1" * 32, "b2" * 32


def test_each_event_finds_its_own_hash() -> None:
    block = pack_hashes([(7, ADA), (2**40, GRACE)])

    assert (hash_of(block, 7), hash_of(block, 2**40), hash_of(block, 8)) == (
        ADA,
        GRACE,
        "",
    )
    assert len(block) == 80


def test_a_blanked_hash_is_gone_and_the_others_stay() -> None:
    block = blank_hashes(pack_hashes([(7, ADA), (8, GRACE)]), [7])

    assert (hash_of(block, 7), hash_of(block, 8)) == ("", GRACE)
    assert bytes.fromhex(ADA) not in block


@pytest.mark.django_db(transaction=True)
def test_each_request_keeps_the_hash_that_it_carried(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    lead = make_lead(company, email="old@example.com")
    sandbox.faults.add(Fault(status=503, body=""))
    send_all(company)
    Lead.objects.filter(pk=lead.pk).update(email="new@example.com")
    ConversionEvent.objects.update(next_attempt_at="2026-01-01T00:00:00Z")
    connected.__class__.objects.update(next_attempt_at=None)
    send_all(company)
    Lead.objects.filter(pk=lead.pk).update(email="newest@example.com")

    event = ConversionEvent.objects.get()
    first, second = Attempt.objects.order_by("pk")
    [element] = received(sandbox)
    assert (
        hash_of(second.sent_hashes, event.pk)
        == element["user"]["userIds"][0]["idValue"]
    )
    assert hash_of(first.sent_hashes, event.pk) not in (
        "",
        hash_of(second.sent_hashes, event.pk),
    )

    forget_hashes([event.pk])

    assert {
        hash_of(attempt.sent_hashes, event.pk) for attempt in Attempt.objects.all()
    } == {""}
