"""Compare current conditions with open alerts. Pure, so that tests can run it on any history."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from django.conf import settings

from capi.models import Alert, Connection, ConversionRule
from capi.models.choices import AlertKind, AlertResolution
from capi.selectors.deadlines import end_of_token, end_of_version

Facts = dict[str, int | str]
Subject = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Condition:
    """A current condition that people should know about.

    `marker` identifies the episode. `stage` is the most days that can be left; it only falls. With `only_keeps`, the
    condition keeps an open alert open but opens none: for hysteresis, and for what is unknown at the moment.
    """

    kind: AlertKind
    rule_id: int | None = None
    marker: str = ""
    stage: int = 0
    reason: str = ""
    facts: Facts = field(default_factory=dict)
    only_keeps: bool = False

    @property
    def subject(self) -> Subject:
        return self.kind, self.rule_id


@dataclass(frozen=True, slots=True)
class Changes:
    """Conditions to open an alert for, and alerts to close."""

    opened: Sequence[Condition]
    closed: Sequence[tuple[Alert, AlertResolution]]


def compare(
    open_alerts: Iterable[Alert],
    conditions: Iterable[Condition],
    *,
    standing: Collection[int | None],
) -> Changes:
    """The changes that bring the open alerts into line with the conditions.

    `standing` contains the ids of active rules, and None if there is a token: an alert about anything else is closed as
    GONE, not as FIXED.
    """
    current = {condition.subject: condition for condition in conditions}
    opened: list[Condition] = []
    closed: list[tuple[Alert, AlertResolution]] = []
    for alert in open_alerts:
        condition = current.pop((alert.kind, alert.rule_id), None)
        if condition is None:
            stands = alert.rule_id in standing
            resolution = AlertResolution.FIXED if stands else AlertResolution.GONE
            closed.append((alert, resolution))
        elif not condition.only_keeps and _is_news(condition, alert):
            closed.append((alert, AlertResolution.REPLACED))
            opened.append(condition)
    opened += [condition for condition in current.values() if not condition.only_keeps]
    return Changes(opened, closed)


def _is_news(condition: Condition, alert: Alert) -> bool:
    return condition.marker != alert.marker or condition.stage < alert.stage


# Conditions from the connection and its rules alone: pauses, and dates coming up.


def facts_of(
    connection: Connection,
    rules: Iterable[ConversionRule],
    *,
    now: datetime,
    today: date,
) -> Iterator[Condition]:
    """The conditions that need no counting. `rules` are the company's active rules."""
    if connection.is_paused:
        yield _paused(AlertKind.CONNECTION_PAUSED, connection)
    for rule in rules:
        if rule.is_paused:
            yield _paused(AlertKind.RULE_PAUSED, rule, rule.pk)
    yield from _resting(connection, now)
    yield from _token_ending(connection, today)
    yield from _version_ending(connection, today)


def _paused(
    kind: AlertKind, paused: Connection | ConversionRule, rule_id: int | None = None
) -> Condition:
    return Condition(
        kind, rule_id, marker=_iso(paused.paused_at), reason=paused.paused_reason
    )


def _resting(connection: Connection, now: datetime) -> Iterator[Condition]:
    if connection.rests_long(now):
        facts: Facts = {
            "since": _iso(connection.resting_since),
            "until": _iso(connection.next_attempt_at),
        }
        yield Condition(AlertKind.RESTING, reason=connection.rest_cause, facts=facts)
    elif connection.is_paused or connection.failing_since(now) is not None:
        # Neither a pause nor the time between two attempts means that the trouble is over.
        yield Condition(AlertKind.RESTING, only_keeps=True)


def _token_ending(connection: Connection, today: date) -> Iterator[Condition]:
    end = end_of_token(connection.token_expires_on, today)
    if connection.has_token and end is not None and end.mark is not None:
        day = end.day.isoformat()
        yield Condition(
            AlertKind.TOKEN_ENDING, marker=day, stage=end.mark, facts={"on": day}
        )


def _version_ending(connection: Connection, today: date) -> Iterator[Condition]:
    version = settings.LINKEDIN_API_VERSION
    end = end_of_version(version, today)
    if connection.has_token and end is not None and end.mark is not None:
        facts: Facts = {
            "on": end.day.isoformat(),
            "version": version,
            "is_certain": end.is_certain,
        }
        yield Condition(
            AlertKind.VERSION_ENDING, marker=version, stage=end.mark, facts=facts
        )


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment is not None else ""
