"""A company's alerts with their texts: the open ones, and a page of past ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from capi.models import Alert
from capi.models.choices import AlertKind
from capi.selectors.explanations.alerts import AlertText, explain_opening
from capi.selectors.explanations.states import Explanation

ROWS_PER_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class ExplainedAlert:
    """An alert and its text: as of its opening, or for an open alert about a rest, the current one."""

    alert: Alert
    text: AlertText


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Past alerts, newest first. `older` is the id to continue from, None if there are no more."""

    rows: Sequence[ExplainedAlert]
    older: int | None


def open_alerts(company_id: int, *, rest: Explanation | None) -> list[ExplainedAlert]:
    """Open alerts, newest first, at most one for each kind and rule.

    `rest` is the banner's current text about a rest: each failed attempt delays the next and may change the cause.
    """
    alerts = Alert.objects.for_company(company_id).still_open().select_related("rule")
    return [
        ExplainedAlert(alert, _current_text(alert, rest))
        for alert in alerts.order_by("-pk")
    ]


def past_alerts(company_id: int, *, before: int | None = None) -> AlertPage:
    alerts = (
        Alert.objects.for_company(company_id)
        .exclude(closed_at=None)
        .select_related("rule")
        .order_by("-pk")
    )
    if before is not None:
        alerts = alerts.filter(pk__lt=before)
    fetched = list(alerts[: ROWS_PER_PAGE + 1])
    rows = [
        ExplainedAlert(alert, explain_opening(alert))
        for alert in fetched[:ROWS_PER_PAGE]
    ]
    return AlertPage(rows, rows[-1].alert.pk if len(fetched) > ROWS_PER_PAGE else None)


def _current_text(alert: Alert, rest: Explanation | None) -> AlertText:
    text = explain_opening(alert)
    if alert.kind != AlertKind.RESTING or rest is None:
        return text
    return replace(text, what=rest.what, topic=rest.topic)
