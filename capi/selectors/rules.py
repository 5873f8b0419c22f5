"""A company's rules for the LinkedIn page, with their health and last test."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Final

from django.db import connection as database
from django.db.models import Count, Max
from django.utils.timezone import localdate

from capi.models import (
    Connection,
    ConversionEvent,
    ConversionEventQuerySet,
    ConversionRule,
    DayCount,
)
from capi.models.choices import CrmEventName, Frequency, State
from capi.models.lookups import EQUALS
from capi.selectors.explained_events import ExplainedEvent, explained
from capi.selectors.explanations.explain import explain_pause
from capi.selectors.explanations.rules import EVENTS, EventAdvice
from capi.selectors.explanations.states import Explanation, Tone
from capi.selectors.play_progress import PlayProgress, play_progress
from capi.selectors.rule_duplicates import RuleGroups
from capi.selectors.state_groups import FAILED

NEVER: Final = datetime.min.replace(tzinfo=UTC)
OFTEN: Final = {
    Frequency.ONCE: "Once",
    Frequency.PER_PERSON: "Once per person",
    Frequency.EVERY_TIME: "Every time",
}
# The company's newest events; older ones say little about the rule's health now.
HEALTH_ROWS: Final = 20_000
# Its newest events are read first, in the order of an index. By their ids alone, PostgreSQL may read those of all other
# companies, too: 150 ms for a company with 2,000,000 newer events of others, where this takes 6.
NEWEST_RESULTS: Final = """SELECT
        rule_id, MAX(settled_at) FILTER (WHERE state = %s), MAX(settled_at) FILTER (WHERE state IN ({failed}))
    FROM (
        SELECT rule_id, state, is_test, settled_at FROM {events} WHERE {own} ORDER BY company_id, id DESC LIMIT %s
    ) AS newest
    WHERE NOT is_test {of_rule}
    GROUP BY rule_id
"""


@dataclass(frozen=True, slots=True)
class LastResult:
    """The latest result: its label, tone and time, and the event if it was a test."""

    label: str
    tone: Tone
    at: datetime | None
    test: ExplainedEvent | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """When an event of a rule was last sent and when one last failed, and the id of its last test. None: unknown."""

    last_sent_at: datetime | None = None
    last_failed_at: datetime | None = None
    last_test: int | None = None


UNKNOWN: Final = Health()


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule and the results of its newest events. `on_hold` counts its events on hold, whatever the cause.

    If the last sent event is too far back to know its time, `last_sent_on` is its day.
    """

    rule: ConversionRule
    last_sent_at: datetime | None
    last_sent_on: date | None
    last_failed_at: datetime | None
    on_hold: int
    last_test: ExplainedEvent | None
    warnings: Sequence[str] = ()  # about rules with the same id or name
    progress: PlayProgress | None = None  # of the last test, while it is pending

    @property
    def last_result(self) -> LastResult | None:
        """The latest event or test that was sent or failed, None if there is none yet."""
        results = [
            LastResult("Sent", "good", self.last_sent_at),
            LastResult("Failed", "bad", self.last_failed_at),
        ]
        if self.last_test is not None and self.progress is None:
            words = self.last_test.words
            results.append(
                LastResult(
                    words.label,
                    words.tone,
                    self.last_test.event.settled_at,
                    self.last_test,
                )
            )
        known = [result for result in results if result.at is not None]
        return max(known, key=lambda result: result.at or NEVER, default=None)

    @property
    def advice(self) -> EventAdvice:
        return EVENTS[self.rule.crm_event]

    @property
    def sends(self) -> str:
        """How often it sends, and whether with a value, short enough for a column."""
        often = OFTEN[Frequency(self.rule.frequency)]
        return f"{often}, with value" if self.rule.sends_value else often

    @property
    def pause(self) -> Explanation | None:
        """Why LinkedIn's response paused the rule, None if it isn't paused."""
        return explain_pause(self.rule.paused_reason) if self.rule.is_paused else None

    @property
    def failure(self) -> Explanation | None:
        """Why the rule is paused or else why its latest result, a test, failed. None if neither is the case."""
        if self.pause is not None:
            return self.pause
        result = self.last_result
        if result is None or result.test is None or result.tone != "bad":
            return None
        return result.test.words

    @property
    def has_sent(self) -> bool:
        """True if LinkedIn has accepted an event of this rule, other than a test."""
        return self.last_sent_at is not None or self.last_sent_on is not None

    @property
    def last_taken_at(self) -> datetime | None:
        """When LinkedIn last accepted an event of this rule, including tests."""
        test = self.last_test.event if self.last_test is not None else None
        tested_at = None
        if test is not None and test.state == State.ACCEPTED:
            tested_at = test.settled_at
        return max(
            (moment for moment in (self.last_sent_at, tested_at) if moment is not None),
            default=None,
        )

    @property
    def is_proven(self) -> bool:
        """True if the rule isn't paused and LinkedIn accepted its last test or, since then or without one, an event."""
        if self.rule.is_paused:
            return False
        if self.last_test is None:
            return self.has_sent
        test = self.last_test.event
        return test.state == State.ACCEPTED or (
            test.settled_at is not None and self._has_sent_since(test.settled_at)
        )

    def _has_sent_since(self, moment: datetime) -> bool:
        if self.last_sent_at is not None:
            return self.last_sent_at > moment
        return self.last_sent_on is not None and self.last_sent_on > localdate(moment)


