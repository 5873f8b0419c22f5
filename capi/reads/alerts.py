"""The alerts of a company with their words: the open ones, and a page of those that are over."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from capi.models import Alert
from capi.reasons import AlertKind
from capi.words import Words
from capi.words.alerts import Told, tell

ROWS_PER_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class ShownAlert:
    """An alert as it was told when it began; an open one about a rest as things stand."""

    alert: Alert
    told: Told


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Alerts that are over, newest first; `older` is the id to go on from, where there is more."""

    rows: Sequence[ShownAlert]
    older: int | None


def open_alerts(company_id: int, *, rest: Words | None) -> list[ShownAlert]:
    """Those whose cause lasts, newest first. Of each kind and rule there is one at most.

    `rest` is what the banner says while sending rests: each failed try moves the next one and may change the cause.
    """
    found = Alert.objects.for_company(company_id).still_open().select_related("rule")
    return [ShownAlert(alert, _told_now(alert, rest)) for alert in found.order_by("-pk")]


def past_alerts(company_id: int, *, before: int | None = None) -> AlertPage:
    found = Alert.objects.for_company(company_id).exclude(closed_at=None).select_related("rule").order_by("-pk")
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found[: ROWS_PER_PAGE + 1])
    shown = [ShownAlert(alert, tell(alert)) for alert in rows[:ROWS_PER_PAGE]]
    return AlertPage(shown, shown[-1].alert.pk if len(rows) > ROWS_PER_PAGE else None)


def _told_now(alert: Alert, rest: Words | None) -> Told:
    told = tell(alert)
    if alert.kind != AlertKind.RESTING or rest is None:
        return told
    return replace(told, what=rest.what, topic=rest.topic)
