"""The alerts of a company with their words: the open ones, and a page of those that are over."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from capi.models import Alert
from capi.words.alerts import Told, tell

ROWS_PER_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class ShownAlert:
    """An alert as it was told when it began."""

    alert: Alert
    told: Told


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Alerts that are over, newest first; `older` is the id to go on from, where there is more."""

    rows: Sequence[ShownAlert]
    older: int | None


def open_alerts(company_id: int) -> list[ShownAlert]:
    """Those whose cause lasts, newest first. Of each kind and rule there is one at most."""
    found = Alert.objects.for_company(company_id).still_open().select_related("rule")
    return [ShownAlert(alert, tell(alert)) for alert in found.order_by("-pk")]


def past_alerts(company_id: int, *, before: int | None = None) -> AlertPage:
    found = Alert.objects.for_company(company_id).exclude(closed_at=None).select_related("rule").order_by("-pk")
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found[: ROWS_PER_PAGE + 1])
    shown = [ShownAlert(alert, tell(alert)) for alert in rows[:ROWS_PER_PAGE]]
    return AlertPage(shown, shown[-1].alert.pk if len(rows) > ROWS_PER_PAGE else None)