@dataclass(frozen=True, slots=True)
class EventRules:
    """The rules of one CRM event, oldest first."""

    crm_event: CrmEventName
    rows: Sequence[RuleRow]

    @property
    def conversions(self) -> int:
        """How many conversions such an event counts as: one for each LinkedIn rule that it is sent to."""
        return len({row.rule.linkedin_id for row in self.rows if row.rule.is_active})


def by_event(rows: Sequence[RuleRow]) -> list[EventRules]:
    """The rules by CRM event, in the order of the events, without events that have no rule."""
    found = defaultdict(list)
    for row in rows:
        found[row.rule.crm_event].append(row)
    return [EventRules(name, found[name]) for name in CrmEventName if name in found]


def rule_rows(company_id: int, connection: Connection | None) -> list[RuleRow]:
    """The company's rules, oldest first, in at most seven queries, plus up to three for each pending test."""
    rules = list(ConversionRule.objects.for_company(company_id))
    health = _health(company_id)
    on_hold = _on_hold_by_rule(company_id, connection)
    ids = [known.last_test for known in health.values() if known.last_test]
    last_tests = ConversionEvent.objects.select_related("last_attempt").in_bulk(ids)
    tests = {test.rule_id: test for test in last_tests.values()}
    days = _days_of_last_sent(company_id, rules, health)
    groups = RuleGroups(rules)
    rows = (
        _row(
            rule,
            health.get(rule.pk, UNKNOWN),
            days.get(rule.pk),
            on_hold.get(rule.pk, 0),
            tests.get(rule.pk),
            connection,
        )
        for rule in rules
    )
    return [replace(row, warnings=groups.same_id_or_name(row.rule)) for row in rows]


def rule_row(rule: ConversionRule, connection: Connection | None) -> RuleRow:
    """One rule as `rule_rows` returns it, in at most six queries, plus up to three for a pending test."""
    by_rule = _health(rule.company_id, rule)
    health = by_rule.get(rule.pk, UNKNOWN)
    test = (
        ConversionEvent.objects.for_company(rule.company_id)
        .filter(pk=health.last_test or 0)
        .first()
    )
    day = _days_of_last_sent(rule.company_id, [rule], by_rule).get(rule.pk)
    on_hold = _on_hold_by_rule(rule.company_id, connection, rule).get(rule.pk, 0)
    return _row(rule, health, day, on_hold, test, connection)


def last_days(
    company_id: int, rules: Iterable[ConversionRule], states: Collection[State]
) -> dict[int, date]:
    """By rule: the day of its last event in one of the states, however far back, from the counts by day."""
    counts = (
        DayCount.objects.for_company(company_id)
        .filter(rule__in=rules, state__in=states, count__gt=0)
        .order_by()
    )
    return dict(counts.values_list("rule").annotate(Max("day")))


def _row(
    rule: ConversionRule,
    health: Health,
    last_sent_on: date | None,
    on_hold: int,
    test: ConversionEvent | None,
    connection: Connection | None,
) -> RuleRow:
    if test is not None:
        test.rule = rule
    return RuleRow(
        rule=rule,
        last_sent_at=health.last_sent_at,
        last_sent_on=last_sent_on,
        last_failed_at=health.last_failed_at,
        on_hold=on_hold,
        last_test=explained(test, connection) if test is not None else None,
        progress=play_progress(test, connection)
        if test is not None and test.state == State.PENDING
        else None,
    )


def _health(company_id: int, rule: ConversionRule | None = None) -> dict[int, Health]:
    """By rule (or for this one): the results of the company's newest events, and its last test."""
    events, of_rule = ConversionEvent._meta.db_table, "AND rule_id = %s" if rule else ""
    own = EQUALS.format("company_id")
    results = NEWEST_RESULTS.format(
        events=events, own=own, failed=", ".join(["%s"] * len(FAILED)), of_rule=of_rule
    )
    with database.cursor() as cursor:
        cursor.execute(
            results,
            [
                State.ACCEPTED,
                *FAILED,
                company_id,
                HEALTH_ROWS,
                *([rule.pk] if rule else []),
            ],
        )
        times = {
            pk: (last_sent, last_failed)
            for pk, last_sent, last_failed in cursor.fetchall()
        }
    tests = _of(
        rule, ConversionEvent.objects.for_company(company_id).filter(is_test=True)
    ).order_by()
    last_tests = dict(tests.values_list("rule").annotate(Max("pk")))
    return {
        pk: Health(*times.get(pk, (None, None)), last_tests.get(pk))
        for pk in times.keys() | last_tests.keys()
    }


def _days_of_last_sent(
    company_id: int, rules: Sequence[ConversionRule], health: Mapping[int, Health]
) -> dict[int, date]:
    """By rule: the day of its last sent event, for the rules whose last sent time is unknown."""
    unknown = [
        rule for rule in rules if health.get(rule.pk, UNKNOWN).last_sent_at is None
    ]
    return last_days(company_id, unknown, [State.ACCEPTED]) if unknown else {}


def _on_hold_by_rule(
    company_id: int, connection: Connection | None, rule: ConversionRule | None = None
) -> dict[int, int]:
    events = _of(
        rule, ConversionEvent.objects.for_company(company_id).on_hold(connection)
    ).order_by()
    return dict(events.values_list("rule").annotate(Count("pk")))


def _of(
    rule: ConversionRule | None, events: ConversionEventQuerySet
) -> ConversionEventQuerySet:
    return events.filter(rule=rule) if rule else events
