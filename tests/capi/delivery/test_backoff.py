"""When to try again: how long an event waits, and how long a lane rests."""

from datetime import UTC, datetime, timedelta

import pytest

from capi.delivery.backoff import retry_delay, throttle_rest, trouble_rest
from capi.models.choices import RestCause

EXPECTED = [30, 120, 600, 1800, 3600, 7200, 14400]
LAST = 6 * 3600
THREE_DAYS = 3 * 24 * 3600
NOW = datetime(2026, 11, 27, 13, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 28, tzinfo=UTC)


def delays() -> list[float]:
    """The delay after each attempt in seconds, up to the last one that is retried."""
    found: list[float] = []
    while (delay := retry_delay(len(found) + 1)) is not None:
        found.append(delay.total_seconds())
    return found


def seconds(rest) -> float:
    return (rest.until - NOW).total_seconds()


def test_delays_grow_from_half_a_minute_to_six_hours() -> None:
    wanted = [*EXPECTED, *[LAST] * (len(delays()) - len(EXPECTED))]

    for delay, expected in zip(delays(), wanted, strict=True):
        assert delay == pytest.approx(expected, rel=0.2)


def test_delays_end_after_three_days_even_if_each_was_as_short_as_it_can_be() -> None:
    count = len(delays())

    assert sum(delays()) >= THREE_DAYS
    assert 0.8 * (sum(EXPECTED) + LAST * (count - 8)) < THREE_DAYS
    assert 0.8 * (sum(EXPECTED) + LAST * (count - 7)) >= THREE_DAYS


def test_a_retry_after_is_honoured_up_to_a_day() -> None:
    assert retry_delay(1, at_least=7200) == timedelta(hours=2)
    assert retry_delay(1, at_least=10 * 24 * 3600) == timedelta(days=1)


def test_a_retry_after_that_is_shorter_shortens_nothing() -> None:
    delay = retry_delay(3, at_least=5)

    assert delay is not None
    assert delay.total_seconds() == pytest.approx(600, rel=0.2)


@pytest.mark.parametrize(
    ("failures", "expected"), [(0, 30), (3, 30), (4, 300), (9, 300)]
)
def test_a_lane_rests_ten_times_as_long_from_the_fifth_failure_on(
    failures: int, expected: int
) -> None:
    rest = trouble_rest(NOW, failures, retry_after=None)

    assert seconds(rest) == pytest.approx(expected, rel=0.2)
    assert rest.cause == RestCause.TROUBLE


@pytest.mark.parametrize(
    ("throttles", "expected"), [(0, 60), (1, 120), (2, 240), (3, 480)]
)
def test_a_lane_rests_twice_as_long_after_each_429(
    throttles: int, expected: int
) -> None:
    rest = throttle_rest(NOW, throttles, retry_after=None, day_limit=False)

    assert seconds(rest) == pytest.approx(expected, rel=0.2)
    assert rest.cause == RestCause.THROTTLED


@pytest.mark.parametrize(
    ("throttles", "day_limit", "cause"),
    [(0, True, RestCause.DAY_LIMIT), (4, False, RestCause.THROTTLED_OFTEN)],
)
def test_a_daily_limit_or_the_fifth_429_rests_until_midnight_utc(
    throttles: int, day_limit: bool, cause: str
) -> None:
    rest = throttle_rest(NOW, throttles, retry_after=None, day_limit=day_limit)

    assert MIDNIGHT <= rest.until <= MIDNIGHT + timedelta(minutes=10)
    assert rest.cause == cause


def test_a_lane_rests_as_long_as_linkedin_asks() -> None:
    rests = [
        trouble_rest(NOW, 9, retry_after=90),
        throttle_rest(NOW, 9, retry_after=90, day_limit=True),
    ]

    assert [(seconds(rest), rest.cause) for rest in rests] == [
        (90, RestCause.ASKED)
    ] * 2
