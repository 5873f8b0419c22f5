"""What is said about a connection: the end of its token or API version, a long rest, small requests."""

from datetime import date, datetime
from typing import Final

from django.template.defaultfilters import filesizeformat
from django.utils import dateformat, timezone

from capi.models.choices import Reason, RestCause
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.explanations.states import Explanation, Tone

# --- What is said about a day that comes near: the end of the API version, and of an access token that has one.

RETIRED: Final = REASONS[Reason.VERSION_RETIRED]


def about_version(version: str, day: date, days_left: int) -> Explanation:
    return Explanation(
        "API version",
        f"LinkedIn {'switches' if days_left > 0 else 'has switched'} version {version} of its API off "
        f"{_on(day, days_left)}.",
        "Whoever runs LeadMachine sets LINKEDIN_API_VERSION to a newer one. What is on hold until then is kept.",
        _tone(days_left, bad_from=7),
        topic=RETIRED.topic,
    )


def about_old_version(version: str) -> Explanation:
    return Explanation(
        "API version",
        f"Version {version} is older than all that LinkedIn still answers.",
        RETIRED.next_step,
        "bad",
        topic=RETIRED.topic,
    )


def about_token(day: date, days_left: int) -> Explanation:
    return Explanation(
        "Access token",
        f"The access token {'expires' if days_left > 0 else 'was to expire'} {_on(day, days_left)}.",
        "Generate a new token in Campaign Manager and save it on the LinkedIn page (step 1).",
        _tone(days_left, bad_from=3),
        topic=REASONS[Reason.TOKEN_REFUSED].topic,
    )


def _tone(days_left: int, *, bad_from: int) -> Tone:
    return "bad" if days_left <= bad_from else "wait"


def _on(day: date, days_left: int) -> str:
    """The day and how far it is: "on 15 September 2027, in 60 days"."""
    when = {0: "today", 1: "tomorrow"}.get(days_left) or (f"in {days_left} days" if days_left > 0 else "")
    return f"on {dateformat.format(day, 'j F Y')}{', ' if when else ''}{when}"


# --- What pages, doctor and alerts say while sending rests for long, and while requests are kept small.

# With the moments in braces: since, until.
WHY: Final[dict[RestCause, str]] = {
    RestCause.ASKED: "LinkedIn asked us to wait. Sending continues {until}.",
    RestCause.DAY_LIMIT: (
        "LinkedIn says that its daily limit of requests is reached. Sending continues {until}, after midnight UTC."
    ),
    RestCause.THROTTLED: "LinkedIn keeps answering “too many requests” (429). The next try is {until}.",
    RestCause.THROTTLED_OFTEN: (
        "LinkedIn answered “too many requests” (429) five times in a row without saying how long to wait. "
        "Sending continues {until}, after midnight UTC, when daily limits start again."
    ),
    RestCause.TROUBLE: (
        "LinkedIn can't be reached or can't answer: no request has succeeded since {since}. "
        "Sending is tried again {until}, or later, once an event is due."
    ),
}
REST_NEXT_STEP: Final = (
    "Nothing to do: what is queued then goes out by itself, oldest first. "
    "An admin who knows that LinkedIn works again can press Try now on the LinkedIn page."
)


def why_resting(cause: RestCause, *, since: datetime, until: datetime, now: datetime) -> str:
    """The sentence about a rest, with its moments in the time zone that is current."""
    return WHY[cause].format(since=_time_of(since), until=f"at {_time_of(until)}" if until > now else "any moment now")


def explain_size(body_limit: int) -> str:
    """What is said while requests are kept small."""
    return (
        f"LinkedIn refused a request as too large (413). Requests may have {filesizeformat(body_limit)} for now, "
        "and twice as much after each one that is accepted."
    )


def _time_of(at: datetime) -> str:
    return dateformat.format(timezone.localtime(at), "H:i \\o\\n j F")
