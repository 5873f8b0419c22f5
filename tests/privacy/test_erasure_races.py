"""F55: persons are erased while workers send. After the call has returned, no request holds that person."""

import random
import threading
import time
from datetime import UTC, datetime

import pytest
from django.db import connection as database

from capi.delivery import deliver as pipeline
from capi.delivery import selection
from capi.linkedin import payload
from capi.linkedin.identity import email_sha256
from capi.models import Attempt, ConversionEvent
from crm.models import Lead
from crm.services.erasure import erase_lead
from tests.capi.conftest import requests_made
from tests.conftest import make_lead
from tests.size import sized

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sized]

# Rounds; people and threads of each.
LEAST, MOST, PEOPLE, ERASERS, WORKERS = sized(25, small=2), 25, 8, 4, 3


class Race:
    """Some people of a company, workers that send them, and threads that erase them meanwhile."""

    def __init__(self, company, dice: random.Random) -> None:
        self.company, self.dice = company, dice
        # When the call had returned, by the hash of the address.
        self.erased_at: dict[str, datetime] = {}
        self.called_at: dict[str, datetime] = {}
        self.errors: list[BaseException] = []

    def run(self, people: list[tuple[Lead, str]]) -> None:
        hands = [
            threading.Thread(target=self._guarded, args=(self._send,))
            for _ in range(WORKERS)
        ]
        for share in range(ERASERS):
            hands.append(
                threading.Thread(
                    target=self._guarded, args=(self._erase, people[share::ERASERS])
                )
            )
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()

    def sent_during_the_call(self, received: list[tuple[str, datetime]]) -> int:
        return sum(self.called_at[digest] < moment for digest, moment in received)

    def _guarded(self, work, *args) -> None:
        try:
            work(*args)
        except BaseException as error:
            self.errors.append(error)
        finally:
            database.close()

    def _send(self) -> None:
        for _ in range(4):
            pipeline.deliver(self.company.pk)
            time.sleep(0.01)

    def _erase(self, people: list[tuple[Lead, str]]) -> None:
        for lead, digest in people:
            time.sleep(self.dice.uniform(0, 0.03))
            self.called_at[digest] = datetime.now(UTC)
            erase_lead(lead=lead)
            self.erased_at[digest] = datetime.now(UTC)


def received_by(sandbox) -> list[tuple[str, datetime]]:
    """The hash of each person in a request, and when it came."""
    return [
        (element["user"]["userIds"][0]["idValue"], entry.time)
        for entry in sandbox.ledger.tail(10_000)
        for element in entry.elements
    ]


@pytest.fixture
def slow_hands(monkeypatch):
    """Stretch the moments that matter: between reading a batch and paying for it, and from there to sending it."""

    def stretched(work):
        def slow(*args, **kwargs):
            done = work(*args, **kwargs)
            time.sleep(random.uniform(0, 0.04))
            return done

        return slow

    monkeypatch.setattr(selection, "next_batch", stretched(selection.next_batch))
    monkeypatch.setattr(payload, "encode", stretched(payload.encode))


@pytest.mark.covers("F55")
def test_of_200_persons_erased_while_workers_send_none_is_in_a_later_request(
    company, connected, sandbox, make_rule, slow_hands, settings
) -> None:
    settings.BATCH_SIZE, settings.REQUESTS_PER_MINUTE = 5, 600_000
    make_rule()
    race = Race(company, random.Random(55))

    for number in range(MOST):
        addresses = [f"person-{number}-{n}@example.com" for n in range(PEOPLE)]
        race.run(
            [
                (make_lead(company, email=address), email_sha256(address))
                for address in addresses
            ]
        )
        received = received_by(sandbox)
        # In a few rounds, it may happen that all are erased before any is sent, or the other way round.
        if (
            number + 1 >= LEAST
            and race.sent_during_the_call(received)
            and len(received) < len(race.erased_at)
        ):
            break
    pipeline.deliver(company.pk)

    assert race.errors == []
    received = received_by(sandbox)
    late = [digest for digest, moment in received if moment > race.erased_at[digest]]
    under_way = race.sent_during_the_call(received)
    print(
        f"{len(race.erased_at)} erased, {len(received)} sent, {under_way} of them during the call, {len(late)} after it"
    )
    assert late == []
    assert len(race.erased_at) == (number + 1) * PEOPLE
    assert 0 < under_way <= len(received) < len(race.erased_at)
    # Requests that were under way when their person was erased are on record all the same.
    assert ConversionEvent.objects.filter(state="accepted").count() == len(received)
    assert Attempt.objects.count() == len(requests_made(sandbox))
    assert set(ConversionEvent.objects.values_list("state", "reason")) == {
        ("accepted", ""),
        ("cancelled", "erased"),
    }
    kept = b"".join(
        bytes(block) for block in Attempt.objects.values_list("sent_hashes", flat=True)
    )
    assert not any(bytes.fromhex(digest) in kept for digest in race.erased_at)
    assert set(Lead.objects.values_list("email", flat=True)) == {""}
