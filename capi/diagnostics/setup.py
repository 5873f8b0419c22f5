"""What a person sets up: the ad account, the access token, leads with addresses."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Final

from django.db.models import Count, Q
from django.urls import reverse

from capi.diagnostics.findings import Check, Finding, Level, moment, step
from capi.models import Connection
from capi.models.choices import Reason
from capi.models.token import UnreadableToken, unseal
from capi.selectors.deadlines import end_of_token
from capi.selectors.explanations.explain import explain_pause, hold_of_connection
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.explanations.states import Explanation
from capi.selectors.rules import RuleRow
from crm.models import Company, Lead

# --- The ad account: is it known, and has LinkedIn answered for it since the token was saved?

NOT_GIVEN = "No ad account id was entered, so that the rules can't be looked up at LinkedIn."


def account_findings(connection: Connection | None, rows: Sequence[RuleRow]) -> Iterator[Finding]:
    active = [row.rule for row in rows if row.rule.is_active]
    if active and all(rule.is_paused and rule.paused_reason == Reason.RULE_FORBIDDEN for rule in active):
        words = REASONS[Reason.RULE_FORBIDDEN]
        sentence = f"No rule answers to the token. {words.what}"
        yield Finding(Check.ACCOUNT, Level.RED, sentence, words.next_step, step(1), words.topic)
    elif connection is None or not connection.ad_account_id:
        yield Finding(
            Check.ACCOUNT,
            Level.AMBER,
            NOT_GIVEN,
            "Press “Import from LinkedIn” in step 2, and enter it there.",
            step(2),
        )
    else:
        yield _connected(connection, rows)


def _connected(connection: Connection, rows: Sequence[RuleRow]) -> Finding:
    """Whether it still is: LinkedIn's last answer with the present token tells, and nothing of before."""
    name, hold = f"It is {connection.ad_account_id}", hold_of_connection(connection)
    if hold is not None:
        sentence = f"{name}; whether it is still connected can't be told while nothing is sent."
        return Finding(Check.ACCOUNT, Level.UNKNOWN, sentence, hold.next_step, step(1), hold.topic)
    answered_at = _last_answer(connection, rows)
    if answered_at is None:
        sentence = f"{name}; LinkedIn has not answered for it since the token was saved."
        return Finding(Check.ACCOUNT, Level.UNKNOWN, sentence, "Press play in step 3, or “Check everything”.", step(3))
    sentence = f"{name}, and LinkedIn last answered for it on {moment(answered_at)}."
    return Finding(Check.ACCOUNT, Level.GREEN, sentence, link=step(1))


def _last_answer(connection: Connection, rows: Sequence[RuleRow]) -> datetime | None:
    """When LinkedIn last took something of the rules, or listed one of them."""
    saved_at = connection.token_saved_at
    told = (at for row in rows for at in (row.last_taken_at, row.rule.linkedin_read_at) if at is not None)
    return max((at for at in told if saved_at is None or at >= saved_at), default=None)


# --- The access token: is there one, does it open, does LinkedIn take it, and for how long?

NO_DATE = "No expiry date was entered with the token. One from Campaign Manager does not expire."


def token_findings(connection: Connection | None, rows: Sequence[RuleRow], today: date) -> Iterator[Finding]:
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
        return bool(unseal(company_id=connection.company_id, sealed=connection.sealed_token))
    except UnreadableToken:
        return False


def _expiry(connection: Connection, today: date) -> Finding:
    end = end_of_token(connection.token_expires_on, today)
    if end is None:
        return Finding(Check.EXPIRY, Level.GREEN, NO_DATE, link=step(1))
    if not end.is_near:
        return Finding(Check.EXPIRY, Level.GREEN, end.words.what, link=step(1))
    level = Level.RED if end.words.tone == "bad" else Level.AMBER
    return Finding(Check.EXPIRY, level, end.words.what, end.words.next_step, step(1), end.words.topic)


def _of(words: Explanation, level: Level = Level.RED) -> Finding:
    return Finding(Check.TOKEN, level, words.what, words.next_step, step(1), words.topic)


# --- The leads: an event about somebody without an e-mail address can't be sent.

NEWEST: Final = 10_000  # older ones say little about what comes in
ENOUGH_PERCENT: Final = 70


def lead_findings(company: Company) -> Iterator[Finding]:
    newest = Lead.objects.for_company(company).not_erased().order_by("-pk")[:NEWEST]
    counts = newest.aggregate(all=Count("pk"), reachable=Count("pk", filter=~Q(email="")))
    link = reverse("leads")
    if not counts["all"]:
        mend = "Add the first one: without leads nothing happens that could be sent."
        yield Finding(Check.LEADS, Level.UNKNOWN, "There are no leads yet.", mend, link)
        return
    percent = 100 * counts["reachable"] // counts["all"]
    sentence = f"{percent} % of the newest {counts['all']:,} have one."
    if percent >= ENOUGH_PERCENT:
        yield Finding(Check.LEADS, Level.GREEN, sentence, link=link)
    else:
        mend = "Ask for the address where leads come in: events about the others wait for one, for 90 days at most."
        yield Finding(Check.LEADS, Level.AMBER, sentence, mend, link)
