"""The alerts of a company with their words: the open ones, and a page of those that are over."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from capi.models import Alert
from capi.models.choices import AlertKind
from capi.selectors.explanations.alerts import AlertText, tell
from capi.selectors.explanations.states import Explanation

ROWS_PER_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class ExplainedAlert:
    """An alert as it was told when it began; an open one about a rest as things stand."""

    alert: Alert
    told: AlertText


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Alerts that are over, newest first; `older` is the id to go on from, where there is more."""

    rows: Sequence[ExplainedAlert]
    older: int | None


def open_alerts(company_id: int, *, rest: Explanation | None) -> list[ExplainedAlert]:
    """Those whose cause lasts, newest first. Of each kind and rule there is one at most.

    `rest` is what the banner says while sending rests: each failed try moves the next one and may change the cause.
    """
    found = Alert.objects.for_company(company_id).still_open().select_related("rule")
    return [ExplainedAlert(alert, _told_now(alert, rest)) for alert in found.order_by("-pk")]


def past_alerts(company_id: int, *, before: int | None = None) -> AlertPage:
    found = Alert.objects.for_company(company_id).exclude(closed_at=None).select_related("rule").order_by("-pk")
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found[: ROWS_PER_PAGE + 1])
    shown = [ExplainedAlert(alert, tell(alert)) for alert in rows[:ROWS_PER_PAGE]]
    return AlertPage(shown, shown[-1].alert.pk if len(rows) > ROWS_PER_PAGE else None)


def _told_now(alert: Alert, rest: Explanation | None) -> AlertText:
    told = tell(alert)
    if alert.kind != AlertKind.RESTING or rest is None:
        return told
    return replace(told, what=rest.what, topic=rest.topic)
