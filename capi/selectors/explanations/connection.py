"""Texts about a connection: deadlines of its token and API version, rests and small requests."""

from datetime import date, datetime
from typing import Final

from django.template.defaultfilters import filesizeformat
from django.utils import dateformat, timezone

from capi.models.choices import Reason, RestCause
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.explanations.states import Explanation, Tone

RETIRED: Final = REASONS[Reason.VERSION_RETIRED]


EARLIEST: Final = " at the earliest"


def about_version(
    version: str, day: date, days_left: int, *, is_certain: bool
) -> Explanation:
    """About the day on which LinkedIn switches the version off or, unless `is_certain`, the earliest such day."""
    switched = "switched" if is_certain and days_left <= 0 else "switches"
    return Explanation(
        "API version",
        f"LinkedIn {switched} off API version {version} {_on(day, days_left, is_certain=is_certain)}.",
        "The operator of LeadMachine must set LINKEDIN_API_VERSION to a newer version. Events on hold until then are "
        "kept.",
        _tone(days_left, bad_from=7),
        topic=RETIRED.topic,
    )


def about_old_version(version: str) -> Explanation:
    return Explanation(
        "API version",
        f"Version {version} is older than any that LinkedIn still supports.",
        RETIRED.next_step,
        "bad",
        topic=RETIRED.topic,
    )


def about_token(day: date, days_left: int) -> Explanation:
    return Explanation(
        "Access token",
        f"The access token {'expires' if days_left > 0 else 'was due to expire'} {_on(day, days_left)}.",
        "Generate a new token in Campaign Manager and save it on the LinkedIn page (step 1).",
        _tone(days_left, bad_from=3),
        topic=REASONS[Reason.TOKEN_REFUSED].topic,
        ask_admin="Ask an admin to save a new access token.",
    )


def _tone(days_left: int, *, bad_from: int) -> Tone:
    return "bad" if days_left <= bad_from else "wait"


def _on(day: date, days_left: int, *, is_certain: bool = True) -> str:
    """The day and the days left: "on 15 September 2027, in 60 days"."""
    on = f"on {dateformat.format(day, 'j F Y')}{'' if is_certain else EARLIEST}"
    if days_left > 0:
        return f"{on}, {'tomorrow' if days_left == 1 else f'in {days_left} days'}"
    if not is_certain:
        return f"{on}: it may end any day"
    return on if days_left else f"{on}, today"


# Why sending rests, for pages, the doctor and alerts. Placeholders for times: since, until.
WHY: Final[dict[RestCause, str]] = {
    RestCause.ASKED: "LinkedIn asked us to wait. Sending continues {until}.",
    RestCause.DAY_LIMIT: (
        "LinkedIn says that its daily request limit is reached. Sending continues {until}, after midnight UTC."
    ),
    RestCause.THROTTLED: "LinkedIn keeps answering “too many requests” (429). The next attempt is {until}.",
    RestCause.THROTTLED_OFTEN: (
        "LinkedIn answered “too many requests” (429) five times in a row without saying how long to wait. "
        "Sending continues {until}, after midnight UTC, when daily limits reset."
    ),
    RestCause.TROUBLE: (
        "LinkedIn can't be reached or can't respond: no request has succeeded since {since}. "
        "The next attempt is {until}, or later, once an event is due."
    ),
    RestCause.UNCLEAR: (
        "Something on the way responds instead of LinkedIn: no request has succeeded since {since}. "
        "The next attempt is {until}, or later, once an event is due."
    ),
}
TRY_NOW: Final = "If LinkedIn is working again sooner, an admin can press Try now on the LinkedIn page."


def next_step_of_rest(cause: RestCause) -> str:
    """What to do while sending rests."""
    if cause == RestCause.UNCLEAR:
        return f"Ask the operator of LeadMachine to check proxies, gateways and firewalls. {TRY_NOW}"
    return f"No action needed: queued events are then sent automatically, oldest first. {TRY_NOW}"


def why_resting(
    cause: RestCause, *, since: datetime, until: datetime, now: datetime
) -> str:
    """The text about a rest, with times in the active time zone."""
    return WHY[cause].format(
        since=_time_of(since),
        until=f"at {_time_of(until)}" if until > now else "any moment now",
    )


def explain_size(body_limit: int) -> str:
    """The text while requests are kept small."""
    return (
        f"LinkedIn rejected a request as too large (413). Requests are limited to {filesizeformat(body_limit)}. "
        "The limit doubles after each accepted request."
    )


def _time_of(at: datetime) -> str:
    return dateformat.format(timezone.localtime(at), "H:i \\o\\n j F")
