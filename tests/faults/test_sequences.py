"""Random sequences of answers, next to a model of how long a company may rest and how small a request may be.

Everything that goes wrong here does so in front of LinkedIn, which never sees the request: what a gateway answers
for it must never count as sent.
"""

import json
import time
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import pytest
from django.db import connection as database
from django.db.models.functions import Now

from capi import services
from capi.delivery import backoff
from capi.delivery.deliver import deliver
from capi.linkedin import answers
from capi.linkedin.sandbox.faults import Fault
from capi.linkedin.sandbox.request_log import Entry
from capi.models import Connection, ConversionEvent, ConversionRule
from crm.models import Company
from tests.conftest import TOKEN
from tests.faults import figures
from tests.faults.invariants import broken
from tests.faults.world import make_leads

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

LARGE = 3_000  # bytes; in the product 256 kB, which would take a thousand events
LARGEST = 4 * 1024 * 1024
SPREAD = 1.2
DAY = 24 * 3600
DAY_LIMIT = json.dumps(
    {
        "message": "Resource level throttle APPLICATION_AND_MEMBER DAY limit is reached.",
        "status": 429,
    }
)
THROTTLES = [
    *[Fault(status=429)] * 3, Fault(status=429, body=DAY_LIMIT), Fault(status=429, headers={"Retry-After": "0"}),
    Fault(status=429, headers={"Retry-After": "soon"}),
    *[Fault(status=429, headers={"Retry-After": seconds}) for seconds in ("1", "7", "3600", "99999999")],
    Fault(status=429, body=DAY_LIMIT, headers={"Retry-After": "5"}),
]  # fmt: skip
TROUBLES = [
    *[Fault(status=status, body="<html>busy</html>") for status in (500, 502, 503, 504, 408, 423)],
    *[Fault(status=503, headers={"Retry-After": seconds}) for seconds in ("1", "120")],
    Fault(status=503, cut_after=12),
]  # fmt: skip
PRETENDED = [
    Fault(status=200, body="<html><title>Sign in</title></html>"), Fault(status=200, body='{"status": 500}'),
    Fault(status=200, body='{"elements": []}'), Fault(status=202), Fault(status=204),
    Fault(status=206, body='{"elements": [{"status": 201}]}'), Fault(status=299),
]  # fmt: skip
OF_OTHERS = [
    *[Fault(status=status, body="<html><title>Forbidden</title></html>") for status in (400, 401, 403, 404, 422, 426)],
    *[Fault(status=status, body='{"message": "Index: 0, no"}') for status in (400, 401, 403, 404, 405, 409, 422, 501)],
    Fault(status=400, body='{"message": "cut'), Fault(status=407, body=""), Fault(status=201, body="<html>Sign in"),
    Fault(status=403, body="", headers={"Retry-After": "86400"}), Fault(status=302, headers={"Location": "/"}),
]  # fmt: skip
TOO_LARGE = Fault(status=413, body="<html>Request Entity Too Large</html>")
THROUGH = Fault()


@dataclass
class Model:
    """What may follow an answer, modelled independently of the implementation."""

    throttles: int = 0
    failures: int = 0
    limit: int | None = None  # bytes

    def longest_rest(
        self, fault: Fault, *, size: int, count: int, to_midnight: float
    ) -> float:
        """The most seconds that the company may rest after this answer; 0 if it may not rest."""
        if fault == THROUGH:
            self.throttles = self.failures = 0
            self.limit = (
                self.limit * 2 if self.limit and self.limit * 2 < LARGEST else None
            )
            return 0
        if fault == TOO_LARGE and size >= LARGE and count > 1:
            self.throttles = self.failures = 0
            self.limit = size // 2
            return 0
        asked = fault.headers.get("Retry-After", "") if fault not in OF_OTHERS else ""
        seconds = min(int(asked), DAY) if asked.isdigit() else 0
        if fault.status == 429:
            return self._throttled(seconds, fault.body == DAY_LIMIT, to_midnight + 600)
        self.throttles, self.failures = 0, self.failures + 1
        return seconds or SPREAD * (30 if self.failures < 5 else 300)

    def _throttled(self, seconds: int, is_day_limit: bool, to_midnight: float) -> float:
        self.failures = 0
        self.throttles = 0 if seconds or is_day_limit else self.throttles + 1
        if seconds:
            return seconds
        if is_day_limit:
            return to_midnight
        if self.throttles == 5:
            self.throttles = 0
            return to_midnight
        return SPREAD * min(60 * 2 ** (self.throttles - 1), 900)


def body_of(entry: Entry) -> bytes:
    content = {"elements": entry.elements} if entry.batch else entry.elements[0]
    return json.dumps(content, separators=(",", ":")).encode()


