"""Checks against LinkedIn: the rules of the ad account, the clock, and the API version."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
NOT_ASKED: Final = (
    "Not checked: this needs a readable access token and the ad account id."
)
NO_CLOCK: Final = "LinkedIn sent no time to compare with."


def ask_for_rules(connection: Connection | None) -> RulesRead | None:
    """Reads the rules within ASK_SECONDS. Returns None without a readable token or the account id."""
    if connection is None or not (connection.has_token and connection.ad_account_id):
        return None
    try:
        return fetch_rules(connection, seconds=ASK_SECONDS)
    except UnreadableToken:
        return None


def rules_findings(
    read: RulesRead | None, rules: Sequence[ConversionRule]
) -> Iterator[Finding]:
    """The findings about the response. Without one, they are "unknown", not an error. `rules` are the active ones."""
    if read is None:
        fix, ask_admin = "Enter both in step 1.", "Ask an admin to enter both."
        yield Finding(
            Check.AT_LINKEDIN,
            Level.UNKNOWN,
            NOT_ASKED,
            fix,
            step(1),
            ask_admin=ask_admin,
        )
        yield _clock({}, database_now())
        return
    yield _clock(read.headers, database_now())
    if read.outcome == ReadStatus.FOUND:
        yield from _compare(read, rules)
    else:
        words = READINGS[read.outcome]
        is_refusal = read.outcome in (
            ReadStatus.TOKEN_REFUSED,
            ReadStatus.VERSION_RETIRED,
        )
        level = Level.RED if is_refusal else Level.UNKNOWN
        yield Finding(
            Check.AT_LINKEDIN,
            level,
            words.what,
            words.next_step,
            step(1),
            words.topic,
            words.ask_admin,
        )


@dataclass(frozen=True, slots=True)
class _Problem:
    """What can be wrong with a rule at LinkedIn."""

    level: Level
    what: str
    fix: str
    ask_admin: str


_OFF: Final = _Problem(
    Level.RED,
    "Switched off in Campaign Manager",
    "Enable it in Campaign Manager. If the rule is paused here, resume it.",
    "Ask an admin to enable it in Campaign Manager and, if the rule is paused here, to resume it.",
)
_WRONG_METHOD: Final = _Problem(
    Level.RED,
    "Not set up for the Conversions API",
    "In Campaign Manager, create a conversion with the source “Conversions API (direct)”, and use its id.",
    "Ask an admin to create a conversion in Campaign Manager with the source “Conversions API (direct)”, and to use "
    "its id.",
)
_MISSING: Final = _Problem(
    Level.AMBER,
    "Not among the ad account's rules",
    "Compare the rule ids and the ad account with Campaign Manager.",
    "Ask an admin to compare the rule ids and the ad account with Campaign Manager.",
)


def _compare(read: RulesRead, rules: Sequence[ConversionRule]) -> Iterator[Finding]:
    listed = {rule.id: rule for rule in read.rules}
    found: dict[_Problem, list[ConversionRule]] = {
        _OFF: [],
        _WRONG_METHOD: [],
        _MISSING: [],
    }
    for rule in rules:
        problem = _problem_of(listed.get(rule.linkedin_id), is_whole=read.is_whole)
        if problem is not None:
            found[problem].append(rule)
    for problem, about in found.items():
        if about:
            sentence = f"{problem.what}: {with_ids(about)}."
            yield Finding(
                Check.AT_LINKEDIN,
                problem.level,
                sentence,
                problem.fix,
                step(2),
                ask_admin=problem.ask_admin,
            )
    if not any(found.values()):
        sentence = f"LinkedIn lists {len(read.rules):,} rules. All active ones are enabled and accept our events."
        yield Finding(Check.AT_LINKEDIN, Level.GREEN, sentence, link=step(2))


def _problem_of(rule: LinkedInRule | None, *, is_whole: bool) -> _Problem | None:
    """What is wrong with this rule. It can be missing only from a list that `is_whole`."""
    if rule is None:
        return _MISSING if is_whole else None
    if not rule.enabled:
        return _OFF
    if rule.method and not rule.takes_events:
        return _WRONG_METHOD
    return None


def _clock(headers: Mapping[str, str], now: datetime) -> Finding:
    linkedin_time = _date(headers.get("date", ""))
    link = help_on("what-if-the-clock-is-wrong")
    if linkedin_time is None:
        fix = "No action needed: it is compared at the next check-up that LinkedIn answers."
        return Finding(Check.CLOCK, Level.UNKNOWN, NO_CLOCK, fix, link)
    difference = abs(now - linkedin_time)
    # The header has whole seconds, and the response takes time.
    if difference < timedelta(seconds=15):
        return Finding(
            Check.CLOCK,
            Level.GREEN,
            "The database's clock agrees with LinkedIn's.",
            link=link,
        )
    level = Level.RED if difference >= timedelta(minutes=5) else Level.AMBER
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
    if (
        connection is not None
        and connection.is_paused
        and connection.paused_reason == Reason.VERSION_RETIRED
    ):
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
