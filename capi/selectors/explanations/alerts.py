"""Texts of alerts, the same on their page and in mails."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from django.utils import dateformat

from capi.models import Alert
from capi.models.choices import AlertKind, Reason, RestCause
from capi.selectors.explanations.connection import (
    EARLIEST,
    next_step_of_rest,
    why_resting,
)
from capi.selectors.explanations.explain import explain_pause, topic_of_rest
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.explanations.states import ON_HOLD, Explanation


@dataclass(frozen=True, slots=True)
class AlertText:
    """An alert's text: a title without a full stop, what happened, and what to do ("" if nothing).

    `page` is the URL name of the page for that, `topic` the section of the help.
    """

    title: str
    what: str
    next_step: str
    page: str = "linkedin"
    topic: str = ""

    @property
    def page_name(self) -> str:
        return {
            "linkedin": "LinkedIn page",
            "events": "Recent Events",
            "leads": "Leads",
        }[self.page]


_SEE_LOG: Final = "Recent Events shows why each one failed, and what to do."
_CHECK_CRM: Final = (
    "Check that leads and deals still come in and change as before, and that they "
    "have e-mail addresses."
)
# Explanations in the help for alerts without a reason.
ABOUT: Final[dict[AlertKind, Explanation]] = {
    AlertKind.FAILING: Explanation(
        "Many events of a rule fail",
        "At least one in five of the rule's newest finished events failed, or half of them for a rule with few events. "
        "The alert closes automatically once fewer than one in ten fail.",
        _SEE_LOG,
        "bad",
        topic="alert-failing",
    ),
    AlertKind.SILENT: Explanation(
        "A rule is silent",
        "The rule had events in each of the last weeks, but now none for longer than chance explains.",
        _CHECK_CRM,
        "bad",
        topic="alert-silent",
    ),
}

# Placeholders for the facts of an alert: rule, failed, ended, days, per_week, left, on, version, retires, earliest.
OPENED: Final[dict[AlertKind, AlertText]] = {
    AlertKind.CONNECTION_PAUSED: AlertText(
        "sending to LinkedIn is paused", "{what}", "{next_step}", topic="{topic}"
    ),
    AlertKind.RULE_PAUSED: AlertText(
        "the rule “{rule}” is paused", "{what}", "{next_step}", topic="{topic}"
    ),
    AlertKind.HOLD_ENDING: AlertText(
        "events on hold expire {left}",
        "LinkedIn rejects events older than 90 days. The oldest one on hold reaches that age on {on}, and others "
        "may follow.",
        "The LinkedIn page says why they are on hold and what to do. They are then sent, oldest first.",
        topic=ON_HOLD.topic,
    ),
    AlertKind.RESTING: AlertText(
        "sending to LinkedIn is delayed", "{what}", "{next_step}", topic="{topic}"
    ),
    AlertKind.FAILING: AlertText(
        "many events of the rule “{rule}” fail",
        "Of its newest {ended} finished events, {failed} failed.",
        _SEE_LOG,
        "events",
        ABOUT[AlertKind.FAILING].topic,
    ),
    AlertKind.SILENT: AlertText(
        "the rule “{rule}” is silent",
        "It usually has {per_week} events a week, but has had none for {days} days.",
        _CHECK_CRM,
        "leads",
        ABOUT[AlertKind.SILENT].topic,
    ),
    AlertKind.TOKEN_ENDING: AlertText(
        "the access token expires {left}",
        "According to the date entered with it, the LinkedIn token is valid until {on}.",
        "Generate a new token in Campaign Manager and save it on the LinkedIn page. Otherwise all events are put on "
        "hold.",
        topic=REASONS[Reason.TOKEN_REFUSED].topic,
    ),
    AlertKind.VERSION_ENDING: AlertText(
        "LinkedIn {retires} API version {version} {left}",
        "LeadMachine uses version {version} of LinkedIn's API, which LinkedIn switches off on {on}{earliest}.",
        "The operator of LeadMachine must set LINKEDIN_API_VERSION to a newer version. Otherwise all events are put on "
        "hold.",
        topic=REASONS[Reason.VERSION_RETIRED].topic,
    ),
}

CLOSED: Final[dict[AlertKind, AlertText]] = {
    AlertKind.CONNECTION_PAUSED: AlertText(
        "sending to LinkedIn has resumed",
        "Events on hold are now sent, oldest first.",
        "",
    ),
    AlertKind.RULE_PAUSED: AlertText(
        "the rule “{rule}” has resumed",
        "Its events on hold are now sent, oldest first.",
        "",
    ),
    AlertKind.RESTING: AlertText(
        "sending to LinkedIn is no longer delayed",
        "Queued events are now sent, oldest first.",
        "",
    ),
    AlertKind.FAILING: AlertText(
        "the rule “{rule}” works again",
        "Of its newest finished events, fewer than 1 in 10 failed.",
        "",
    ),
    AlertKind.SILENT: AlertText(
        "the rule “{rule}” has events again", "It is no longer silent.", ""
    ),
}


def explain_opening(alert: Alert) -> AlertText:
    """The text about the alert's opening, with the numbers at that time. `alert.rule` should be loaded."""
    return _filled(OPENED[AlertKind(alert.kind)], alert)


def explain_closing(alert: Alert) -> AlertText:
    """The text about the alert's closing, for the kinds of alert that report it."""
    return _filled(CLOSED[AlertKind(alert.kind)], alert)


def _filled(text: AlertText, alert: Alert) -> AlertText:
    values = _values(alert)
    return replace(
        text,
        title=text.title.format_map(values),
        what=text.what.format_map(values),
        next_step=text.next_step.format_map(values),
        topic=text.topic.format_map(values),
    )


def _values(alert: Alert) -> Mapping[str, object]:
    values: dict[str, object] = {
        "rule": str(alert.rule) if alert.rule else "",
        "left": _left(alert.stage),
    }
    values.update(alert.facts)
    if "on" in alert.facts:
        values["on"] = dateformat.format(date.fromisoformat(alert.facts["on"]), "j F Y")
    if alert.kind == AlertKind.VERSION_ENDING:
        is_certain = alert.facts.get("is_certain", True)
        values["retires"] = "retires" if is_certain else "may retire"
        values["earliest"] = "" if is_certain else EARLIEST
    if alert.kind in (AlertKind.CONNECTION_PAUSED, AlertKind.RULE_PAUSED):
        pause = explain_pause(Reason(alert.reason))
        values.update(what=pause.what, next_step=pause.next_step, topic=pause.topic)
    if alert.kind == AlertKind.RESTING:
        since, until = (
            datetime.fromisoformat(alert.facts[name]) for name in ("since", "until")
        )
        cause = RestCause(alert.reason)
        values.update(
            what=why_resting(cause, since=since, until=until, now=alert.opened_at),
            next_step=next_step_of_rest(cause),
            topic=topic_of_rest(cause),
        )
    return values


def _left(days: int) -> str:
    if days == 0:
        return "now"
    return "within a day" if days == 1 else f"within {days} days"
