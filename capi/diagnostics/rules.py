"""Checks of the rules: is one active, does LinkedIn know its id, and has each sent something recently?

Rules with the same problem share a finding, so that the list stays readable with a thousand rules.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.utils import dateformat, timezone

from capi.diagnostics.findings import (
    Check,
    Finding,
    Level,
    listed,
    moment,
    step,
    with_ids,
)
from capi.models import ConversionRule
from capi.selectors.explanations.explain import explain_pause
from capi.selectors.rules import RuleRow

RECENT: Final = timedelta(days=30)
NO_ID: Final = "No rule is active, so there is no id to check."


def findings(rows: Sequence[RuleRow], now: datetime) -> Iterator[Finding]:
    yield _active(rows)
    running = [row for row in rows if row.rule.is_active and not row.rule.is_paused]
    yield from _refused(rows)
    yield from _confirmed(running)
    if not running and not any(row.rule.is_paused for row in rows):
        fix, ask_admin = (
            "Switch a rule on in step 2, or add one.",
            "Ask an admin to switch a rule on, or to add one.",
        )
        yield Finding(
            Check.PAUSED, Level.UNKNOWN, NO_ID, fix, step(2), ask_admin=ask_admin
        )
    if running:
        yield from _sent(running, now)


def _active(rows: Sequence[RuleRow]) -> Finding:
    off = [row.rule for row in rows if not row.rule.is_active]
    if not rows:
        ask_admin, sentence = "Ask an admin to add one.", "There are no rules yet."
        return Finding(
            Check.ACTIVE,
            Level.AMBER,
            sentence,
            "Add one in step 2.",
            step(2),
            ask_admin=ask_admin,
        )
    if len(off) == len(rows):
        fix = "Switch a rule on in step 2 to send future events."
        sentence = f"Switched off: {listed(str(rule) for rule in off)}."
        ask_admin = "Ask an admin to switch a rule on for future events."
        return Finding(
            Check.ACTIVE, Level.RED, sentence, fix, step(2), ask_admin=ask_admin
        )
    if off:
        sentence = f"{len(rows) - len(off):,} of {len(rows):,} on. Off: {listed(str(rule) for rule in off)}."
        return Finding(Check.ACTIVE, Level.GREEN, sentence, link=step(2))
    return Finding(
        Check.ACTIVE, Level.GREEN, "Every rule is switched on.", link=step(2)
    )


def _refused(rows: Sequence[RuleRow]) -> Iterator[Finding]:
    by_reason: defaultdict[str, list[ConversionRule]] = defaultdict(list)
    for row in rows:
        if row.rule.is_paused:
            by_reason[row.rule.paused_reason].append(row.rule)
    for reason, rules in by_reason.items():
        words = explain_pause(reason)
        sentence = f"{with_ids(rules)}: {words.what}"
        yield Finding(
            Check.PAUSED,
            Level.RED,
            sentence,
            words.next_step,
            step(2),
            words.topic,
            words.ask_admin,
        )


def _confirmed(running: Sequence[RuleRow]) -> Iterator[Finding]:
    """Whether LinkedIn knows the ids. Only an accepted event or a listing is proof."""
    proven, others = _split(running, lambda row: row.is_proven)
    known, unconfirmed = _split(
        others, lambda row: row.rule.linkedin_read_at is not None
    )
    if proven:
        sentence = (
            f"LinkedIn accepts events of {listed(str(row.rule) for row in proven)}."
        )
        yield Finding(Check.PAUSED, Level.GREEN, sentence, link=step(2))
    if known:
        yield Finding(
            Check.PAUSED,
            Level.GREEN,
            f"LinkedIn listed {listed(map(_listed_on, known))}.",
            link=step(2),
        )
    if unconfirmed:
        sentence = (
            f"LinkedIn has not confirmed {with_ids(row.rule for row in unconfirmed)}."
        )
        fix = "Press play in step 2: LinkedIn's answer shows whether the id exists."
        yield Finding(Check.PAUSED, Level.UNKNOWN, sentence, fix, step(2))


def _sent(running: Sequence[RuleRow], now: datetime) -> Iterator[Finding]:
    sent, others = _split(running, lambda row: _sent_recently(row, now))
    tested, silent = _split(others, lambda row: row.is_proven and not row.has_sent)
    if sent:
        yield Finding(
            Check.SEEN, Level.GREEN, f"{listed(map(_sent_on, sent))}.", link=step(2)
        )
    if tested:
        sentence = f"Tested, no event yet: {listed(str(row.rule) for row in tested)}."
        yield Finding(Check.SEEN, Level.GREEN, sentence, link=step(2))
    if silent:
        sentence = f"Nothing sent in the last {RECENT.days} days: {listed(str(row.rule) for row in silent)}."
        fix = "Press play in step 2 to test it. If it works, check that the CRM event still happens."
        yield Finding(Check.SEEN, Level.AMBER, sentence, fix, step(2))


def _sent_recently(row: RuleRow, now: datetime) -> bool:
    if row.last_sent_at is not None:
        return now - row.last_sent_at < RECENT
    return (
        row.last_sent_on is not None
        and timezone.localdate(now) - row.last_sent_on < RECENT
    )


def _split(
    rows: Sequence[RuleRow], condition: Callable[[RuleRow], bool]
) -> tuple[list[RuleRow], list[RuleRow]]:
    return [row for row in rows if condition(row)], [
        row for row in rows if not condition(row)
    ]


def _listed_on(row: RuleRow) -> str:
    assert row.rule.linkedin_read_at is not None
    return f"{row.rule} on {moment(row.rule.linkedin_read_at)}"


def _sent_on(row: RuleRow) -> str:
    if row.last_sent_at is not None:
        return f"{row.rule} on {moment(row.last_sent_at)}"
    assert row.last_sent_on is not None
    return f"{row.rule} on {dateformat.format(row.last_sent_on, 'j M')}"