def is_as_large_as_it_may_be(entry: Entry, limit: int | None, due: int) -> bool:
    """True if the request held all that was due, or if one more element might not have fitted."""
    if len(entry.elements) == due:
        return True
    longest = max(len(json.dumps(element)) for element in entry.elements)
    return limit is not None and limit - longest <= len(body_of(entry)) <= limit


def rest_and_midnight() -> tuple[float, float]:
    """The seconds for which the lane rests from now on (0: it is awake), and those until midnight UTC."""
    lane = Connection.objects.annotate(now=Now()).get()
    midnight = lane.now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(
        days=1
    )
    rest = (
        (lane.next_attempt_at - lane.now).total_seconds()
        if lane.next_attempt_at
        else 0.0
    )
    return rest, (midnight - lane.now).total_seconds()


def live_through(dice: Random, sandbox) -> None:
    """Play random answers to a company that gets a few more leads before each."""
    company = Company.objects.create(name="Northwind", slug="northwind")
    services.save_token(company=company, token=TOKEN)
    ConversionRule.objects.create(
        company=company, crm_event="lead_created", linkedin_id="104012", name="Leads"
    )
    model = Model()
    kinds = [
        THROTTLES,
        TROUBLES,
        PRETENDED,
        OF_OTHERS,
        [TOO_LARGE],
        [TOO_LARGE],
        [THROUGH],
    ]
    mood = dice.choice(kinds)
    for _ in range(dice.randint(6, 14)):
        mood = dice.choice([mood, mood, dice.choice(kinds)])
        _one_answer(
            company,
            dice.choice(mood),
            model,
            sandbox,
            new_leads=dice.choice([0, 1, 1, 2, 15, 40]),
        )
    _let_everything_wait_no_longer()
    deliver(company.pk)

    assert set(ConversionEvent.objects.values_list("state", flat=True)) <= {"accepted"}
    assert broken(sandbox.ledger.tail(1_000)[::-1]) == []


def _one_answer(
    company: Company, fault: Fault, model: Model, sandbox, *, new_leads: int
) -> None:
    if new_leads:
        make_leads(company, new_leads, start=ConversionEvent.objects.count())
    _let_everything_wait_no_longer()
    due, before = (
        ConversionEvent.objects.pending().count(),
        len(sandbox.ledger.tail(1_000)),
    )
    if not due:
        return
    sandbox.faults.add(fault)
    _, to_midnight = rest_and_midnight()
    began = time.monotonic()
    deliver(company.pk)
    took = time.monotonic() - began
    entries = sandbox.ledger.tail(1_000)[::-1][before:]
    may_rest = 0.0
    for entry, answer in zip(entries, [fault] + [THROUGH] * len(entries), strict=False):
        assert is_as_large_as_it_may_be(entry, model.limit, due)
        size, count = len(body_of(entry)), len(entry.elements)
        may_rest = model.longest_rest(
            answer, size=size, count=count, to_midnight=to_midnight
        )
        due -= count if answer == THROUGH else 0
    rest, _ = rest_and_midnight()
    # The lane's clock is ahead by what reading it took (`LaneSnapshot.read_at`).
    assert rest <= may_rest + took
    assert (rest > 0) == (may_rest > 0)
    assert Connection.objects.get().body_limit == model.limit
    taken = {
        element["eventId"]
        for entry in sandbox.ledger.tail(1_000)
        if not entry.fault
        for element in entry.elements
    }
    assert (
        set(
            ConversionEvent.objects.filter(state="accepted").values_list(
                "event_id", flat=True
            )
        )
        == taken
    )


def _let_everything_wait_no_longer() -> None:
    Connection.objects.update(next_attempt_at=None, requests_left=None)
    ConversionEvent.objects.pending().update(next_attempt_at=Now())


@pytest.mark.timeout(3600)
@pytest.mark.sized
@pytest.mark.representative
@pytest.mark.covers("F73", "F74", "F75")
def test_no_rest_is_longer_no_request_smaller_and_nothing_taken_for_sent_than_was_plainly_said(
    sandbox, monkeypatch, settings
) -> None:
    monkeypatch.setattr(answers, "LARGE_BODY_BYTES", LARGE)
    # Nothing is given up: what is not lost goes out at the end.
    settings.RETRY_WINDOW_SECONDS = 10**9
    monkeypatch.setattr(backoff, "UNCLEAR_TRIES", 10**9)
    for seed in figures.seeds(figures.rounds(15, long=1_000)):
        with database.cursor() as cursor:
            cursor.execute("TRUNCATE crm_company CASCADE")
        sandbox.ledger.clear()
        with figures.chance(seed) as dice:
            live_through(dice, sandbox)
        figures.count("sequences of answers")
