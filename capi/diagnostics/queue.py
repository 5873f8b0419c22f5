"""Checks of the queue and of the workers that process it."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import F, Min
from django.urls import reverse
from django.utils import dateformat, timezone

from capi.delivery.lane import rules_with_due_events
from capi.diagnostics.findings import Check, Finding, Level, help_on, moment, step
from capi.models import SWEEP, Connection, ConversionRule, Heartbeat
from capi.models.choices import Reason
from capi.models.connection import LONG_REST
from capi.selectors.explanations.connection import explain_size
from capi.selectors.explanations.explain import explain_rest
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.on_hold import OnHold, on_hold
from capi.selectors.play_progress import MISSED_SWEEPS

# The queue: events on hold, events that are due, and requests to LinkedIn.

SLOW_AFTER, STUCK_AFTER = timedelta(minutes=5), timedelta(hours=1)


def queue_findings(
    company_id: int,
    connection: Connection | None,
    rules: Sequence[ConversionRule],
    now: datetime,
) -> Iterator[Finding]:
    yield held_finding(on_hold(company_id, connection, rules), now)
    yield _due(company_id, connection, now)


def at_hand(connection: Connection | None, now: datetime) -> Iterator[Finding]:
    """The findings from the connection alone: whether all is paused, whether it rests, and the size of requests."""
    yield _sending(connection)
    yield _rest(connection, now)
    yield _size(connection)


def _sending(connection: Connection | None) -> Finding:
    link = reverse("linkedin")
    is_noted = connection is not None and connection.paused_reason == Reason.ALL_PAUSED
    # Before a worker has noted it.
    if is_noted or getattr(connection, "is_held_back", False):
        words = REASONS[Reason.ALL_PAUSED]
        return Finding(
            Check.SENDING, Level.RED, words.what, words.next_step, link, words.topic
        )
    return Finding(
        Check.SENDING, Level.GREEN, "The operator has not paused it.", link=link
    )


def held_finding(held: OnHold | None, now: datetime) -> Finding:
    if held is None:
        return Finding(Check.ON_HOLD, Level.GREEN, "None.", link=reverse("events"))
    days = (held.expires_on - timezone.localdate(now)).days
    # Until the first event on hold is too old for LinkedIn.
    level = Level.RED if days < 7 else Level.AMBER
    are = "is" if held.count == 1 else "are"
    sentence = f"{held.count:,}{' or more' if held.is_more else ''} {are} on hold. {held.countdown}"
    fix = "Fix the cause. They are then sent automatically, oldest first."
    return Finding(
        Check.ON_HOLD, level, sentence, fix, f"{reverse('events')}?state=on_hold"
    )


def _rest(connection: Connection | None, now: datetime) -> Finding:
    words = explain_rest(connection, now) if connection is not None else None
    since = connection.failing_since(now) if connection is not None else None
    if words is None and since is not None and now - since > LONG_REST:
        sentence = f"No request has succeeded since {moment(since)}. The next is made when an event is due."
        return Finding(
            Check.REST,
            Level.AMBER,
            sentence,
            "No action needed: retries are automatic.",
            reverse("events"),
        )
    if words is None or connection is None:
        return Finding(
            Check.REST,
            Level.GREEN,
            "LinkedIn isn't making us wait.",
            link=reverse("events"),
        )
    level = Level.RED if connection.rest_length >= STUCK_AFTER else Level.AMBER
    return Finding(
        Check.REST, level, words.what, words.next_step, reverse("linkedin"), words.topic
    )


def _size(connection: Connection | None) -> Finding:
    if connection is None or connection.body_limit is None:
        return Finding(
            Check.SIZE,
            Level.GREEN,
            "LinkedIn has not rejected a request as too large.",
            link=step(1),
        )
    sentence = explain_size(connection.body_limit)
    return Finding(
        Check.SIZE,
        Level.AMBER,
        sentence,
        "No action needed: requests grow again automatically.",
        step(1),
    )


def _due(company_id: int, connection: Connection | None, now: datetime) -> Finding:
    link = reverse("events")
    if connection is None or not connection.is_sending:
        return Finding(
            Check.DUE,
            Level.GREEN,
            "None: nothing is being sent, so events are on hold.",
            link=link,
        )
    since = (
        rules_with_due_events()
        .filter(company=company_id)
        .aggregate(since=Min(F("oldest")))["since"]
    )
    overdue = now - since if since is not None else timedelta()
    if overdue < SLOW_AFTER:
        return Finding(
            Check.DUE,
            Level.GREEN,
            "None has been due for more than five minutes.",
            link=link,
        )
    rests_until = connection.next_attempt_at
    if rests_until is not None and rests_until > now:
        sentence = f"Waiting: the next request is at {moment(rests_until)}."
        fix = "No action needed: sending then continues automatically."
        return Finding(Check.DUE, Level.AMBER, sentence, fix, link)
    level = Level.RED if overdue >= STUCK_AFTER else Level.AMBER
    sentence = (
        f"The oldest has been due for {_duration(overdue)}, and no worker has sent it."
    )
    fix = "Ask the operator of LeadMachine to check that a worker is running."
    return Finding(Check.DUE, level, sentence, fix, link)


def _duration(time: timedelta) -> str:
    minutes = int(time.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"


# The workers, judged by their sweeps.

START_ONE: Final = (
    "Ask the operator of LeadMachine to start one. Nothing is lost meanwhile."
)


def worker_findings(now: datetime) -> Iterator[Finding]:
    link = help_on("what-if-no-worker-runs")
    last = Heartbeat.objects.last_of(SWEEP)
    if last is None:
        yield Finding(
            Check.SWEEP,
            Level.RED,
            "No worker has ever checked for due events.",
            START_ONE,
            link,
        )
        return
    at = dateformat.format(timezone.localtime(last), "j M, H:i:s")
    if now - last >= timedelta(minutes=15):
        yield Finding(
            Check.SWEEP,
            Level.RED,
            f"No worker has checked for due events since {at}.",
            START_ONE,
            link,
        )
    elif now - last >= MISSED_SWEEPS * timedelta(seconds=settings.SWEEP_SECONDS):
        yield Finding(
            Check.SWEEP,
            Level.AMBER,
            f"The workers are late: they last checked for due events on {at}.",
            START_ONE,
            link,
        )
    else:
        yield Finding(
            Check.SWEEP,
            Level.GREEN,
            f"The workers last checked for due events on {at}.",
            link=link,
        )
