"""The privacy log: what a restored backup must not bring back, as log lines with numbers only.

    Privacy log: 2 opted-out leads of company 7 at 2026-11-27T17:30:00.123456+00:00: 42=2026-11-20T09:00:00.654+00:00, …

Each row has its number and the time when it was made: after a restore, a later row may get the same number. The lines
outlive the database (docs/operating.md, "Backups"), and `manage.py repeat_privacy_changes` repeats what they say.

A line that ends something is written just before its COMMIT: there is no such change without its line, and almost no
line without its change. A line that allows something again is written after it, and may be lost: what it is about then
stays ended. The time is the database's, with the rows still locked, so the last change of a row has the last time.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from django.db import connections

from postgresql.commits import BeforeCommit, registered

logger = logging.getLogger(__name__)

# journald and Docker cut a line of 48 or 16 KB in two, and journald drops lines if there are more than 10,000 in 30 s.
ROWS_PER_LINE: Final = 250


class PrivacyChange(StrEnum):
    """What happened to rows, in the words of the log."""

    ERASED = "erased leads"
    DELETED_LEADS = "deleted leads"
    DELETED_DEALS = "deleted deals"
    OPTED_OUT = "opted-out leads"
    OPTED_IN = "opted-in leads"
    TAKEN_BACK = "taken-back CRM events"
    CANCELLED = "cancelled conversion events"
    RETRIED = "retried conversion events"
    CANCELLED_BACKFILLS = "cancelled backfills"


# What each of these allows again. It is not repeated itself: a restored backup never sends more because of the log.
ALLOWS_AGAIN: Final = {
    PrivacyChange.OPTED_IN: PrivacyChange.OPTED_OUT,
    PrivacyChange.RETRIED: PrivacyChange.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A row that was changed, and what was changed of it, by the change that ends it."""

    ends: PrivacyChange
    company_id: int
    pk: int
    made_at: datetime  # see `made_at`


def made_at(moment: datetime) -> datetime:
    """When a row was made, in whole milliseconds: a fixture has no more of it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def log_privacy_change(
    change: PrivacyChange,
    *,
    company_id: int,
    rows: Iterable[tuple[int, datetime]],
    using: str = "default",
) -> None:
    """Write lines about these rows, each a key and when it was made, with the commit of the current transaction."""
    ends = ALLOWS_AGAIN.get(change, change)
    changes = {
        Subject(ends, company_id, pk, made_at(moment)): change for pk, moment in rows
    }
    if not changes:
        return
    hooks = [
        (dropped_with, hook)
        for dropped_with, hook in registered(connections[using])
        if isinstance(hook, _Lines)
    ]
    # Only to the last one, so that the changes stay in order, and only if it is dropped with the same savepoints.
    if hooks and hooks[-1][0] == set(connections[using].savepoint_ids):
        hooks[-1][1].changes |= changes
    else:
        _Lines(using, changes).register(using=using)


@dataclass(eq=False, slots=True)
class _Lines(BeforeCommit):
    """The changes of a transaction, or of one of its savepoints. The last one of a row counts."""

    using: str
    changes: dict[Subject, PrivacyChange]
    later: list[str] = field(default_factory=list)

    def before_commit(self) -> None:
        """Write the lines of all that end something, in as few lines as possible."""
        all_changes: dict[Subject, PrivacyChange] = {}
        for _, hook in registered(connections[self.using]):
            if isinstance(hook, _Lines):
                all_changes |= hook.changes
                hook.changes = {}
        self._write(all_changes)

    def after_commit(self) -> None:
        """Write the other lines, and all on a database without `before_commit`."""
        self._write(self.changes)
        for line in self.later:
            logger.info("%s", line)

    def _write(self, changes: dict[Subject, PrivacyChange]) -> None:
        if not changes:
            return
        moment = _now(self.using)
        for change, line in lines(changes, moment):
            if change in ALLOWS_AGAIN:
                self.later.append(line)
            else:
                logger.info("%s", line)


def lines(
    changes: dict[Subject, PrivacyChange], moment: datetime
) -> Iterator[tuple[PrivacyChange, str]]:
    """The lines about these changes at that moment, each with its change."""
    groups: defaultdict[tuple[PrivacyChange, int], list[str]] = defaultdict(list)
    for subject, change in changes.items():
        if (
            change == PrivacyChange.OPTED_OUT
            and replace(subject, ends=PrivacyChange.ERASED) in changes
        ):
            continue  # an erasure opts the person out, too
        groups[change, subject.company_id].append(
            f"{subject.pk}={subject.made_at.isoformat(timespec='milliseconds')}"
        )
    for (change, company_id), rows in groups.items():
        for start in range(0, len(rows), ROWS_PER_LINE):
            part = rows[start : start + ROWS_PER_LINE]
            at = f"of company {company_id} at {moment.isoformat()}"
            yield change, f"Privacy log: {len(part)} {change} {at}: {', '.join(part)}"


def _now(using: str) -> datetime:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
        return now  # type: ignore[no-any-return]


# Reading

# The first level and logger of a line: what follows may be anything, such as an address that someone requested. A line
# is text or JSON, whose quotation marks are escaped if a container runtime puts it into JSON of its own.
_LEVEL: Final = "(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)"
_QUOTE: Final = r"\\*+\""
_NEXT: Final = rf"{_QUOTE},\s*{_QUOTE}"
_IS: Final = rf"{_QUOTE}:\s*{_QUOTE}"
ORIGIN: Final = re.compile(
    rf"\b{_LEVEL} (?P<in_text>[\w.]+): "
    rf"|{_QUOTE}level{_IS}{_LEVEL}{_NEXT}logger{_IS}(?P<in_json>[\w.]+){_NEXT}message{_IS}"
)
TIME: Final = r"\d{4}-\d\d-\d\dT[\d:.]{8,15}[+-]\d\d:\d\d"
LINE: Final = re.compile(
    rf"Privacy log: (\d+) ({'|'.join(PrivacyChange)}) of company (\d{{1,18}}) at ({TIME}): (.*)",
    re.DOTALL,
)
ROW: Final = re.compile(rf"\b(\d{{1,18}})=({TIME})")


class CutOff(Exception):
    """A line of the privacy log is not complete. The message has its beginning."""


def read(text: Iterable[str]) -> dict[Subject, PrivacyChange]:
    """The last change of each subject in these lines of any log, in any order. Raises CutOff."""
    last: dict[Subject, tuple[datetime, PrivacyChange]] = {}
    for line in text:
        for subject, when in _entries(line):
            last[subject] = max(last.get(subject, when), when)
    return {subject: change for subject, (_, change) in last.items()}


def _entries(line: str) -> Iterator[tuple[Subject, tuple[datetime, PrivacyChange]]]:
    origin = ORIGIN.search(line)
    if origin is None or logger.name not in origin.groups():
        return
    found = LINE.match(line, origin.end())
    rows = ROW.findall(found[5]) if found else []
    if found is None or len(rows) != int(found[1]):
        raise CutOff(line[origin.end() :][:120])
    change, company_id, moment = (
        PrivacyChange(found[2]),
        int(found[3]),
        datetime.fromisoformat(found[4]),
    )
    for pk, time in rows:
        subject = Subject(
            ALLOWS_AGAIN.get(change, change),
            company_id,
            int(pk),
            datetime.fromisoformat(time),
        )
        yield subject, (moment, change)
