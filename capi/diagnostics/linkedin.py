"""Checks against LinkedIn: the rules of the ad account, the clock, and the API version."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from django.conf import settings

from capi.delivery.linkedin_rules import fetch_rules
from capi.diagnostics.findings import Check, Finding, Level, help_on, step, with_ids
from capi.linkedin.rules import LinkedInRule, ReadStatus, RulesRead
from capi.models import Connection, ConversionRule
from capi.models.choices import Reason
from capi.models.functions import database_now
from capi.models.token import UnreadableToken
from capi.selectors.deadlines import end_of_version
from capi.selectors.explanations.connection import about_old_version
from capi.selectors.explanations.reasons import READINGS, REASONS

ASK_SECONDS: Final = 5.0  # a person is waiting
CLOSE, FAR = timedelta(seconds=15), timedelta(minutes=5)  # the header has whole seconds, and the response takes time
REFUSALS: Final = (ReadStatus.TOKEN_REFUSED, ReadStatus.VERSION_RETIRED)
NOT_ASKED: Final = "Not checked: this needs a readable access token and the ad account id."
NO_CLOCK: Final = "LinkedIn sent no time to compare with."
COMPARED_LATER: Final = "No action needed: it is compared at the next check-up that LinkedIn answers."


def ask_for_rules(connection: Connection | None) -> RulesRead | None:
    """Reads the rules within ASK_SECONDS. Returns None without a readable token or the account id."""
    if connection is None or not (connection.has_token and connection.ad_account_id):
        return None
    try:
        return fetch_rules(connection, seconds=ASK_SECONDS)
    except UnreadableToken:
        return None


def rules_findings(read: RulesRead | None, rules: Sequence[ConversionRule]) -> Iterator[Finding]:
    """The findings about the response. Without one, they are "unknown", not an error. `rules` are the active ones."""
    if read is None:
        fix, ask_admin = "Enter both in step 1.", "Ask an admin to enter both."
        yield Finding(Check.AT_LINKEDIN, Level.UNKNOWN, NOT_ASKED, fix, step(1), ask_admin=ask_admin)
        yield _clock({}, database_now())
        return
    yield _clock(read.headers, database_now())
    if read.outcome == ReadStatus.FOUND:
        yield from _compare(read, rules)
    else:
        words = READINGS[read.outcome]
        level = Level.RED if read.outcome in REFUSALS else Level.UNKNOWN
        yield Finding(Check.AT_LINKEDIN, level, words.what, words.next_step, step(1), words.topic, words.ask_admin)


def _compare(read: RulesRead, rules: Sequence[ConversionRule]) -> Iterator[Finding]:
    listed = {rule.id: rule for rule in read.rules}
    known = [(rule, listed[rule.linkedin_id]) for rule in rules if rule.linkedin_id in listed]
    missing = [rule for rule in rules if rule.linkedin_id not in listed] if read.is_whole else []
    off = [rule for rule, other in known if not other.enabled]
    wrong = [rule for rule, other in known if other.enabled and _has_wrong_method(other)]
    if off:
        fix = "Enable it in Campaign Manager. If the rule is paused here, resume it."
        ask_admin = "Ask an admin to enable it in Campaign Manager and, if the rule is paused here, to resume it."
        yield _about(off, Level.RED, "Switched off in Campaign Manager", fix, ask_admin)
    if wrong:
        fix = "In Campaign Manager, create a conversion with the source “Conversions API (direct)”, and use its id."
        ask_admin = (
            "Ask an admin to create a conversion in Campaign Manager with the source “Conversions API (direct)”, and "
            "to use its id."
        )
        yield _about(wrong, Level.RED, "Not set up for the Conversions API", fix, ask_admin)
    if missing:
        fix = "Compare the rule ids and the ad account with Campaign Manager."
        ask_admin = "Ask an admin to compare the rule ids and the ad account with Campaign Manager."
        yield _about(missing, Level.AMBER, "Not among the ad account's rules", fix, ask_admin)
    if not (off or wrong or missing):
        sentence = f"LinkedIn lists {len(read.rules):,} rules. All active ones are enabled and accept our events."
        yield Finding(Check.AT_LINKEDIN, Level.GREEN, sentence, link=step(2))


def _has_wrong_method(rule: LinkedInRule) -> bool:
    return bool(rule.method) and not rule.takes_events


def _about(rules: Sequence[ConversionRule], level: Level, what: str, fix: str, ask_admin: str) -> Finding:
    return Finding(Check.AT_LINKEDIN, level, f"{what}: {with_ids(rules)}.", fix, step(2), ask_admin=ask_admin)


def _clock(headers: Mapping[str, str], now: datetime) -> Finding:
    linkedin_time, link = _date(headers.get("date", "")), help_on("what-if-the-clock-is-wrong")
    if linkedin_time is None:
        return Finding(Check.CLOCK, Level.UNKNOWN, NO_CLOCK, COMPARED_LATER, link)
    difference = abs(now - linkedin_time)
    if difference < CLOSE:
        return Finding(Check.CLOCK, Level.GREEN, "The database's clock agrees with LinkedIn's.", link=link)
    level = Level.RED if difference >= FAR else Level.AMBER
    side = "ahead of" if now > linkedin_time else "behind"
    sentence = f"The database's clock is {difference.total_seconds():,.0f} seconds {side} LinkedIn's."
    fix = "Ask the operator of LeadMachine to correct it: LinkedIn rejects events from the future."
    return Finding(Check.CLOCK, level, sentence, fix, link)


def _date(header: str) -> datetime | None:
    """The time in a `Date` header (RFC 9110), or None if it is invalid."""
    try:
        moment = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


# The version of LinkedIn's API that this installation uses.

RETIRED = REASONS[Reason.VERSION_RETIRED]


def version_findings(connection: Connection | None, today: date) -> Iterator[Finding]:
    version = settings.LINKEDIN_API_VERSION
    end = end_of_version(version, today)
    if connection is not None and connection.is_paused and connection.paused_reason == Reason.VERSION_RETIRED:
        yield _finding(Level.RED, RETIRED.what, RETIRED.next_step, RETIRED.topic)
    elif end is not None and end.is_near:
        level = Level.RED if end.words.tone == "bad" else Level.AMBER
        yield _finding(level, end.words.what, end.words.next_step, end.words.topic)
    elif end is not None:
        yield _finding(Level.GREEN, end.words.what)
    else:
        old = about_old_version(version)
        yield _finding(Level.RED, old.what, old.next_step, old.topic)


def _finding(level: Level, sentence: str, fix: str = "", topic: str = "") -> Finding:
    return Finding(Check.VERSION, level, sentence, fix, step(1), topic)
