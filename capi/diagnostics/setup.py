"""Checks of the setup: the ad account, the access token, leads with e-mail addresses."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from django.db.models import Count, Q
from django.urls import reverse

from capi.diagnostics.findings import Check, Finding, Level, moment, step
from capi.models import Connection
from capi.models.choices import Reason
from capi.models.token import UnreadableToken, unseal
from capi.selectors.connection import last_confirmed
from capi.selectors.deadlines import end_of_token
from capi.selectors.explanations.explain import explain_pause, hold_of_connection
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.explanations.states import Explanation
from capi.selectors.rules import RuleRow
from capi.selectors.trouble import are_all_forbidden
from crm.models import Company, Lead

# The ad account: is it known, and has LinkedIn confirmed it since the token was saved?

NO_DATE = "No expiry date was entered. Tokens from Campaign Manager don't expire."
NOT_GIVEN = "There is no ad account id, so LinkedIn's rules can't be read."


def account_findings(
    connection: Connection | None, rows: Sequence[RuleRow]
) -> Iterator[Finding]:
    if are_all_forbidden(rows):
        words = REASONS[Reason.RULE_FORBIDDEN]
        sentence = f"The token can't use any active rule. {words.what}"
        yield Finding(
            Check.ACCOUNT,
            Level.RED,
            sentence,
            words.next_step,
            step(1),
            words.topic,
            words.ask_admin,
        )
    elif connection is None or not (connection.ad_account_id or connection.has_token):
        fix, ask_admin = (
            "Enter it in step 1, with the access token.",
            "Ask an admin to enter it with the access token.",
        )
        yield Finding(
            Check.ACCOUNT, Level.AMBER, NOT_GIVEN, fix, step(1), ask_admin=ask_admin
        )
    elif not connection.ad_account_id:
        fix = "Press “Import from LinkedIn” in step 2 and enter it there."
        yield Finding(
            Check.ACCOUNT,
            Level.AMBER,
            NOT_GIVEN,
            fix,
            step(2),
            ask_admin="Ask an admin to enter it.",
        )
    else:
        yield _connected(connection, rows)


def _connected(connection: Connection, rows: Sequence[RuleRow]) -> Finding:
    """Whether LinkedIn has confirmed the account: only its responses to the current token count."""
    name, hold = f"Account {connection.ad_account_id}", hold_of_connection(connection)
    if hold is not None:
        sentence = f"{name}. It can't be checked while nothing is sent."
        return Finding(
            Check.ACCOUNT,
            Level.UNKNOWN,
            sentence,
            hold.next_step,
            step(1),
            hold.topic,
            hold.ask_admin,
        )
    confirmed_at = last_confirmed(connection, rows)
    if confirmed_at is None:
        sentence = f"{name}. LinkedIn has not confirmed it since the token was saved."
        return Finding(
            Check.ACCOUNT,
            Level.UNKNOWN,
            sentence,
            "Press play in step 2, or “Check everything”.",
            step(2),
        )
    sentence = f"{name}, last confirmed by LinkedIn on {moment(confirmed_at)}."
    return Finding(Check.ACCOUNT, Level.GREEN, sentence, link=step(1))


# The access token: is there one, is it readable, does LinkedIn accept it, and until when?


def token_findings(
    connection: Connection | None, rows: Sequence[RuleRow], today: date
) -> Iterator[Finding]:
    if connection is None or not connection.has_token:
        # Nothing is broken before setup has begun.
        has_begun = any(row.rule.is_active for row in rows)
        yield _token_finding(
            REASONS[Reason.NO_TOKEN], Level.RED if has_begun else Level.AMBER
        )
        return
    yield _token(connection)
    yield _expiry(connection, today)


def _token(connection: Connection) -> Finding:
    if not _is_readable(connection):
        return _token_finding(REASONS[Reason.TOKEN_UNREADABLE])
    # Pauses that have a check of their own.
    if connection.is_paused and connection.paused_reason not in (
        Reason.VERSION_RETIRED,
        Reason.ALL_PAUSED,
    ):
        return _token_finding(explain_pause(connection.paused_reason))
    sentence = f"Saved and readable, fingerprint {connection.token_fingerprint}."
    return Finding(Check.TOKEN, Level.GREEN, sentence, link=step(1))


def _is_readable(connection: Connection) -> bool:
    try:
        return bool(
            unseal(company_id=connection.company_id, sealed=connection.sealed_token)
        )
    except UnreadableToken:
        return False


def _expiry(connection: Connection, today: date) -> Finding:
    end = end_of_token(connection.token_expires_on, today)
    if end is None:
        return Finding(Check.EXPIRY, Level.GREEN, NO_DATE, link=step(1))
    if not end.is_near:
        return Finding(Check.EXPIRY, Level.GREEN, end.words.what, link=step(1))
    words = end.words
    level = Level.RED if words.tone == "bad" else Level.AMBER
    return Finding(
        Check.EXPIRY,
        level,
        words.what,
        words.next_step,
        step(1),
        words.topic,
        words.ask_admin,
    )


def _token_finding(words: Explanation, level: Level = Level.RED) -> Finding:
    return Finding(
        Check.TOKEN,
        level,
        words.what,
        words.next_step,
        step(1),
        words.topic,
        words.ask_admin,
    )


# The leads: events of a lead without an e-mail address can't be sent.

NEWEST: Final = 10_000  # older ones say little about incoming leads


def lead_findings(company: Company) -> Iterator[Finding]:
    newest = Lead.objects.for_company(company).current().order_by("-pk")[:NEWEST]
    counts = newest.aggregate(
        all=Count("pk"), reachable=Count("pk", filter=~Q(email=""))
    )
    link = reverse("leads")
    if not counts["all"]:
        fix = "Add the first one: without leads there is nothing to send."
        ask_admin = "Ask an admin, or someone in sales, to add the first one."
        yield Finding(
            Check.LEADS,
            Level.UNKNOWN,
            "There are no leads yet.",
            fix,
            link,
            ask_admin=ask_admin,
        )
        return
    percent = 100 * counts["reachable"] // counts["all"]
    sentence = f"{percent}% of the newest {counts['all']:,} have one."
    if percent >= 70:
        yield Finding(Check.LEADS, Level.GREEN, sentence, link=link)
    else:
        fix = "Ask for it where leads come in: events without one wait for 90 days at most."
        yield Finding(Check.LEADS, Level.AMBER, sentence, fix, link)
