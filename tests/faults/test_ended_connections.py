"""PostgreSQL ends the connection at any statement of a save, while a worker has read the person's conversion ahead.

A change that was committed holds for every request that begins later, and whoever made it reads that it was saved. Only
the end of the connection during the COMMIT itself leaves them without knowing.
"""

import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import pytest
from django.core.cache import cache

from capi.delivery import http_session, recall
from capi.linkedin.identity import email_sha256
from capi.linkedin.sandbox.server import SandboxServer
from crm.models import Company, Lead
from crm.models.tracking.origin import acting_as
from tests.capi.conftest import hashes, received, send_all
from tests.conftest import make_lead
from tests.faults import figures
from tests.faults.ended_connections import (
    AFTER_COMMIT,
    COMMIT_WITHOUT_ANSWER,
    SECONDS,
    Cut,
    Work,
    before,
    begin,
    end,
)
from tests.faults.recalling import OTHER, WAYS, WRONG, Leaving, Way

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    # psycopg can't close the cursor of a query whose connection the test ends, and says so.
    pytest.mark.filterwarnings(
        "ignore:.*ServerCursorMixin.__del__:pytest.PytestUnraisableExceptionWarning"
    ),
    pytest.mark.filterwarnings(
        "ignore:.*ServerCursor.* was deleted while still open:ResourceWarning"
    ),
]

FIRST: Final = "first@example.com"


@pytest.fixture(autouse=True)
def _small(settings, company, connected, make_rule) -> None:
    settings.BATCH_SIZE = 1
    Company.objects.update(grace_seconds=0)
    make_rule("lead_created")


@dataclass(frozen=True, slots=True)
class Outcome:
    work: Work
    was_saved: bool  # right after it
    sent: list[str]  # the hashed addresses, oldest first


def new_scene(company: Company) -> Leaving:
    """Three leads, whose conversions are sent one after the other. The second one's person leaves."""
    Lead.objects.all().delete()
    cache.clear()  # only so many uploads are allowed in a minute
    make_lead(company, email=FIRST)
    with acting_as(None, action=uuid.uuid4()):
        lead = make_lead(company, first_name="Grace", email=WRONG)
    return Leaving(company, lead, make_lead(company, first_name="Gracia", email=OTHER))


def leave(
    way: Way,
    cut: Cut,
    *,
    company: Company,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Outcome:
    """Send one conversion and read a person's ahead. Before that is paid for, they leave, and are cut off there."""
    scene = new_scene(company)
    sandbox.ledger.clear()
    save, person, spend, left = (
        way.prepare(scene),
        scene.event.pk,
        recall.spend_unless_recalled,
        [],
    )

    def leave_first(
        lease: Any, snapshot: Any, rule: Any, part: Sequence[Any], **recalls: Any
    ) -> Any:
        if not left and [event.row.pk for event in part] == [person]:
            left.append((end(begin(save, cut)), way.is_saved(scene.lead)))
        return spend(lease, snapshot, rule, part, **recalls)

    with monkeypatch.context() as leaving:
        leaving.setattr(recall, "spend_unless_recalled", leave_first)
        send_all(company)
    if way.by_worker:
        end(begin(save))
        assert way.is_saved(scene.lead)
    [(work, was_saved)] = left
    return Outcome(work, was_saved, hashes(sandbox))


def is_success(work: Work) -> bool:
    return work.error is None and getattr(work.result, "status_code", 200) < 400


def problems(way: Way, cut: Cut, outcome: Outcome) -> list[str]:
    """What the outcome contradicts."""
    work = outcome.work
    to = way.to if outcome.was_saved else WRONG
    right = sorted(
        email_sha256(address) or "" for address in (FIRST, to, OTHER) if address
    )
    found = (
        []
        if sorted(outcome.sent) == right
        else [f"sent to {len(outcome.sent)} people, or to the wrong ones"]
    )
    if not way.by_worker and is_success(work) and not outcome.was_saved:
        found.append("answered as if it were saved")
    if (
        not way.by_worker
        and not is_success(work)
        and outcome.was_saved
        and not cut.answer_only
    ):
        found.append("answered as if it were not saved")
    return found


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.representative
@pytest.mark.sized
@pytest.mark.covers("F77")
def test_what_was_committed_holds_and_is_answered_as_saved(
    way, company, sandbox, monkeypatch
) -> None:
    found, exchanges = [], 1
    for number, seed in enumerate(figures.seeds(figures.rounds(12, long=50))):
        with figures.chance(seed) as dice:
            cut = (
                before(dice.randint(1, exchanges))
                if number > 1
                else (AFTER_COMMIT, COMMIT_WITHOUT_ANSWER)[number]
            )
            outcome = leave(
                way, cut, company=company, sandbox=sandbox, monkeypatch=monkeypatch
            )
            found += [f"{cut}: {problem}" for problem in problems(way, cut, outcome)]
        exchanges = len(outcome.work.exchanges) if number == 0 else exchanges
        figures.count("connections ended at a statement", outcome.work.was_cut)

    assert found == []


@pytest.mark.parametrize(
    "way", [way for way in WAYS if way.waits], ids=lambda way: way.name
)
@pytest.mark.covers("F77")
def test_it_is_answered_after_the_request_that_contains_the_person(
    way, company, sandbox, monkeypatch
) -> None:
    scene = new_scene(company)
    save, send, wait, left = way.prepare(scene), http_session.send, recall.wait_for, []
    waiting, requests = threading.Event(), count(1)

    def wait_for(requests: Sequence[recall.RequestInFlight]) -> None:
        waiting.set()
        wait(requests)

    def leave_meanwhile(**request: Any) -> Any:
        if next(requests) == 2:
            left.append(begin(save, AFTER_COMMIT))
            assert waiting.wait(SECONDS)
            left[0].thread.join(0.3)
            assert left[0].thread.is_alive()
        return send(**request)

    monkeypatch.setattr(recall, "wait_for", wait_for)
    monkeypatch.setattr(http_session, "send", leave_meanwhile)
    send_all(company)

    work = end(left[0])
    assert (work.was_cut, is_success(work), len(received(sandbox))) == (True, True, 3)
