"""Whatever LinkedIn answers, or does not answer: F32 to F34, F36, F38 to F46."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models.functions import Now

from capi import services
from capi.delivery import backoff, http_session, sweep
from capi.linkedin.sandbox import validation
from capi.linkedin.sandbox.faults import Drop, Fault
from capi.models import Attempt, Connection, ConversionEvent, ConversionRule
from tests.capi.conftest import requests_made, send_all, states
from tests.conftest import TOKEN, make_lead
from tests.faults import figures
from tests.faults.invariants import Allowed, broken, extra_acceptances
from tests.faults.processes import wait_for
from tests.faults.proxy import BLACK_HOLE, REFUSE, Proxy, Trouble, drip
from tests.faults.world import make_leads

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("small"),
]


@pytest.fixture(autouse=True)
def _each_is_a_kind_of_its_own(request) -> Iterator[None]:
    yield
    figures.count_kind("kinds of faulty answers", request.node.name)


@pytest.fixture
def patient(settings) -> None:
    """Retries come late enough to check what the first answer left behind, however slow the machine is."""
    settings.RETRY_SECONDS = [60]
    settings.THROTTLE_SECONDS = 2


def books(sandbox):
    return sandbox.ledger.tail(10_000)[::-1]


def later() -> None:
    """End every wait of rows and lanes, as if its time had passed."""
    ConversionEvent.objects.pending().update(next_attempt_at=Now())
    Connection.objects.update(next_attempt_at=None)


def deliver_all(company, *, turns: int = 40) -> None:
    """Deliver turn after turn, as if time went by, until nothing is open."""
    for _ in range(turns):
        send_all(company)
        if not ConversionEvent.objects.pending().exists():
            return
        later()


# --- F32 to F34: throttled, and in trouble ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "least"),
    [
        ("7", 7),
        ("1", 1),
        ("0", 0),
        ("-5", 0),
        ("99999999", 24 * 3600 - 1),
        ("soon", 0),
        ("7, 9", 0),
        ("", 0),
    ],
)
@pytest.mark.covers("F32")
def test_retry_after_is_kept_to_and_nonsense_in_it_is_nothing(
    header, least, company, other_company, connected, sandbox, make_rule, patient
) -> None:
    services.save_token(company=other_company, token="AQV-the-token-of-contoso-0001")
    make_rule()
    make_rule(company=other_company)
    make_lead(company)
    make_lead(other_company)
    sandbox.faults.add(Fault(status=429, headers={"Retry-After": header}))

    send_all(company)
    send_all(other_company)

    lane, event = (
        Connection.objects.get(company=company),
        ConversionEvent.objects.get(company=company),
    )
    waits = (
        lane.next_attempt_at - Attempt.objects.get(company=company).started_at
    ).total_seconds()
    assert least <= waits <= max(least * 1.01, 2) + 1
    assert (event.state, event.attempts) == ("pending", 0)
    assert ConversionEvent.objects.get(company=other_company).state == "accepted"
    deliver_all(company)
    assert broken(books(sandbox)) == []


def rest_of(company) -> float:
    """For how many seconds from now the lane rests."""
    lane = Connection.objects.annotate(now=Now()).get(company=company)
    return (lane.next_attempt_at - lane.now).total_seconds()


def seconds_to_midnight() -> float:
    now = (
        Connection.objects.annotate(now=Now())
        .values_list("now", flat=True)[0]
        .astimezone(UTC)
    )
    midnight = datetime.combine(
        now.date() + timedelta(days=1), datetime.min.time(), UTC
    )
    return (midnight - now).total_seconds()


@pytest.mark.covers("F33")
def test_after_5_throttles_in_a_row_a_company_waits_for_midnight_and_loses_nothing(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.THROTTLE_SECONDS = 60
    make_rule()
    make_leads(company, 10)
    sandbox.faults.add(Fault(status=429, times=50))
    rests, after_midnight = [], []
    for _ in range(50):
        send_all(company)
        rests.append(rest_of(company))
        after_midnight.append(rests[-1] - seconds_to_midnight())
        Connection.objects.update(next_attempt_at=None)

    send_all(company)

    # After the midnight that it waited for, a company starts again: the day's limit has been reset.
    grows = [60, 120, 240, 480]
    for first in range(0, 50, 5):
        run = rests[first : first + 4]
        assert all(
            0.8 * wait - 2 <= rest <= 1.2 * wait
            for rest, wait in zip(run, grows, strict=True)
        )
    fifths = after_midnight[4::5]
    assert all(-1 <= seconds <= 601 for seconds in fifths)
    assert len({round(seconds) for seconds in fifths}) > 5  # not all at the same moment
    assert Connection.objects.get().throttles_in_a_row == 0
    assert Counter(requests_made(sandbox)) == {429: 50, 200: 1}
    assert set(ConversionEvent.objects.values_list("state", "attempts")) == {
        ("accepted", 1)
    }
    assert broken(books(sandbox)) == []


@pytest.mark.covers("F74")
def test_troubles_of_another_kind_and_a_throttle_that_asks_for_a_second_silence_nobody_for_long(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.THROTTLE_SECONDS, settings.LANE_REST_SECONDS = 60, 30
    make_rule()
    make_leads(company, 3)
    answers = [Fault(status=503)] * 4 + [
        Fault(status=429, headers={"Retry-After": "1"})
    ]
    answers += [Fault(status=429)] * 4 + [Fault(status=503), Fault(status=429)]
    sandbox.faults.add(*answers)
    rests = []
    for _ in answers:
        send_all(company)
        rests.append(rest_of(company))
        later()

    send_all(company)

    assert all(rest <= 36 for rest in rests[:4])
    assert rests[4] <= 2  # the one that LinkedIn asked for, and what passes meanwhile
    assert [
        rest <= most for rest, most in zip(rests[5:9], [72, 144, 288, 576], strict=True)
    ] == [True] * 4
    assert rests[9] <= 36
    assert rests[10] <= 72
    assert states(company) == ["accepted"] * 3
    assert broken(books(sandbox)) == []


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("text", ["APPLICATION DAY limit", ""])
@pytest.mark.covers("F74")
def test_a_retry_after_is_kept_to_whatever_happened_before(
    status, text, company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)
    now = Now()
    Connection.objects.update(
        throttles_in_a_row=40,
        failures_in_a_row=40,
        resting_since=now,
        next_attempt_at=now,
    )
    sandbox.faults.add(
        Fault(
            status=status,
            body=json.dumps({"message": text}),
            headers={"Retry-After": "90"},
        )
    )

    send_all(company)

    # It may start when the lane has been read, a moment after the response.
    assert 80 < rest_of(company) <= 91
    lane = Connection.objects.get()
    assert (lane.throttles_in_a_row, lane.failures_in_a_row) == (
        0,
        41 if status == 503 else 0,
    )


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.covers("F34")
def test_20_failures_in_a_row_slow_the_lane_down_and_lose_nothing(
    status, company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 20)
    sandbox.faults.add(
        Fault(
            status=status,
            body="<html>down</html>",
            headers={"Content-Type": "text/html"},
            times=20,
        )
    )
    rests = []
    for _ in range(20):
        send_all(company)
        rests.append(rest_of(company))
        later()

    send_all(company)

    assert min(rests[4:]) > max(rests[:4])  # the breaker opens after 5
    assert states(company) == ["accepted"] * 20
    assert broken(books(sandbox)) == []


@pytest.mark.covers("F34")
def test_waits_grow_by_the_schedule_and_are_spread_for_each_batch_and_not_for_each_event(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.RETRY_SECONDS = [30, 120, 600, 1800]
    settings.RETRY_LAST_SECONDS = 21_600
    make_rule()
    make_leads(company, 20)
    sandbox.faults.add(Fault(status=503))

    send_all(company)

    assert ConversionEvent.objects.values("next_attempt_at").distinct().count() == 1
    for tries, seconds in enumerate([30, 120, 600, 1800, 21_600], 1):
        waits = {backoff.retry_delay(tries).total_seconds() for _ in range(100)}
        assert 0.8 * seconds <= min(waits) < 0.9 * seconds
        assert 1.1 * seconds < max(waits) <= 1.2 * seconds
        assert len(waits) > 90


@pytest.mark.covers("F34")
def test_with_30_of_100_answers_bad_everything_goes_out(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE = 20
    with figures.chance(figures.SEED) as chance:
        kinds = [
            Fault(status=500),
            Fault(status=503),
            Fault(drop=Drop.AFTER_BODY),
            Fault(cut_after=30),
            Fault(status=200, body=""),
        ]
        faults = [
            chance.choice(kinds) if chance.random() < 0.3 else Fault()
            for _ in range(60)
        ]
        sandbox.faults.add(*faults)
        make_rule()
        make_leads(company, 400)

        deliver_all(company)

        hidden = sum(
            fault.drop == Drop.AFTER_BODY or fault.cut_after is not None
            for fault in faults
        )
        assert states(company) == ["accepted"] * 400
        assert broken(books(sandbox), Allowed(hidden_answers=hidden)) == []


# --- F36 and F43 to F45: refusals ------------------------------------------------------------------------------------


@pytest.mark.representative
@pytest.mark.covers("F36")
def test_an_element_that_is_always_refused_is_rejected_after_one_more_send(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)
    sandbox.faults.add(
        Fault(status=400, body='{"message":"no","status":400}', times=50)
    )

    deliver_all(company)

    event = ConversionEvent.objects.get()
    assert (event.state, event.attempts, requests_made(sandbox)) == (
        "rejected",
        1,
        [400],
    )
    assert broken(books(sandbox)) == []


def named(bad) -> str:
    text = "".join(
        f"Index: {at}, ERROR :: /user/userIds/{at} :: value number {at} is odd\n"
        for at in bad
    )
    return json.dumps({"message": text, "status": 422})


@pytest.mark.parametrize("count", [1, 37, 4999])
@pytest.mark.covers("F43")
def test_named_elements_of_5000_are_rejected_and_the_rest_goes_with_2_more_requests_at_most(
    count, company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 5000)
    with figures.chance(figures.SEED) as chance:
        bad = sorted(chance.sample(range(5000), count))
        sandbox.faults.add(Fault(status=422, body=named(bad)))

        send_all(company)

        assert [
            at for at, state in enumerate(states(company)) if state == "rejected"
        ] == bad
        assert Counter(states(company)) == {"rejected": count, "accepted": 5000 - count}
        assert len(requests_made(sandbox)) <= 3
        assert broken(books(sandbox)) == []


@pytest.mark.covers("F43")
def test_all_of_5000_for_one_reason_is_the_rule_and_holds_all_until_it_is_resumed(
    company, connected, sandbox, make_rule
) -> None:
    rule = make_rule()
    make_leads(company, 5000)
    sandbox.faults.add(Fault(status=422, body=named(range(5000))))

    send_all(company)
    rule.refresh_from_db()
    assert (rule.is_paused, Counter(states(company))) == (True, {"pending": 5000})

    services.resume_rule(rule=rule)
    send_all(company)
    assert Counter(states(company)) == {"accepted": 5000}
    assert requests_made(sandbox) == [422, 200]
    assert broken(books(sandbox)) == []


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.covers("F44")
def test_where_nobody_is_named_halving_finds_exactly_the_bad_ones(
    count, company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    make_leads(company, 5000)
    with figures.chance(figures.SEED) as chance:
        rows = chance.sample(
            list(ConversionEvent.objects.values_list("event_id", flat=True)), count
        )
        accept = validation._accept

        def accept_but_those(request, elements):
            if {element["eventId"] for element in elements} & set(rows):
                return validation.refusal(422, "Something is wrong")
            return accept(request, elements)

        monkeypatch.setattr(validation, "_accept", accept_but_those)
        send_all(company)

        assert set(
            ConversionEvent.objects.filter(state="rejected").values_list(
                "event_id", flat=True
            )
        ) == set(rows)
        assert Counter(states(company)) == {"rejected": count, "accepted": 5000 - count}
        assert len(requests_made(sandbox)) <= 1 + 2 * count * 13
        assert broken(books(sandbox)) == []


@pytest.mark.covers("F45", "F73")
def test_a_body_that_is_too_large_is_halved_until_it_is_taken_and_the_size_is_learnt(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    accept = validation._accept
    too_large = validation.refusal(413, "Too large")
    received = []

    def accept_what_is_small(request, elements):
        received.append(len(request.body))
        return too_large if len(request.body) > 300_000 else accept(request, elements)

    monkeypatch.setattr(validation, "_accept", accept_what_is_small)
    make_leads(company, 5000)

    send_all(company)

    statuses = [entry.status for entry in books(sandbox)]
    assert statuses[:4] == [413, 413, 413, 200]  # 1.2 MB, 600 kB, 300 kB and a little
    for size, status, following in zip(received, statuses, received[1:], strict=False):
        # The limit is doubled, not the size of the accepted body, which may have been an element short of the limit.
        assert following <= (size // 2 if status == 413 else 2 * (size + 300))
    # Never twice in a row, once a size is known.
    assert statuses.count(413) <= statuses.count(200) + 2
    assert Counter(states(company)) == {"accepted": 5000}
    assert broken(books(sandbox)) == []


@pytest.mark.covers("F73")
def test_a_413_for_two_events_slows_nobody_down(
    company, connected, sandbox, make_rule, patient
) -> None:
    make_rule()
    make_leads(company, 2)
    sandbox.faults.add(Fault(status=413, body="<html>Request Entity Too Large</html>"))
    send_all(company)
    later()
    make_leads(company, 3000, start=2)

    send_all(company)

    assert [(entry.status, len(entry.elements)) for entry in books(sandbox)] == [
        (413, 2),
        (200, 3002),
    ]
    assert Connection.objects.get().body_limit is None
    assert broken(books(sandbox)) == []


# --- F38 to F41: no answer, half an answer, nonsense -----------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault(delay_ms=6000),
        Fault(drip_ms=200),
        Fault(status=200, headers={"Content-Length": "999"}, drip_ms=200),
    ],
)
@pytest.mark.covers("F38", "F39")
def test_silence_and_drips_are_given_up_by_our_own_clock(
    fault, company, connected, sandbox, make_rule, patient
) -> None:
    make_rule()
    make_leads(company, 100)
    sandbox.faults.add(fault)
    start = time.monotonic()

    send_all(company)

    assert time.monotonic() - start < 5  # LinkedIn takes six seconds or more
    assert set(ConversionEvent.objects.values_list("state", "reason")) == {
        ("pending", "timed_out")
    }
    deliver_all(company)
    assert broken(books(sandbox), Allowed(hidden_answers=1)) == []
    assert extra_acceptances(books(sandbox)) in (0, 100)


EFFECTS = {
    "down": ("pending", "unreachable"),
    "refuse": ("pending", "unreachable"),
    "black hole": ("pending", "timed_out"),
    "reset": ("pending", "unreachable"),
    "slice": ("accepted", ""),
    "latency": ("accepted", ""),
    "cut": ("pending", "answer_unreadable"),
    "drip": ("pending", "timed_out"),
    "slow close": ("accepted", ""),
}


@pytest.mark.covers("F37", "F38", "F39")
def test_the_network_fails_in_each_way_of_the_proxy(
    company, connected, sandbox, make_rule, settings
) -> None:
    make_rule()
    proxy = Proxy(("127.0.0.1", sandbox.port))
    settings.LINKEDIN_API_URL = f"http://127.0.0.1:{proxy.port}"
    for number, (name, effect) in enumerate(EFFECTS.items()):
        make_leads(company, 20, start=20 * number)
        new = ConversionEvent.objects.order_by("-pk")[:20]
        go_wrong(proxy, name)
        figures.count_kind("kinds of faulty answers", name)
        later()
        send_all(company)
        assert {(event.state, event.reason) for event in new} == {effect}, name
        if name == "latency":
            assert Attempt.objects.latest("pk").duration_ms >= 200  # there and back
        proxy.up()
        http_session.close()

    deliver_all(company)

    proxy.down()
    http_session.close()
    assert states(company) == ["accepted"] * 20 * len(EFFECTS)
    # LinkedIn has accepted what was cut; what hangs in a black hole, a drip or a reset may still get through.
    assert broken(books(sandbox), Allowed(hidden_answers=4)) == []


def go_wrong(proxy: Proxy, name: str) -> None:
    if name == "down":
        proxy.down()
    elif name == "reset":
        proxy.trouble = Trouble(latency=0.5)
        threading.Thread(target=reset_the_next, args=(proxy, proxy.taken)).start()
    else:
        proxy.trouble = {
            "refuse": REFUSE,
            "black hole": BLACK_HOLE,
            "slice": Trouble(slice=512),
            "latency": Trouble(latency=0.1),
            "cut": Trouble(cut_after=40),
            "drip": drip(0.02),
            "slow close": Trouble(slow_close=0.2),
        }[name]


def reset_the_next(proxy: Proxy, taken: int) -> None:
    """Reset the next connection while a request is on its way through it."""
    wait_for(lambda: proxy.taken > taken, seconds=10, told="a connection is made")
    time.sleep(proxy.trouble.latency / 2)
    proxy.reset()


CHUNKED = {"Transfer-Encoding": "chunked"}
CUTS = [
    Fault(cut_after=17),
    Fault(cut_after=40),
    Fault(cut_after=-1),
    Fault(cut_after=-20),
    Fault(headers={"Content-Length": "99999"}, cut_after=-5),
    Fault(headers=CHUNKED, body='5\r\n{"ele', status=200, cut_after=200),
    Fault(drop=Drop.AFTER_BODY),
    Fault(drop=Drop.BEFORE_BODY),
]


@pytest.mark.parametrize("fault", CUTS)
@pytest.mark.covers("F40")
def test_an_answer_that_is_cut_is_unknown_and_the_same_goes_again(
    fault, company, connected, sandbox, make_rule, patient
) -> None:
    make_rule()
    make_leads(company, 30)
    sandbox.faults.add(fault)

    send_all(company)
    assert set(ConversionEvent.objects.values_list("state", "attempts")) == {
        ("pending", 1)
    }
    deliver_all(company)

    assert states(company) == ["accepted"] * 30
    assert broken(books(sandbox), Allowed(hidden_answers=1)) == []


def batch(*elements) -> str:
    return json.dumps({"elements": list(elements)})


GOOD = {"status": 201}
NONSENSE = [
    "", " ", "null", "true", "0", '""', "[]", "{}", "<html>ok</html>", "ok", "{", '{"elements":', "\x00", "﻿{}", "NaN",
    '{"elements":null}', '{"elements":{}}', '{"elements":"201"}', '{"elements":[]}', '{"elements":201}',
    batch(GOOD), batch(GOOD, GOOD), batch(GOOD, GOOD, GOOD, GOOD), batch(GOOD, GOOD, None), batch(GOOD, GOOD, []),
    batch(GOOD, GOOD, "201"), batch(GOOD, GOOD, 201), batch(GOOD, GOOD, {}), batch(GOOD, GOOD, {"status": "201"}),
    batch(GOOD, GOOD, {"status": None}), batch(GOOD, GOOD, {"status": True}), batch(GOOD, GOOD, {"status": 201.5}),
    batch(GOOD, GOOD, {"status": -201}), batch(GOOD, GOOD, {"status": 10**30}), batch(GOOD, GOOD, {"code": 201}),
    '{"elements":[{"status":201},{"status":201},{"status":201}],"elements":[]}',
    '{"elements":' * 40 + "1" + "}" * 40, "[" * 3000, '{"results":[{"status":201}]}', '{"status":201}',
]  # fmt: skip


@pytest.mark.parametrize("body", NONSENSE)
@pytest.mark.covers("F41")
def test_a_200_that_says_nothing_is_never_taken_for_accepted(
    body, company, connected, sandbox, make_rule, patient
) -> None:
    make_rule()
    make_leads(company, 3)
    sandbox.faults.add(Fault(status=200, body=body))

    send_all(company)

    assert "accepted" not in states(company)
    deliver_all(company)
    assert states(company) == ["accepted"] * 3
    assert broken(books(sandbox)) == []


# --- F42, F46 --------------------------------------------------------------------------------------------------------


@pytest.mark.covers("F42")
def test_37_random_failures_of_5000_are_settled_each_by_its_own_status(
    company, connected, sandbox, make_rule, patient
) -> None:
    with figures.chance(figures.SEED) as chance:
        make_rule()
        make_leads(company, 5000)
        failures = {
            at: chance.choice([400, 422, 429, 500, 503])
            for at in chance.sample(range(5000), 37)
        }
        statuses = [failures.get(at, chance.choice([200, 201])) for at in range(5000)]
        sandbox.faults.add(
            Fault(
                status=200,
                body=batch(
                    *[{"status": status, "message": "odd"} for status in statuses]
                ),
            )
        )

        send_all(company)

        found = dict(
            enumerate(
                ConversionEvent.objects.order_by("pk").values_list(
                    "http_status", flat=True
                )
            )
        )
        assert found == dict(enumerate(statuses))
        retried = [at for at, status in failures.items() if status >= 429]
        assert [
            at for at, state in enumerate(states(company)) if state == "pending"
        ] == sorted(retried)
        deliver_all(company)
        assert sum(len(entry.elements) for entry in books(sandbox)[1:]) == len(retried)
        assert broken(books(sandbox)) == []


@pytest.mark.parametrize("word", ["revoked", "invalid", "expired"])
@pytest.mark.covers("F46")
def test_401_pauses_the_connection_within_one_request_and_burns_nothing(
    word, company, other_company, sandbox, make_rule
) -> None:
    services.save_token(company=company, token=f"AQV-this-one-is-{word}-0001")
    services.save_token(company=other_company, token="AQV-the-token-of-contoso-0001")
    make_rule("lead_created", "1")
    make_rule("lead_created", "2")
    make_rule(company=other_company)
    make_leads(company, 100)
    make_leads(other_company, 3)

    send_all(company)
    send_all(company)
    send_all(other_company)

    assert requests_made(sandbox) == [401, 200]
    assert set(
        ConversionEvent.objects.filter(company=company).values_list("state", "attempts")
    ) == {("pending", 0)}
    allowed = Allowed(tokens={company.pk: {books(sandbox)[0].token}})
    services.save_token(company=company, token=TOKEN)
    send_all(company)
    assert broken(books(sandbox), allowed) == []


@pytest.mark.parametrize("rule_id", ["403403", "404404", "400400", "400401"])
@pytest.mark.covers("F46")
def test_a_refusal_of_the_rule_holds_that_rule_and_no_other(
    rule_id, company, connected, sandbox, make_rule
) -> None:
    bad = make_rule("lead_created", rule_id)
    make_rule("lead_created", "104012")
    make_leads(company, 100)

    send_all(company)

    assert ConversionRule.objects.get(pk=bad.pk).is_paused
    assert not Connection.objects.get().is_paused
    assert set(
        ConversionEvent.objects.filter(rule=bad).values_list("state", "attempts")
    ) == {("pending", 0)}
    assert set(
        ConversionEvent.objects.exclude(rule=bad).values_list("state", flat=True)
    ) == {"accepted"}
    assert len(requests_made(sandbox)) == 2
    assert broken(books(sandbox), Allowed(open_events=True)) == []


@pytest.mark.covers("F46")
def test_426_holds_everything_of_everybody_and_drops_nothing(
    company, other_company, connected, sandbox, make_rule, settings
) -> None:
    services.save_token(company=other_company, token="AQV-the-token-of-contoso-0001")
    make_rule()
    make_rule(company=other_company)
    make_leads(company, 50)
    make_leads(other_company, 50)
    settings.LINKEDIN_API_VERSION = "202511"

    send_all(company)
    send_all(other_company)

    assert requests_made(sandbox) == [426]
    assert set(ConversionEvent.objects.values_list("state", "attempts")) == {
        ("pending", 0)
    }
    settings.LINKEDIN_API_VERSION = "202609"
    assert sorted(sweep.due_companies()) == sorted([company.pk, other_company.pk])
    send_all(company)
    send_all(other_company)
    assert set(states(company) + states(other_company)) == {"accepted"}
    assert broken(books(sandbox)) == []
