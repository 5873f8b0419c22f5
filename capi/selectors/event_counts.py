"""Recent Events: how many events each state has, and which reasons occur. Neither reads the whole log."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final

from django.db.models import QuerySet, Subquery

from capi.models import Connection, ConversionEvent, DayCount
from capi.models import ConversionEventQuerySet as Events
from capi.models.choices import Reason
from capi.selectors import events as log
from capi.selectors.events import NO_REASON, EventFilter
from capi.selectors.state_groups import PARTS, STATES, StateFilter
from crm.models import Company
from crm.selectors.counts import CountOf

COUNT_LIMIT: Final = 1_000
SHORT_STRETCH: Final = 2 * COUNT_LIMIT


@dataclass(frozen=True, slots=True)
class BoundedCount:
    """A count; `is_more` if there may be more events than were counted."""

    count: int
    is_more: bool = False

    def __str__(self) -> str:
        return f"{self.count:,}{'+' if self.is_more else ''}"


def chip_counts(
    company_id: int, wanted: EventFilter, connection: Connection | None
) -> dict[str, BoundedCount]:
    """The number of events in each state that match the other filters, in two statements, or four for a rare state.

    Two more find out where a period begins and ends. Empty for a filter by week: it would have to read all of the
    week's events for each state.
    """
    if wanted.week is not None:
        return {}
    # In the company's own order, so that its events are not looked for among those of other companies.
    events = ConversionEvent.objects.newest_of(company_id).filter(
        log.period(company_id, wanted)
    )
    # Without a filter that has to read other events, too, a short scan usually finds as many as are counted.
    is_narrow = log.is_searched(replace(wanted, chip=StateFilter.ALL))
    for stretch in (
        [log.STRETCH] if is_narrow else [min(SHORT_STRETCH, log.STRETCH), log.STRETCH]
    ):
        counts = _counts(company_id, events, wanted, connection, stretch)
        if all(count > COUNT_LIMIT or not is_cut for count, is_cut in counts.values()):
            break
    found: dict[str, BoundedCount] = {
        chip: _bounded(count, is_cut=is_cut) for chip, (count, is_cut) in counts.items()
    }
    return {
        **found,
        **{
            whole: _sum(found[part] for part in parts) for whole, parts in PARTS.items()
        },
    }


def _counts(
    company_id: int,
    events: Events,
    wanted: EventFilter,
    connection: Connection | None,
    stretch: int,
) -> dict[StateFilter, tuple[int, bool]]:
    """How many events each single state has, up to COUNT_LIMIT + 1.

    Where no index leads to them, those among the newest `stretch` are counted, and whether there are older ones is
    returned, too.
    """
    filters = {
        chip: replace(wanted, chip=chip) for chip in StateFilter if chip not in PARTS
    }
    floors = _floors(company_id, events, filters, stretch)
    matching = {
        chip: _matching(events, company_id, one, connection, floors.get(chip))
        for chip, one in filters.items()
    }
    columns = {f"count_{chip.name}": CountOf(query) for chip, query in matching.items()}
    row: dict[str, Any] = dict(
        Company.objects.filter(pk=company_id).values(**columns).get()
    )
    return {
        chip: (row[f"count_{chip.name}"], floors.get(chip) is not None)
        for chip in filters
    }


def _floors(
    company_id: int,
    events: Events,
    filters: Mapping[StateFilter, EventFilter],
    stretch: int,
) -> dict[StateFilter, int | None]:
    """The newest id outside the scan, for each chip whose scan needs a limit. None if there are no such rows.

    PostgreSQL gets them as numbers, not as subqueries: otherwise it can't know how few rows are left, and may read the
    whole log for a rare reason.
    """
    names = {
        chip: _floor_name(chip)
        for chip, wanted in filters.items()
        if _is_scanned(wanted)
    }
    columns = {
        name: Subquery(_behind(log.in_state(events, chip), stretch))
        for chip, name in names.items()
    }
    if not columns:
        return {}
    row: dict[str, Any] = dict(
        Company.objects.filter(pk=company_id).values(**columns).get()
    )
    return {chip: row[name] for chip, name in names.items()}


def _is_scanned(wanted: EventFilter) -> bool:
    needs_rule = wanted.chip in (StateFilter.QUEUED, StateFilter.ON_HOLD)
    return (needs_rule or log.is_searched(wanted)) and wanted.request is None


def _floor_name(chip: str) -> str:
    """The same for states that are searched among the same events."""
    return "_".join(
        ["floor", *([chip] if chip == StateFilter.TEST else STATES.get(chip, ()))]
    )


def _behind(events: Events, stretch: int) -> QuerySet[ConversionEvent]:
    return events.values("pk")[stretch : stretch + 1]  # type: ignore[return-value]


def _matching(
    events: Events,
    company_id: int,
    wanted: EventFilter,
    connection: Connection | None,
    floor: int | None,
) -> QuerySet[ConversionEvent]:
    found = log.in_state(
        log.narrowed(events, company_id, wanted, connection), wanted.chip
    )
    if floor is not None:
        found = found.filter(pk__gt=floor)
    return found.values("pk")[: COUNT_LIMIT + 1]  # type: ignore[return-value]


def _bounded(count: int, *, is_cut: bool) -> BoundedCount:
    return BoundedCount(min(count, COUNT_LIMIT), is_cut or count > COUNT_LIMIT)


def _sum(parts: Iterable[BoundedCount]) -> BoundedCount:
    counts = list(parts)
    total = sum(part.count for part in counts)
    return BoundedCount(
        min(total, COUNT_LIMIT),
        total > COUNT_LIMIT or any(part.is_more for part in counts),
    )


# The reasons to filter by, in groups. OTHERS has all reasons that no group has.

_GROUPS: Final[dict[str, tuple[Reason, ...]]] = {
    "Lead or deal": (
        Reason.NO_EMAIL,
        Reason.OPTED_OUT,
        Reason.LEAD_DELETED,
        Reason.DEAL_DELETED,
        Reason.ERASED,
        Reason.DATA_REFUSED,
    ),
    "Event": (
        Reason.ALREADY_COUNTED,
        Reason.MERGED,
        Reason.TOO_OLD,
        Reason.TAKEN_BACK,
        Reason.CANCELLED_BY_HAND,
        Reason.BACKFILL_CANCELLED,
    ),
    "Rule": (
        Reason.RULE_INACTIVE,
        Reason.RULE_DELETED,
        Reason.RULE_FORBIDDEN,
        Reason.RULE_NOT_FOUND,
        Reason.RULE_MISCONFIGURED,
        Reason.REFUSED,
    ),
    "LinkedIn not available": (
        Reason.THROTTLED,
        Reason.SERVER_TROUBLE,
        Reason.TIMED_OUT,
        Reason.UNREACHABLE,
        Reason.ANSWER_UNREADABLE,
        Reason.UNCLEAR,
    ),
}
OTHERS: Final = "Connection"
Choices = Sequence[tuple[str, str | Sequence[tuple[str, str]]]]


def reason_choices(company_id: int, chosen: str) -> Choices:
    """The reasons in the company's daily counts, and the `chosen` one, in groups."""
    counted = (
        DayCount.objects.for_company(company_id)
        .order_by()
        .values_list("reason", flat=True)
        .distinct()
    )
    occurring = {*counted, chosen}
    grouped = set(chain(*_GROUPS.values()))
    others = tuple(reason for reason in Reason if reason and reason not in grouped)
    choices: list[tuple[str, str | Sequence[tuple[str, str]]]] = [("", "Any reason")]
    for title, group in {**_GROUPS, OTHERS: others}.items():
        reasons = [
            (reason.value, str(reason.label))
            for reason in group
            if reason.value in occurring
        ]
        if reasons:
            choices.append((title, reasons))
    return [*choices, (NO_REASON, "None")]
