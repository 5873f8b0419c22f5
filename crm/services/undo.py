"""Undoing what a person has just done in the browser: a new status or stage, a new lead, a new deal."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now

from crm.models import (
    Attachment,
    Change,
    ChangedField,
    Company,
    CrmEvent,
    Deal,
    DealPerson,
    Lead,
    LostReason,
    Note,
    StageMeaning,
)
from crm.models.change import STEPS
from crm.models.tracking.origin import Occasion, occasion, undoing
from crm.models.tracking.recorder import take_back
from crm.models.tracking.tracked import Tracked
from crm.services import idempotency
from crm.services.editing import delete

MODELS: Final[tuple[type[Tracked], ...]] = (Deal, Lead)
FORMER_NOTE: Final[dict[str, Any]] = {
    "outcome_note": F("former_outcome_note"),
    "former_outcome_note": "",
}
# At most, from the creation to the last change of a row that was only added.
JUST_ADDED: Final = timedelta(seconds=1)


class NothingToUndo(Exception):
    """There is no such action, or it has been undone already."""


@dataclass(slots=True)
class UndoResult:
    """The result of an undo: rows by their outcome, and what had already been sent to ad platforms (`told`)."""

    put_back: list[Any] = field(default_factory=list)
    # Leads and deals that had been added.
    removed: list[Any] = field(default_factory=list)
    changed_since: list[Any] = field(default_factory=list)  # left as they are
    erased: list[Any] = field(default_factory=list)  # leads, left as they are
    # Leads that were merged into others, left as they are.
    merged: list[Any] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


@transaction.atomic
def undo(*, company: Company, action: uuid.UUID) -> UndoResult:
    """Put back the statuses and stages that the action changed, with their outcomes, and remove what it added.

    Rows that have been changed or erased since stay as they are. The action's CRM events that have not been sent never
    will be, and those that it took back are recorded again. Raises NothingToUndo.
    """
    changes = Change.objects.for_company(company).filter(action=action, field__in=STEPS)
    events = CrmEvent.objects.for_company(company).filter(
        action=action, taken_back_at=None
    )
    result = UndoResult()
    _lock_all(changes, events)
    for model in MODELS:
        is_about = Q(deal__isnull=model is Lead)
        _put_back(model, changes.filter(is_about), events, result)
        _remove(model, events, result)
    done = (result.put_back, result.removed)
    left = (result.changed_since, result.erased, result.merged)
    if not any(done + left):
        raise NothingToUndo
    return result


def _lock_all(changes: QuerySet[Change], events: QuerySet[CrmEvent]) -> None:
    """Lock the rows in the order of an edit, leads first, and before `take_back` locks others."""
    for model in reversed(MODELS):
        is_about = Q(deal__isnull=model is Lead)
        key = "deal" if model is Deal else "lead"
        pks: list[int] = []
        for rows in (changes, events):
            pks += rows.filter(is_about).values_list(key, flat=True)
        list(_locked(model, pks))


@dataclass(frozen=True, slots=True)
class PreviousStep:
    """What rows had before an action: the key of a status or stage and, for a deal, its lost reason and its note."""

    step: str
    lost_reason: int | None
    has_note: bool

    def columns(self, model: type[Tracked]) -> dict[str, Any]:
        reason = {"lost_reason": self.lost_reason} if model is Deal else {}
        note = FORMER_NOTE if self.has_note else {}
        return {f"{model.step}_id": self.step, "updated_at": Now(), **reason, **note}


@dataclass(slots=True)
class SortedRows:
    """The rows of an action to put back, by what they had, and those that someone has already set back."""

    by_previous: defaultdict[PreviousStep, list[Tracked]] = field(
        default_factory=lambda: defaultdict(list)
    )
    set_back: list[Tracked] = field(default_factory=list)

    @property
    def put_back(self) -> list[Tracked]:
        return [row for rows in self.by_previous.values() for row in rows]


def _put_back(
    model: type[Tracked],
    changes: QuerySet[Change],
    events: QuerySet[CrmEvent],
    result: UndoResult,
) -> None:
    rows = _sorted(model, changes, result)
    of_set_back = _of_rows(events, rows.set_back)
    left_open = dict(of_set_back.values_list("pk", "deal" if model is Deal else "lead"))
    told = take_back(_of_rows(events, [*rows.put_back, *rows.set_back]), sender=model)
    if not told:
        _leave_to_undo_of_set_back(CrmEvent._base_manager.filter(pk__in=left_open))
    result.told += told
    with undoing(_ended_by(changes)):
        for previous, alike in rows.by_previous.items():
            model._default_manager.filter(pk__in=[row.pk for row in alike]).update(
                **previous.columns(model)
            )
    result.put_back += [
        *rows.put_back,
        *(row for row in rows.set_back if row.pk in left_open.values()),
    ]


def _leave_to_undo_of_set_back(events: QuerySet[CrmEvent]) -> None:
    """Let undoing the change that set these rows back record these unsent events again, as if it had ended them."""
    newest = (
        Change._base_manager.filter(field__in=STEPS).order_by("-pk").values("action")
    )
    of_deal, of_lead = (
        newest.filter(deal=OuterRef("deal")),
        newest.filter(lead=OuterRef("lead"), deal=None),
    )
    for about, changes in (
        (events.exclude(deal=None), of_deal),
        (events.filter(deal=None), of_lead),
    ):
        about.update(taken_back_by=Coalesce(Subquery(changes[:1]), F("taken_back_by")))


def _sorted(
    model: type[Tracked], changes: QuerySet[Change], result: UndoResult
) -> SortedRows:
    """Lock the rows of these changes, and sort them. Adds those that stay as they are to the result."""
    change_of = {_pk_of(change): change for change in changes}
    previous_of = _previous_steps(model, changes)
    rows = list(_locked(model, change_of))
    newest = _newest_changes(model, change_of)
    found = SortedRows()
    for row in rows:
        change = change_of[row.pk]
        previous = previous_of(row, change) if newest.get(row.pk) == change.pk else None
        if _is_erased(row):
            result.erased.append(row)
        elif isinstance(row, Lead) and row.merged_into_id is not None:
            result.merged.append(row)
        elif str(getattr(row, f"{model.step}_id")) == change.old:
            found.set_back.append(row)
        elif previous:
            found.by_previous[previous].append(row)
        else:
            result.changed_since.append(row)
    return found


def _previous_steps(
    model: type[Tracked], changes: QuerySet[Change]
) -> Callable[[Tracked, Change], PreviousStep | None]:
    """A function that returns what a row had before its change, or None if that step has been deleted since."""
    keys = {key for change in changes for key in (change.old, change.new)}
    steps = model.step_model()._default_manager.filter(pk__in=keys)
    meanings = {str(pk): meaning for pk, meaning in steps.values_list("pk", "meaning")}
    reasons = _previous_reasons(changes)

    def previous_step(row: Tracked, change: Change) -> PreviousStep | None:
        meaning = meanings.get(change.old)
        if meaning is None:
            return None
        if not isinstance(row, Deal):
            return PreviousStep(change.old, None, has_note=False)
        reason = None
        if meaning == StageMeaning.LOST:
            reason = reasons.get(row.pk, row.lost_reason_id)
        return PreviousStep(
            change.old, reason, has_note=meaning != meanings.get(change.new)
        )

    return previous_step


def _previous_reasons(changes: QuerySet[Change]) -> dict[int | None, int | None]:
    """The lost reason that each deal had before the action of these changes, where it changed that."""
    same_action = Change._base_manager.filter(
        action__in=changes.values("action"), field=ChangedField.LOST_REASON
    )
    previous = {
        deal_id: int(old) if old else None
        for deal_id, old in same_action.values_list("deal_id", "old")
    }
    # A reason that has been deleted since can't be restored.
    found = set(
        LostReason.objects.filter(pk__in=filter(None, previous.values())).values_list(
            "pk", flat=True
        )
    )
    return {deal_id: pk if pk in found else None for deal_id, pk in previous.items()}


def _pk_of(change: Change) -> int:
    pk = change.deal_id or change.lead_id
    assert pk is not None
    return pk


def _newest_changes(model: type[Tracked], pks: Iterable[int]) -> dict[int, int]:
    """The newest change of each row's step: only that can be undone, or an old page would undo someone else's."""
    of_rows = Q(deal__in=pks) if model is Deal else Q(lead__in=pks, deal=None)
    changes = Change._base_manager.filter(of_rows, field__in=STEPS).order_by("pk")
    return {_pk_of(change): change.pk for change in changes}


def _remove(
    model: type[Tracked], events: QuerySet[CrmEvent], result: UndoResult
) -> None:
    added = events.filter(kind=model.created_kind).values_list(
        "deal" if model is Deal else "lead", flat=True
    )
    untouched: list[Any] = []
    for row in _locked(model, list(added)):
        if _is_erased(row):
            if row not in result.erased:
                result.erased.append(row)
        elif _is_untouched(row, events):
            if not _of_rows(events, [row]).exclude(api_key=None).exists():
                # A script that repeats its request reads that the row is gone.
                idempotency.forget(row=row)
            untouched.append(row)
        else:
            result.changed_since.append(row)
    # All at once: a sentence says how many.
    result.told += take_back(_of_rows(events, untouched), sender=model)
    for row in untouched:
        result.removed.append(str(row))
        delete(row=row)


def _locked(model: type[Tracked], pks: Iterable[int]) -> QuerySet[Any]:
    return (
        model._default_manager.select_for_update(no_key=True)
        .filter(pk__in=pks)
        .order_by("pk")
    )


def _of_rows(events: QuerySet[CrmEvent], rows: Sequence[Tracked]) -> QuerySet[CrmEvent]:
    deals = [row.pk for row in rows if isinstance(row, Deal)]
    leads = [row.pk for row in rows if isinstance(row, Lead)]
    return events.filter(Q(deal__in=deals) | Q(lead__in=leads, deal=None))


def _ended_by(changes: QuerySet[Change]) -> set[Occasion]:
    """The CRM events that these changes took back, as `Origin.reinstates` lists them."""
    ended = CrmEvent._base_manager.filter(taken_back_by__in=changes.values("action"))
    return {
        occasion(*event) for event in ended.values_list("kind", "lead_id", "deal_id")
    }


def _is_erased(row: Tracked) -> bool:
    return isinstance(row, Lead) and row.erased_at is not None


def _is_untouched(row: Lead | Deal, events: QuerySet[CrmEvent]) -> bool:
    """True if nothing has happened to the row since it was added by the action of these events."""
    has_deals = isinstance(row, Lead) and row.deals.exists()
    is_about = {"deal" if isinstance(row, Deal) else "lead": row}
    about = CrmEvent._base_manager.filter(**is_about)
    has_history = (
        row.changes.exists() or about.exclude(pk__in=events.values("pk")).exists()
    )
    has_more = any(
        kind.objects.filter(**is_about).exists()
        for kind in (Note, Attachment, DealPerson)
    )
    return (
        not has_deals
        and not has_history
        and not has_more
        and row.updated_at - row.created_at < JUST_ADDED
    )
