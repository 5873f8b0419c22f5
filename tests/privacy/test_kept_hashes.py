"""S37: a hash is kept only where an erasure finds it: with the last or an earlier attempt of its event."""

import pytest

from capi.delivery.sent_hashes import ENTRY, hash_of
from capi.linkedin.identity import email_sha256
from capi.models import Attempt, ConversionEvent
from crm.models import Lead
from crm.services.erasure import erase_lead
from tests.capi.conftest import requests_made, send_all, states
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db(transaction=True)


def kept():
    """How many hashes each attempt keeps, oldest first."""
    blocks = Attempt.objects.order_by("pk").values_list("sent_hashes", flat=True)
    return [
        sum(any(sha256) for _, sha256 in ENTRY.iter_unpack(bytes(block)))
        for block in blocks
    ]


def test_a_batch_that_was_refused_and_halved_keeps_no_hash_of_its_own(
    company, connected, sandbox, make_rule
) -> None:
    sandbox.faults.script(
        b'[{"status": 422, "body": "{\\"status\\": 422, \\"message\\": \\"Something is wrong\\"}"}]'
    )
    make_rule()
    for n in range(4):
        make_lead(company, email=f"{n}@example.com")

    send_all(company)

    assert requests_made(sandbox) == [422, 200, 200]
    assert kept() == [0, 2, 2]


def test_a_refused_event_keeps_its_hash_with_the_attempt_it_names(
    company, connected, sandbox, make_rule
) -> None:
    make_rule(linkedin_id="422422")
    make_lead(company)

    send_all(company)

    event = ConversionEvent.objects.get()
    assert event.state == "rejected"
    assert hash_of(bytes(event.last_attempt.sent_hashes), event.pk) == email_sha256(
        "ada@example.com"
    )


def test_every_attempt_of_the_person_is_blanked_and_nobody_elses(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    ada, _grace = make_lead(company), make_lead(company, email="grace@example.com")
    sandbox.faults.script(b'[{"status": 503, "body": ""}]')
    send_all(company)
    ConversionEvent.objects.update(next_attempt_at="2020-01-01T00:00Z")
    connected.refresh_from_db()
    type(connected).objects.update(next_attempt_at=None)
    send_all(company)
    assert (states(company), kept()) == (["accepted", "accepted"], [2, 2])

    erase_lead(lead=Lead.objects.get(pk=ada.pk))

    assert kept() == [1, 1]
