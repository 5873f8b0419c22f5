"""Adds the deals of an import, each as of the day when it was added, won or lost."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.utils import timezone

from crm.data_exchange.importing.objects.deal_cells import FILLABLE, as_of_deal
from crm.data_exchange.importing.objects.definition import Values
from crm.data_exchange.importing.rows import JudgedRow
from crm.lists.columns import CUSTOM
from crm.models import (
    Company,
    CrmEventKind,
    Deal,
    LeadImport,
    Pipeline,
    Stage,
    StageMeaning,
)

# A date without a time is the same day in nearly every time zone.
NOON: Final = time(12)
# When a new deal was added, in `filled`. A later `updated_at` says that someone has changed it.
ADDED: Final = "updated_at"


def add_deals(lead_import: LeadImport, rows: Sequence[JudgedRow]) -> None:
    """Add the deals of these rows, with the keys that are reserved for them."""
    company = lead_import.company
    first = _FirstStages(company)
    template = Deal(
        company=company, owner_id=lead_import.owner_id, currency=company.currency
    )
    times: dict[tuple[str, int | None], datetime] = {}
    new: list[dict[str, Any]] = []
    for row in rows:
        happened = event_times(row.values)
        new.append(_columns(row.values, happened, first))
        times |= {
            (kind, row.record_id): moment for kind, moment in happened.items() if moment
        }
    keys = [row.record_id for row in rows if row.record_id]
    Deal.objects.insert_like(template, new, keys=keys, times=times)
    for row in rows:
        row.filled = {ADDED: template.updated_at.isoformat()}


def event_times(values: Values) -> dict[str, datetime | None]:
    """When each CRM event of a new deal happened, None for now.

    A deal that is won or lost without a date of that was so on its expected close, if that is past. It was not added
    later than that.
    """
    stage: Stage | None = values["stage"]
    zone: ZoneInfo = values["zone"]
    reached = Deal.kinds_by_meaning.get(stage.meaning) if stage else None
    created = _moment(values.get("created"), zone)
    if reached is None:
        return {CrmEventKind.DEAL_CREATED.value: created}
    closed = _moment(values.get("closed") or values.get("expected_close"), zone)
    created = created or closed
    return {CrmEventKind.DEAL_CREATED.value: created, reached.value: closed}


def _moment(day: str | None, zone: ZoneInfo) -> datetime | None:
    """Noon of a past day; None for today, for the future, and without a day."""
    if day is None or date.fromisoformat(day) >= timezone.localdate(timezone=zone):
        return None
    return datetime.combine(date.fromisoformat(day), NOON, zone)


def _columns(
    values: Values, happened: Mapping[str, datetime | None], first: "_FirstStages"
) -> dict[str, Any]:
    """The values of a new deal by attribute."""
    stage: Stage | None = values["stage"]
    columns: dict[str, Any] = {"lead_id": values["lead"].pk}
    for name, value in values.items():
        if name.startswith(CUSTOM):
            columns.setdefault("custom", {})[name.removeprefix(CUSTOM)] = value
        elif name in ("title", "currency", *FILLABLE):
            columns[name] = as_of_deal(name, value)
    columns["stage_id"] = (stage or first.of(values)).pk
    if stage and stage.meaning == StageMeaning.LOST and "lost_reason" in values:
        columns["lost_reason_id"] = values["lost_reason"].pk
    if created := happened[CrmEventKind.DEAL_CREATED.value]:
        columns["created_at"] = created
    return columns


class _FirstStages:
    """The stage of deals whose file has none: the first open one of their pipelines. A query for each pipeline."""

    def __init__(self, company: Company) -> None:
        self._company = company
        self._found: dict[int | None, Stage] = {}

    def of(self, values: Values) -> Stage:
        pipeline: Pipeline | None = values.get("pipeline")
        key = pipeline.pk if pipeline else None
        if key not in self._found:
            self._found[key] = self._first(pipeline)
        return self._found[key]

    def _first(self, pipeline: Pipeline | None) -> Stage:
        if pipeline is not None:
            own = Stage.objects.of(pipeline).offered().filter(meaning=StageMeaning.OPEN)
            if (stage := own.first()) is not None:
                return stage
        usual: Stage = Stage.objects.first_for(self._company, StageMeaning.OPEN)
        return usual
