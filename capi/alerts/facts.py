"""What the connection and its rules say by themselves: pauses, and dates that come near."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Final

from django.conf import settings

from capi.alerts.conditions import Condition, Facts
from capi.linkedin import versions
from capi.models import Connection, ConversionRule
from capi.reasons import AlertKind

VERSION_DAYS: Final = (7, 30, 60)
TOKEN_DAYS: Final = (0, 1, 3, 7, 14)  # 0: the date has come


def facts_of(connection: Connection, rules: Iterable[ConversionRule], *, today: date) -> Iterator[Condition]:
    """The conditions that need no counting. `rules` are the company's active ones."""
    if connection.is_paused:
        yield _paused(AlertKind.CONNECTION_PAUSED, connection)
    for rule in rules:
        if rule.is_paused:
            yield _paused(AlertKind.RULE_PAUSED, rule, rule.pk)
    yield from _token_ending(connection, today)
    yield from _version_ending(connection, today)


def _paused(kind: AlertKind, paused: Connection | ConversionRule, rule_id: int | None = None) -> Condition:
    return Condition(kind, rule_id, marker=_moment(paused.paused_at), reason=paused.paused_reason)


def _token_ending(connection: Connection, today: date) -> Iterator[Condition]:
    expires_on = connection.token_expires_on
    if not connection.has_token or expires_on is None:
        return
    stage = stage_of((expires_on - today).days, TOKEN_DAYS)
    if stage is not None:
        day = expires_on.isoformat()
        yield Condition(AlertKind.TOKEN_ENDING, marker=day, stage=stage, facts={"on": day})


def _version_ending(connection: Connection, today: date) -> Iterator[Condition]:
    version = settings.LINKEDIN_API_VERSION
    ends_on = versions.sunset(version)
    if not connection.has_token or ends_on is None:
        return
    stage = stage_of((ends_on - today).days, VERSION_DAYS)
    if stage is not None:
        facts: Facts = {"on": ends_on.isoformat(), "version": version}
        yield Condition(AlertKind.VERSION_ENDING, marker=version, stage=stage, facts=facts)


def stage_of(days: int, stages: Sequence[int]) -> int | None:
    """The smallest of the stages (days, ascending) that so many days are within, None where they are beyond all."""
    return next((stage for stage in stages if days <= stage), None)


def _moment(moment: datetime | None) -> str:
    return moment.isoformat() if moment is not None else ""
