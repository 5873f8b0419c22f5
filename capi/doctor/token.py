"""The access token: is there one, does it open, does LinkedIn take it, and for how long?"""

from collections.abc import Iterator, Sequence
from datetime import date

from capi import vault
from capi.deadlines import end_of_token
from capi.doctor.findings import Check, Finding, Level, step
from capi.models import Connection
from capi.reads.rules import RuleRow
from capi.reasons import Reason
from capi.words import REASONS, Words, explain_pause

NO_DATE = "No expiry date was entered with the token. One from Campaign Manager does not expire."


def findings(connection: Connection | None, rows: Sequence[RuleRow], today: date) -> Iterator[Finding]:
    if connection is None or not connection.has_token:
        # Nothing is broken where nobody has begun.
        has_begun = any(row.rule.is_active for row in rows)
        yield _of(REASONS[Reason.NO_TOKEN], Level.RED if has_begun else Level.AMBER)
        return
    yield _saved(connection)
    yield _expiry(connection, today)


def _saved(connection: Connection) -> Finding:
    if not _opens(connection):
        return _of(REASONS[Reason.TOKEN_UNREADABLE])
    if connection.is_paused and connection.paused_reason != Reason.VERSION_RETIRED:
        return _of(explain_pause(connection.paused_reason))
    sentence = f"It is saved and readable, and ends in {connection.token_last_four}."
    return Finding(Check.TOKEN, Level.GREEN, sentence, link=step(1))


def _opens(connection: Connection) -> bool:
    try:
        return bool(vault.unseal(company_id=connection.company_id, sealed=connection.sealed_token))
    except vault.UnreadableToken:
        return False


def _expiry(connection: Connection, today: date) -> Finding:
    end = end_of_token(connection.token_expires_on, today)
    if end is None:
        return Finding(Check.EXPIRY, Level.GREEN, NO_DATE, link=step(1))
    if not end.is_near:
        return Finding(Check.EXPIRY, Level.GREEN, end.words.what, link=step(1))
    level = Level.RED if end.words.tone == "bad" else Level.AMBER
    return Finding(Check.EXPIRY, level, end.words.what, end.words.next_step, step(1), end.words.topic)


def _of(words: Words, level: Level = Level.RED) -> Finding:
    return Finding(Check.TOKEN, level, words.what, words.next_step, step(1), words.topic)
