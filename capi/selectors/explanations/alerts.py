"""What is said about alerts: on their page and, the same, in mails."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from django.utils import dateformat

from capi.models import Alert
from capi.models.choices import AlertKind, Reason, RestCause
from capi.selectors.explanations.connection import REST_NEXT_STEP, why_resting
from capi.selectors.explanations.explain import explain_pause, topic_of_rest
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.explanations.states import ON_HOLD, Explanation


@dataclass(frozen=True, slots=True)
class AlertText:
    """An alert in words: a title without a full stop, what is so, and what to do ("" where there is nothing to do).

    `page` is the name of the page where it is done, `topic` the place in the help that says more.
    """

    title: str
    what: str
    next_step: str
    page: str = "linkedin"
    topic: str = ""

    @property
    def page_name(self) -> str:
        return {"linkedin": "LinkedIn page", "events": "Recent events", "leads": "Leads"}[self.page]


_SEE_LOG: Final = "Recent events says for each of them why, and what to do."
_LOOK_AT_CRM: Final = (
    "Look whether leads and deals still come in and change as they did, and whether they have e-mail addresses."
)
# What the help says of the alerts that are about no reason of their own.
ABOUT: Final[dict[AlertKind, Explanation]] = {
    AlertKind.FAILING: Explanation(
        "Many events of a rule fail",
        "Of the newest events of the rule that came to an end, one in five failed, or more; of a rule with few events, "
        "half of them. The alert ends by itself once it is fewer than one in ten.",
        _SEE_LOG,
        "bad",
        topic="alert-failing",
    ),
    AlertKind.SILENT: Explanation(
        "A rule is silent",
        "The rule had events in each of the last weeks, and now none for longer than chance explains.",
        _LOOK_AT_CRM,
        "bad",
        topic="alert-silent",
    ),
}

# With what an alert knows in braces: rule, failed, ended, days, per_week, left, on, version.
OPENED: Final[dict[AlertKind, AlertText]] = {
    AlertKind.CONNECTION_PAUSED: AlertText("sending to LinkedIn is paused", "{what}", "{next_step}", topic="{topic}"),
    AlertKind.RULE_PAUSED: AlertText("the rule “{rule}” is paused", "{what}", "{next_step}", topic="{topic}"),
    AlertKind.HOLD_ENDING: AlertText(
        "events on hold become too old {left}",
        "LinkedIn takes events for 90 days. The oldest one on hold reaches that age on {on}, and others may follow.",
        "The LinkedIn page says what holds them and what to do; what is on hold then goes out, the oldest first.",
        topic=ON_HOLD.topic,
    ),
    AlertKind.RESTING: AlertText("sending to LinkedIn waits", "{what}", REST_NEXT_STEP, topic="{topic}"),
    AlertKind.FAILING: AlertText(
        "many events of the rule “{rule}” fail",
        "Of its newest {ended} events that came to an end, {failed} failed.",
        _SEE_LOG,
        "events",
        ABOUT[AlertKind.FAILING].topic,
    ),
    AlertKind.SILENT: AlertText(
        "the rule “{rule}” is silent",
        "Usually there are {per_week} events a week, and there has been none for {days} days.",
        _LOOK_AT_CRM,
        "leads",
        ABOUT[AlertKind.SILENT].topic,
    ),
    AlertKind.TOKEN_ENDING: AlertText(
        "the access token ends {left}",
        "By the date that was entered with it, the token for LinkedIn is good until {on}.",
        "Generate a new token in Campaign Manager and save it on the LinkedIn page: then nothing comes to be on hold.",
        topic=REASONS[Reason.TOKEN_REFUSED].topic,
    ),
    AlertKind.VERSION_ENDING: AlertText(
        "LinkedIn retires the API version {version} {left}",
        "LeadMachine uses version {version} of LinkedIn's API, which LinkedIn switches off on {on}.",
        "Whoever runs LeadMachine sets LINKEDIN_API_VERSION to a newer one. Otherwise all events come to be on hold.",
        topic=REASONS[Reason.VERSION_RETIRED].topic,
    ),
}

CLOSED: Final[dict[AlertKind, AlertText]] = {
    AlertKind.CONNECTION_PAUSED: AlertText(
        "sending to LinkedIn goes on", "What was on hold goes out, the oldest first.", ""
    ),
    AlertKind.RULE_PAUSED: AlertText(
        "the rule “{rule}” goes on", "What was on hold for it goes out, the oldest first.", ""
    ),
    AlertKind.RESTING: AlertText("sending to LinkedIn no longer waits", "What was queued goes out, oldest first.", ""),
    AlertKind.FAILING: AlertText(
        "the rule “{rule}” works again",
        "Of its newest events that came to an end, fewer than 1 in 10 failed.",
        "",
    ),
    AlertKind.SILENT: AlertText("the rule “{rule}” has events again", "It is no longer silent.", ""),
}


def tell(alert: Alert) -> AlertText:
    """What began, with the numbers as they were then. `alert.rule` should be loaded."""
    return _filled(OPENED[AlertKind(alert.kind)], alert)


def tell_end(alert: Alert) -> AlertText:
    """That it is over. Only for the kinds whose end is news."""
    return _filled(CLOSED[AlertKind(alert.kind)], alert)


def _filled(told: AlertText, alert: Alert) -> AlertText:
    values = _values(alert)
    return replace(
        told,
        title=told.title.format_map(values),
        what=told.what.format_map(values),
        next_step=told.next_step.format_map(values),
        topic=told.topic.format_map(values),
    )


def _values(alert: Alert) -> Mapping[str, object]:
    values: dict[str, object] = {"rule": alert.rule.name if alert.rule else "", "left": _left(alert.stage)}
    values.update(alert.facts)
    if "on" in alert.facts:
        values["on"] = dateformat.format(date.fromisoformat(alert.facts["on"]), "j F Y")
    if alert.kind in (AlertKind.CONNECTION_PAUSED, AlertKind.RULE_PAUSED):
        pause = explain_pause(Reason(alert.reason))
        values.update(what=pause.what, next_step=pause.next_step, topic=pause.topic)
    if alert.kind == AlertKind.RESTING:
        since, until = (datetime.fromisoformat(alert.facts[name]) for name in ("since", "until"))
        cause = RestCause(alert.reason)
        values.update(
            what=why_resting(cause, since=since, until=until, now=alert.opened_at), topic=topic_of_rest(cause)
        )
    return values


def _left(days: int) -> str:
    if days == 0:
        return "now"
    return "within a day" if days == 1 else f"within {days} days"
