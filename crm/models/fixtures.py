"""CRM events of rows loaded from a fixture.

`loaddata` calls `save_base(raw=True)` on the base class, so only signals see the write, and it may write a lead before
its status. So rows are collected and compared at the end of the load, inside its transaction. Events in the same
fixture are not fired again: restoring a dump fires nothing.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver

from crm.models.deal import Deal
from crm.models.event import CrmEvent
from crm.models.lead import Lead
from crm.models.tracking.recorder import record
from crm.models.tracking.snapshots import RowSnapshot, snapshots
from crm.models.tracking.tracked import Tracked
from crm.search.deal_index import rewrite_deal_texts


class _FixtureLoad:
    def __init__(self) -> None:
        self.before: defaultdict[type[Tracked], dict[int, RowSnapshot | None]] = (
            defaultdict(dict)
        )
        self.known: set[tuple[str, int | None, int | None]] = set()

    def finish(self, using: str) -> None:
        for model, before in self.before.items():
            existing = {
                pk: snapshot for pk, snapshot in before.items() if snapshot is not None
            }
            record(
                model,
                existing,
                snapshots(model, before, using=using),
                using=using,
                known=self.known,
            )
        rewrite_deal_texts(self.before[Lead], using=using)


_current_load: ContextVar[_FixtureLoad | None] = ContextVar(
    "fixture_load", default=None
)


@contextmanager
def restoring(using: str) -> Iterator[None]:
    """Collect what a fixture writes and record its CRM events at the end. Call inside the load's transaction."""
    load = _FixtureLoad()
    token = _current_load.set(load)
    try:
        yield
        load.finish(using)
    finally:
        _current_load.reset(token)


@receiver(pre_save, sender=Lead)
@receiver(pre_save, sender=Deal)
def _before_raw_save(
    sender: type[Tracked], instance: Tracked, raw: bool, using: str, **kwargs: Any
) -> None:
    if raw:
        existing = {}
        if instance.pk is not None:
            existing = snapshots(sender, [instance.pk], using=using, lock=False)
        instance._before_raw_save = existing.get(instance.pk)  # type: ignore[attr-defined]


@receiver(post_save, sender=Lead)
@receiver(post_save, sender=Deal)
def _after_raw_save(
    sender: type[Tracked], instance: Tracked, raw: bool, using: str, **kwargs: Any
) -> None:
    if not raw:
        return
    before: RowSnapshot | None = instance._before_raw_save  # type: ignore[attr-defined]
    load = _current_load.get()
    if load is not None:
        load.before[sender].setdefault(instance.pk, before)
        return
    existing = {instance.pk: before} if before is not None else {}
    record(sender, existing, snapshots(sender, [instance.pk], using=using), using=using)


@receiver(post_save, sender=CrmEvent)
def _event_restored(instance: CrmEvent, raw: bool, **kwargs: Any) -> None:
    load = _current_load.get()
    if raw and load is not None:
        load.known.add((instance.kind, instance.lead_id, instance.deal_id))
