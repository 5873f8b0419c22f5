"""Comparing what is so with what is known: pure, so that its rules can be tried on any history."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from capi.models import Alert
from capi.reasons import AlertKind, Ending

Facts = dict[str, int | str]
Subject = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is so now and that somebody should know of.

    `marker` names the episode, `stage` is how many days are left at most, on a scale that only falls. Where
    `only_keeps` is set it opens no alert but keeps an open one: the way down is longer than the way up, and what can't
    be told at the moment is no news.
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
    """What a look brings: conditions to open an alert for, and alerts to close."""

    opened: Sequence[Condition]
    closed: Sequence[tuple[Alert, Ending]]


def compare(known: Iterable[Alert], found: Iterable[Condition], *, standing: Collection[int | None]) -> Changes:
    """The changes from the open alerts to what was found.

    `standing` holds the rules that are switched on, and None where there is a token: an alert about anything else is
    closed as gone, and not as mended.
    """
    now = {condition.subject: condition for condition in found}
    opened: list[Condition] = []
    closed: list[tuple[Alert, Ending]] = []
    for alert in known:
        condition = now.pop((alert.kind, alert.rule_id), None)
        if condition is None:
            closed.append((alert, Ending.MENDED if alert.rule_id in standing else Ending.GONE))
        elif not condition.only_keeps and _is_news(condition, alert):
            closed.append((alert, Ending.REPLACED))
            opened.append(condition)
    opened += [condition for condition in now.values() if not condition.only_keeps]
    return Changes(opened, closed)


def _is_news(condition: Condition, alert: Alert) -> bool:
    return condition.marker != alert.marker or condition.stage < alert.stage
