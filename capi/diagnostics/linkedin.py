"""What LinkedIn itself says: the rules of the ad account, its clock, and the version of its API."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from django.conf import settings

from capi.delivery.linkedin_rules import ask_linkedin
from capi.diagnostics.findings import Check, Finding, Level, help_on, step, with_ids
from capi.linkedin import versions
from capi.linkedin.rules import LinkedInRule, ReadStatus, RulesRead
from capi.models import Connection, ConversionRule
from capi.models.choices import Reason
from capi.models.functions import database_now
from capi.models.token import UnreadableToken
from capi.selectors.deadlines import end_of_version
from capi.selectors.explanations.connection import about_old_version
from capi.selectors.explanations.reasons import READINGS, REASONS

# --- What LinkedIn itself says: the rules of the ad account, where the token may read them, and its clock.

ASK_SECONDS: Final = 5.0  # a person waits for it
CLOSE, FAR = timedelta(seconds=15), timedelta(minutes=5)  # the header has whole seconds, and an answer takes some
REFUSALS: Final = (ReadStatus.TOKEN_REFUSED, ReadStatus.VERSION_RETIRED)
NOT_ASKED: Final = "LinkedIn was not asked: that takes a token that can be read, and the ad account's id."
NO_CLOCK: Final = "LinkedIn gave no time to compare ours with."
COMPARED_LATER: Final = "Nothing for itself: it is compared with the next check-up that LinkedIn answers."


def ask_for_rules(connection: Connection | None) -> RulesRead | None:
    """What LinkedIn says now, within ASK_SECONDS; None where it can't be asked."""
    if connection is None or not (connection.has_token and connection.ad_account_id):
        return None
    try:
        return ask_linkedin(connection, seconds=ASK_SECONDS)
    except UnreadableToken:
        return None


def rules_findings(read: RulesRead | None, rules: Sequence[ConversionRule]) -> Iterator[Finding]:
    """About what `ask` has brought. Best effort: what can't be asked, or is not answered, is "can't tell" and no error.
    `rules`: the active ones.
    """
    if read is None:
        yield Finding(Check.AT_LINKEDIN, Level.UNKNOWN, NOT_ASKED, "Enter both in step 1.", step(1))
        yield _clock({}, database_now())
        return
    yield _clock(read.headers, database_now())
    if read.outcome == ReadStatus.FOUND:
        yield from _compared(read, rules)
    else:
        words = READINGS[read.outcome]
        level = Level.RED if read.outcome in REFUSALS else Level.UNKNOWN
        yield Finding(Check.AT_LINKEDIN, level, words.what, words.next_step, step(1), words.topic)


def _compared(read: RulesRead, rules: Sequence[ConversionRule]) -> Iterator[Finding]:
    theirs = {rule.id: rule for rule in read.rules}
    known = [(rule, theirs[rule.linkedin_id]) for rule in rules if rule.linkedin_id in theirs]
    missing = [rule for rule in rules if rule.linkedin_id not in theirs] if read.is_whole else []
    off = [rule for rule, other in known if not other.enabled]
    wrong = [rule for rule, other in known if other.enabled and _is_other_method(other)]
    if off:
        mend = "Enable it in Campaign Manager, then press resume where the rule is paused."
        yield _about(off, Level.RED, "Switched off in Campaign Manager", mend)
    if wrong:
        mend = "In Campaign Manager, create a conversion with the source “Conversions API (direct)”, and use its id."
        yield _about(wrong, Level.RED, "Not set up for the Conversions API", mend)
    if missing:
        mend = "Compare the ids with Campaign Manager, and the ad account with that of the rules."
        yield _about(missing, Level.AMBER, "Not among the rules of the ad account", mend)
    if not (off or wrong or missing):
        sentence = f"LinkedIn lists {len(read.rules):,} rules; the active ones here are enabled and take our events."
        yield Finding(Check.AT_LINKEDIN, Level.GREEN, sentence, link=step(2))


def _is_other_method(rule: LinkedInRule) -> bool:
    return bool(rule.method) and not rule.takes_events


def _about(rules: Sequence[ConversionRule], level: Level, what: str, mend: str) -> Finding:
    return Finding(Check.AT_LINKEDIN, level, f"{what}: {with_ids(rules)}.", mend, step(2))


def _clock(headers: Mapping[str, str], now: datetime) -> Finding:
    theirs, link = _date(headers.get("date", "")), help_on("what-if-the-clock-is-wrong")
    if theirs is None:
        return Finding(Check.CLOCK, Level.UNKNOWN, NO_CLOCK, COMPARED_LATER, link)
    apart = abs(now - theirs)
    if apart < CLOSE:
        return Finding(Check.CLOCK, Level.GREEN, "The database's clock agrees with LinkedIn's.", link=link)
    level = Level.RED if apart >= FAR else Level.AMBER
    side = "ahead of" if now > theirs else "behind"
    sentence = f"The database's clock is {apart.total_seconds():,.0f} seconds {side} LinkedIn's."
    mend = "Ask whoever runs LeadMachine to set it right: LinkedIn refuses events from the future."
    return Finding(Check.CLOCK, level, sentence, mend, link)


def _date(header: str) -> datetime | None:
    """The moment that a `Date` header names (RFC 9110), None where it names none."""
    try:
        moment = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


# --- The version of LinkedIn's API that this installation speaks.

RETIRED = REASONS[Reason.VERSION_RETIRED]
LOOK_IT_UP = "Whoever runs LeadMachine finds its end in LinkedIn's list of versions, or installs a newer LeadMachine."


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
    elif versions.is_before_the_table(version):
        old = about_old_version(version)
        yield _finding(Level.RED, old.what, old.next_step, old.topic)
    else:
        sentence = f"LeadMachine's table of versions does not hold {version}, so that its end can't be told."
        yield _finding(Level.UNKNOWN, sentence, LOOK_IT_UP, RETIRED.topic)


def _finding(level: Level, sentence: str, mend: str = "", topic: str = "") -> Finding:
    return Finding(Check.VERSION, level, sentence, mend, step(1), topic)
