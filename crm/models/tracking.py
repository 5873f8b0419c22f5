"""How a change of a lead or a deal becomes a `CrmEvent`, whichever way of the ORM it took.

Every way of writing does the same three things in one transaction: lock the rows and read what decides (`moments`),
write, then read again and record the difference (`record`). A save does the first three in one statement where the
database can (`update`). What memory held before the write is never trusted: another request may have changed the row.

- `save()`, `create()`, `get_or_create()`, forms, the admin, the API: `Tracked.save_base`
- `QuerySet.update()`, `bulk_update()`, related managers: `TrackedQuerySet.update`
- `bulk_create()`: `TrackedQuerySet.bulk_create`
- fixtures: `crm.models.fixtures`, because `loaddata` goes past all of these

Raw SQL is out of reach.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from django.db import DatabaseError, connections, models, router, transaction
from django.db.models import OuterRef, Subquery

from crm.models.company import Company, StepQuerySet
from crm.models.event import CrmEventKind
from crm.models.recorder import acting_as, record
from crm.models.snapshots import RowSnapshot, chunks, snapshots, supports_returning_old, update
from crm.models.tenancy import CompanyQuerySet

__all__ = ["Tracked", "TrackedQuerySet", "acting_as"]

T = TypeVar("T", bound="Tracked", covariant=True)


class TrackedQuerySet(CompanyQuerySet[T]):
    """A queryset that records what its writes make happen."""

    def update(self, **kwargs: Any) -> int:
        if not self.model.watched & kwargs.keys() or self.query.is_sliced:
            return super().update(**kwargs)
        self._for_write = True
        updated = 0
        with transaction.atomic(using=self.db, savepoint=False):
            for pks in chunks(sorted(set(self.order_by().values_list("pk", flat=True)))):
                before = snapshots(self.model, pks, using=self.db, lock=True)
                # The filter is asked again, now that the rows are locked: one of them may have changed meanwhile.
                updated += super(TrackedQuerySet, self.filter(pk__in=list(before))).update(**kwargs)
                record(self.model, before, snapshots(self.model, before, using=self.db), using=self.db)
        return updated

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(
        self,
        objs: Iterable[Any],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[Any]:
        """As Django's, and records what it made happen.

        Raises ValueError for the conflict options: the database does not say which rows it wrote, so that the CRM
        events could not be known. Use `update_or_create`.
        """
        if ignore_conflicts or update_conflicts:
            raise ValueError(
                "bulk_create can't ignore or update conflicts here: the database does not tell which rows it wrote, "
                "and their CRM events would be lost. Use update_or_create()."
            )
        rows = list(objs)
        self._for_write = True
        with transaction.atomic(using=self.db, savepoint=False):
            fill_in_steps(rows)
            created = super().bulk_create(rows, batch_size=batch_size)
            for pks in chunks([row.pk for row in created]):
                record(self.model, {}, snapshots(self.model, pks, using=self.db), using=self.db)
        return created

    bulk_create.alters_data = True  # type: ignore[attr-defined]


class DeletedMeanwhile(DatabaseError):
    """The lead or deal was deleted since it was read. Nothing was saved."""


@dataclass(slots=True)
class Change:
    """What a save found out as it wrote: its row as it was and as it is, by primary key. Empty if that is not known."""

    before: dict[int, RowSnapshot] = field(default_factory=dict)
    after: dict[int, RowSnapshot] = field(default_factory=dict)


class Tracked(models.Model):
    """A lead or a deal: a row whose changes are CRM events."""

    company: "models.ForeignKey[Company, Company]"
    company_id: int

    step: ClassVar[str]  # the field that holds the status or stage
    first_meaning: ClassVar[str]  # of the step that a new row gets by itself
    created_kind: ClassVar[CrmEventKind]
    kinds_by_meaning: ClassVar[dict[str, CrmEventKind]]
    watched: ClassVar[frozenset[str]]  # names in an update() that may make something happen
    moment_columns: ClassVar[tuple[str, ...]]  # what a Moment needs from the row itself
    _change: Change | None = None  # while it is being saved

    class Meta:
        abstract = True
        base_manager_name = "objects"  # related managers write through here too

    @classmethod
    def moment_subqueries(cls) -> dict[str, Subquery]:
        """What a Moment needs from other tables: `meaning`, and the company of each row referred to (`…_company`)."""
        own_step = cls.step_model()._default_manager.filter(pk=OuterRef(f"{cls.step}_id")).order_by()
        return {"meaning": Subquery(own_step.values("meaning")), "step_company": Subquery(own_step.values("company"))}

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
            "raw": raw, "force_insert": force_insert, "force_update": force_update, "using": using,
            "update_fields": update_fields,
        }  # fmt: skip
        if raw or (update_fields is not None and not self.watched & set(update_fields)):
            return super().save_base(**options)
        model = type(self)
        # No savepoint, as in Django's own save: an error here leaves the caller's transaction to be rolled back.
        with transaction.atomic(using=using, savepoint=False):
            fill_in_steps([self])
            around, self._change = self._change, (change := Change())  # a listener may save the same row again
            try:
                super().save_base(**options)
            finally:
                self._change = around
            record(model, change.before, change.after or snapshots(model, [self.pk], using=using), using=using)

    def _do_update(self, base_qs: Any, using: str | None, pk_val: Any, values: Any, fields: Any, *args: Any) -> Any:
        """As Django's, and note what it changes. Raises DeletedMeanwhile for some fields of a row that is gone."""
        change = self._change
        updated: Any
        if change is not None and values and supports_returning_old(connections[base_qs.db]):
            change.before, change.after = update(base_qs.filter(pk=pk_val), values)
            updated = bool(change.after)
        else:
            if change is not None:
                change.before = snapshots(type(self), [pk_val], using=base_qs.db, lock=True)
            updated = super()._do_update(base_qs, using, pk_val, values, fields, *args)
        if fields and not updated:
            raise DeletedMeanwhile
        return updated


def fill_in_steps(rows: Iterable[Tracked]) -> None:
    """Give each row without a status or stage its company's first one of the usual meaning."""
    first: dict[int, models.Model] = {}
    for row in rows:
        if getattr(row, f"{row.step}_id") is None and row.company_id is not None:
            if row.company_id not in first:
                steps: StepQuerySet[Any] = row.step_model()._default_manager  # type: ignore[assignment]
                first[row.company_id] = steps.first_for(row.company, row.first_meaning)
            setattr(row, row.step, first[row.company_id])
