"""The base class of leads and deals, and their queryset: every write records its CRM events."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from django.db import DatabaseError, connections, models, router, transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery

from crm.models import many_rows
from crm.models.company import Company
from crm.models.event import CrmEventKind
from crm.models.steps import StepQuerySet
from crm.models.tenancy import CompanyQuerySet
from crm.models.tracking.recorder import record, record_changes, record_new
from crm.models.tracking.recorder_sql import EventTimes
from crm.models.tracking.snapshots import (
    RowSnapshot,
    chunks,
    snapshots,
    supports_returning_old,
    update,
)

T = TypeVar("T", bound="Tracked", covariant=True)


class TrackedQuerySet(CompanyQuerySet[T]):
    """A queryset that records the CRM events of its writes."""

    def update(self, **kwargs: Any) -> int:
        if not self.model.watched & kwargs.keys() or self.query.is_sliced:
            return super().update(**kwargs)
        self._for_write = True
        updated = 0
        with transaction.atomic(using=self.db, savepoint=False):
            parts = list(
                chunks(sorted(set(self.order_by().values_list("pk", flat=True))))
            )
            if len(parts) > 1:
                self._lock(parts)
            for pks in parts:
                before = snapshots(self.model, pks, using=self.db, lock=True)
                # Apply the filter again now that the rows are locked: one of them may have changed in the meantime.
                updated += super(
                    TrackedQuerySet, self.filter(pk__in=list(before))
                ).update(**kwargs)
                record(
                    self.model,
                    before,
                    snapshots(self.model, before, using=self.db),
                    using=self.db,
                )
        return updated

    update.alters_data = True  # type: ignore[attr-defined]

    def update_without_events(self, **kwargs: Any) -> int:
        """Like `update`, but only for the history: no CRM event is recorded or taken back, and no signal is sent."""
        self._for_write = True
        with transaction.atomic(using=self.db, savepoint=False):
            pks = sorted(set(self.order_by().values_list("pk", flat=True)))
            before = snapshots(self.model, pks, using=self.db, lock=True)
            updated = super(TrackedQuerySet, self.filter(pk__in=list(before))).update(
                **kwargs
            )
            record_changes(
                self.model,
                before,
                snapshots(self.model, before, using=self.db),
                using=self.db,
            )
        return updated

    update_without_events.alters_data = True  # type: ignore[attr-defined]

    def _lock(self, parts: Iterable[Sequence[int]]) -> None:
        """Lock all rows of a change before the first part is written.

        Writing a part may lock other rows (`take_back`), which are always locked after leads and deals. If a change
        held such rows and then locked more leads, it could deadlock with one that holds these leads and waits for the
        rows.
        """
        rows: QuerySet[Any] = (
            QuerySet(self.model, using=self.db)
            .select_for_update(no_key=True)
            .order_by("pk")
        )
        for pks in parts:
            list(rows.filter(pk__in=pks).values_list("pk", flat=True))

    def bulk_create(
        self,
        objs: Iterable[Any],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[Any]:
        """Django's `bulk_create`, plus the CRM events.

        Raises ValueError for the conflict options: the database does not report which rows it wrote, so their CRM
        events would be unknown. Use `update_or_create`.
        """
        if ignore_conflicts or update_conflicts:
            raise ValueError(
                "bulk_create() can't ignore or update conflicts here: the database does not report which rows it "
                "wrote, so their CRM events would be lost. Use update_or_create()."
            )
        rows = list(objs)
        self._for_write = True
        with transaction.atomic(using=self.db, savepoint=False):
            fill_in_steps(rows)
            created = super().bulk_create(rows, batch_size=batch_size)
            self._record_new([row.pk for row in created])
        return created

    bulk_create.alters_data = True  # type: ignore[attr-defined]

    def insert_like(
        self,
        template: "Tracked",
        rows: Sequence[Mapping[str, Any]],
        *,
        keys: Sequence[int] | None = None,
        times: EventTimes | None = None,
    ) -> Sequence[int]:
        """Insert copies of the template, each with its values by attribute. Returns their keys, in this order.

        `times` says when the CRM events of deals happened, if that was not now.
        Like `bulk_create` in a third of the time, but values can't be expressions. `keys` were reserved before.
        """
        if not rows:
            return []
        self._for_write = True
        fields = self.model._meta.local_concrete_fields
        with transaction.atomic(using=self.db, savepoint=False):
            if not all(f"{template.step}_id" in row for row in rows):
                fill_in_steps([template])
            usual = {field.attname: field.pre_save(template, True) for field in fields}
            del usual["id"]
            keys = keys or many_rows.new_keys(self.model, len(rows), using=self.db)
            values = (
                [key, *{**usual, **row}.values()]
                for key, row in zip(keys, rows, strict=True)
            )
            many_rows.insert_rows(self.model, ["id", *usual], values, using=self.db)
            self._record_new(keys, times)
        return keys

    insert_like.alters_data = True  # type: ignore[attr-defined]

    def update_rows(
        self,
        names: Sequence[str],
        rows: Mapping[int, Sequence[Any]],
        **same: models.Expression,
    ) -> None:
        """Write these values by key, and the expressions of `same` into all rows: `bulk_update` in one statement."""
        if not rows:
            return
        self._for_write = True
        with transaction.atomic(using=self.db, savepoint=False):
            if not self.model.watched & {*names, *same}:
                many_rows.update_rows(self.model, names, rows, using=self.db, same=same)
                return
            before = snapshots(self.model, sorted(rows), using=self.db, lock=True)
            there = {pk: values for pk, values in rows.items() if pk in before}
            many_rows.update_rows(self.model, names, there, using=self.db, same=same)
            record(
                self.model,
                before,
                snapshots(self.model, before, using=self.db),
                using=self.db,
            )

    update_rows.alters_data = True  # type: ignore[attr-defined]

    def _record_new(self, keys: Sequence[int], times: EventTimes | None = None) -> None:
        for pks in chunks(keys):
            record_new(self.model, pks, using=self.db, times=times)


class InOneText(models.Func):
    """The values with a blank between them."""

    template = "(%(expressions)s)"
    arg_joiner = " || ' ' || "
    output_field = models.TextField()


class DeletedMeanwhile(DatabaseError):
    """The lead or deal has been deleted since it was read. Nothing was saved."""


@dataclass(slots=True)
class RowChange:
    """The row before and after a save, by primary key. Empty where unknown."""

    before: dict[int, RowSnapshot] = field(default_factory=dict)
    after: dict[int, RowSnapshot] = field(default_factory=dict)


class Tracked(models.Model):
    """A lead or a deal: a row whose changes are recorded as CRM events."""

    company: "models.ForeignKey[Company, Company]"
    company_id: int

    step: ClassVar[str]  # the field that holds the status or stage
    first_meaning: ClassVar[str]  # of a new row's default step
    created_kind: ClassVar[CrmEventKind]
    kinds_by_meaning: ClassVar[dict[str, CrmEventKind]]
    watched: ClassVar[frozenset[str]]  # fields whose update() may cause an event
    # Columns of the row that go into a RowSnapshot.
    snapshot_columns: ClassVar[tuple[str, ...]]
    # The rows that a save may write, checked again after waiting for another change.
    writable: ClassVar[Q] = Q()
    _change: RowChange | None = None  # set only during a save

    class Meta:
        abstract = True
        base_manager_name = "objects"  # related managers must write through it too

    @classmethod
    def snapshot_subqueries(cls) -> dict[str, Subquery]:
        """The values of a RowSnapshot from other tables: the `step`, and each other row's company (`…_company`).

        The step is its company's id and its meaning in one text: a save reads it twice, and for each value by itself
        would read it four times.
        """
        own_step = (
            cls.step_model()
            ._default_manager.filter(pk=OuterRef(f"{cls.step}_id"))
            .order_by()
        )
        return {"step": Subquery(own_step.values_list(InOneText("company", "meaning")))}

    @classmethod
    def step_model(cls) -> type[models.Model]:
        return cls._meta.get_field(cls.step).related_model  # type: ignore[return-value]

    def save_base(
        self,
        raw: bool = False,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        using = using or router.db_for_write(type(self), instance=self)
        options: dict[str, Any] = {
            "raw": raw,
            "force_insert": force_insert,
            "force_update": force_update,
            "using": using,
            "update_fields": update_fields,
        }
        if raw or (update_fields is not None and not self.watched & set(update_fields)):
            return super().save_base(**options)
        model = type(self)
        # No savepoint, as in Django's own save: after an error the caller must roll back its transaction.
        with transaction.atomic(using=using, savepoint=False):
            fill_in_steps([self])
            # A receiver may save the same row again.
            outer, self._change = self._change, (change := RowChange())
            try:
                super().save_base(**options)
            finally:
                self._change = outer
            record(
                model,
                change.before,
                change.after or snapshots(model, [self.pk], using=using),
                using=using,
            )

    def _do_update(
        self,
        base_qs: Any,
        using: str | None,
        pk_val: Any,
        values: Any,
        fields: Any,
        *args: Any,
    ) -> Any:
        """Django's `_do_update`. Keeps the change. With `update_fields`, raises DeletedMeanwhile if the row is gone."""
        change = self._change
        updated: Any
        if (
            change is not None
            and values
            and supports_returning_old(connections[base_qs.db])
        ):
            change.before, change.after = update(
                type(self), pk_val, values, using=base_qs.db
            )
            updated = bool(change.after)
        else:
            if change is not None:
                change.before = snapshots(
                    type(self), [pk_val], using=base_qs.db, lock=True
                )
            updated = super()._do_update(
                base_qs.filter(self.writable), using, pk_val, values, fields, *args
            )
        if fields and not updated:
            raise DeletedMeanwhile
        return updated


def fill_in_steps(rows: Iterable[Tracked]) -> None:
    """Give each row without a status or stage its company's first one with the default meaning."""
    first: dict[int, models.Model] = {}
    for row in rows:
        if getattr(row, f"{row.step}_id") is None and row.company_id is not None:
            if row.company_id not in first:
                steps: StepQuerySet[Any] = row.step_model()._default_manager  # type: ignore[assignment]
                first[row.company_id] = steps.first_for(row.company, row.first_meaning)
            setattr(row, row.step, first[row.company_id])
