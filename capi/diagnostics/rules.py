"""The rules: is one active, does LinkedIn know its id, and did each send something lately?

Rules with the same trouble share a finding, so that a company with a thousand of them gets a list that can be read.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.utils import dateformat, timezone

from capi.diagnostics.findings import Check, Finding, Level, listed, moment, step, with_ids
from capi.models import ConversionRule
from capi.selectors.explanations.explain import explain_pause
from capi.selectors.rules import RuleRow

LATELY: Final = timedelta(days=30)
NO_ID: Final = "No rule is active, so that there is no id to compare."


def findings(rows: Sequence[RuleRow], now: datetime) -> Iterator[Finding]:
    yield _active(rows)
    running = [row for row in rows if row.rule.is_active and not row.rule.is_paused]
    yield from _refused(rows)
    yield from _confirmed(running)
    if not running and not any(row.rule.is_paused for row in rows):
        yield Finding(Check.PAUSED, Level.UNKNOWN, NO_ID, "Switch a rule on in step 2, or add one.", step(2))
    if running:
        yield from _seen(running, now)


def _active(rows: Sequence[RuleRow]) -> Finding:
    off = [row.rule for row in rows if not row.rule.is_active]
    if not rows:
        return Finding(Check.ACTIVE, Level.AMBER, "There is no rule yet.", "Add one in step 2.", step(2))
    if off:
        level = Level.AMBER if len(off) < len(rows) else Level.RED
        sentence = f"Switched off: {listed(rule.name for rule in off)}."
        mend = "Switch a rule on in step 2 to send the events that follow."
        return Finding(Check.ACTIVE, level, sentence, mend, step(2))
    return Finding(Check.ACTIVE, Level.GREEN, "Every rule is switched on.", link=step(2))


def _refused(rows: Sequence[RuleRow]) -> Iterator[Finding]:
    by_reason: defaultdict[str, list[ConversionRule]] = defaultdict(list)
    for row in rows:
        if row.rule.is_paused:
            by_reason[row.rule.paused_reason].append(row.rule)
    for reason, rules in by_reason.items():
        words = explain_pause(reason)
        sentence = f"{with_ids(rules)}: {words.what}"
        yield Finding(Check.PAUSED, Level.RED, sentence, words.next_step, step(2), words.topic)


def _confirmed(running: Sequence[RuleRow]) -> Iterator[Finding]:
    """Whether LinkedIn knows the ids: only what it accepted or listed is proof."""
    taken, others = _parted(running, lambda row: row.is_proven)
    known, untold = _parted(others, lambda row: row.rule.linkedin_read_at is not None)
    if taken:
        sentence = f"LinkedIn accepts events of {listed(row.rule.name for row in taken)}."
        yield Finding(Check.PAUSED, Level.GREEN, sentence, link=step(2))
    if known:
        yield Finding(Check.PAUSED, Level.GREEN, f"LinkedIn listed {listed(map(_read, known))}.", link=step(2))
    if untold:
        sentence = f"LinkedIn has not confirmed {with_ids(row.rule for row in untold)}."
        mend = "Press play in step 3: LinkedIn's answer tells whether the id is that of a rule in Campaign Manager."
        yield Finding(Check.PAUSED, Level.UNKNOWN, sentence, mend, step(3))


def _seen(running: Sequence[RuleRow], now: datetime) -> Iterator[Finding]:
    sent, others = _parted(running, lambda row: _sent_lately(row, now))
    tested, silent = _parted(others, lambda row: row.is_proven and not row.has_sent)
    if sent:
        yield Finding(Check.SEEN, Level.GREEN, f"{listed(map(_last, sent))}.", link=step(2))
    if tested:
        sentence = f"Tested, with no event so far: {listed(row.rule.name for row in tested)}."
        yield Finding(Check.SEEN, Level.GREEN, sentence, link=step(3))
    if silent:
        sentence = f"Nothing was sent in the last {LATELY.days} days: {listed(row.rule.name for row in silent)}."
        mend = "Press play in step 3 to see whether it works. If it does, look at whether the CRM event still happens."
        yield Finding(Check.SEEN, Level.AMBER, sentence, mend, step(3))


def _sent_lately(row: RuleRow, now: datetime) -> bool:
    if row.last_sent_at is not None:
        return now - row.last_sent_at < LATELY
    return row.last_sent_on is not None and timezone.localdate(now) - row.last_sent_on < LATELY


def _parted(rows: Sequence[RuleRow], is_so: Callable[[RuleRow], bool]) -> tuple[list[RuleRow], list[RuleRow]]:
    return [row for row in rows if is_so(row)], [row for row in rows if not is_so(row)]


def _read(row: RuleRow) -> str:
    assert row.rule.linkedin_read_at is not None
    return f"{row.rule.name} on {moment(row.rule.linkedin_read_at)}"


def _last(row: RuleRow) -> str:
    if row.last_sent_at is not None:
        return f"{row.rule.name} on {moment(row.last_sent_at)}"
    assert row.last_sent_on is not None
    return f"{row.rule.name} on {dateformat.format(row.last_sent_on, 'j M')}"
