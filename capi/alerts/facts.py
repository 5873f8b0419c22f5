"""What the connection and its rules say by themselves: pauses, and dates that come near."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime

from django.conf import settings

from capi.alerts.conditions import Condition, Facts
from capi.deadlines import end_of_token, end_of_version
from capi.models import Connection, ConversionRule
from capi.reasons import AlertKind


def facts_of(
    connection: Connection, rules: Iterable[ConversionRule], *, now: datetime, today: date
) -> Iterator[Condition]:
    """The conditions that need no counting. `rules` are the company's active ones."""
    if connection.is_paused:
        yield _paused(AlertKind.CONNECTION_PAUSED, connection)
    for rule in rules:
        if rule.is_paused:
            yield _paused(AlertKind.RULE_PAUSED, rule, rule.pk)
    yield from _resting(connection, now)
    yield from _token_ending(connection, today)
    yield from _version_ending(connection, today)


def _paused(kind: AlertKind, paused: Connection | ConversionRule, rule_id: int | None = None) -> Condition:
    return Condition(kind, rule_id, marker=_moment(paused.paused_at), reason=paused.paused_reason)


def _resting(connection: Connection, now: datetime) -> Iterator[Condition]:
    if connection.rests_long(now):
        facts: Facts = {"since": _moment(connection.resting_since), "until": _moment(connection.next_attempt_at)}
        yield Condition(AlertKind.RESTING, reason=connection.rest_cause, facts=facts)
    elif connection.is_paused or connection.failing_since(now) is not None:
        # Neither a pause nor the time between two tries says anything of the end of the trouble.
        yield Condition(AlertKind.RESTING, only_keeps=True)


def _token_ending(connection: Connection, today: date) -> Iterator[Condition]:
    end = end_of_token(connection.token_expires_on, today)
    if connection.has_token and end is not None and end.mark is not None:
        day = end.day.isoformat()
        yield Condition(AlertKind.TOKEN_ENDING, marker=day, stage=end.mark, facts={"on": day})


def _version_ending(connection: Connection, today: date) -> Iterator[Condition]:
    version = settings.LINKEDIN_API_VERSION
    end = end_of_version(version, today)
    if connection.has_token and end is not None and end.mark is not None:
        facts: Facts = {"on": end.day.isoformat(), "version": version}
        yield Condition(AlertKind.VERSION_ENDING, marker=version, stage=end.mark, facts=facts)


def _moment(moment: datetime | None) -> str:
    return moment.isoformat() if moment is not None else ""
