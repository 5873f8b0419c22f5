"""What pages, doctor and alerts say while sending rests for long, and while requests are kept small."""

from datetime import datetime
from typing import Final

from django.template.defaultfilters import filesizeformat
from django.utils import dateformat, timezone

from capi.reasons import RestCause

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
NEXT_STEP: Final = (
    "Nothing to do: what is queued then goes out by itself, oldest first. "
    "An admin who knows that LinkedIn works again can press Try now on the LinkedIn page."
)


def why(cause: RestCause, *, since: datetime, until: datetime, now: datetime) -> str:
    """The sentence about a rest, with its moments in the time zone that is current."""
    return WHY[cause].format(since=_moment(since), until=f"at {_moment(until)}" if until > now else "any moment now")


def explain_size(body_limit: int) -> str:
    """What is said while requests are kept small."""
    return (
        f"LinkedIn refused a request as too large (413). Requests may have {filesizeformat(body_limit)} for now, "
        "and twice as much after each one that is accepted."
    )


def _moment(at: datetime) -> str:
    return dateformat.format(timezone.localtime(at), "H:i \\o\\n j F")
