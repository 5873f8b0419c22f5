"""CRM events of rows that come from a fixture.

`loaddata` writes with `save_base(raw=True)` on the base class, so that only signals see it; and it may write a lead
before the status that the lead refers to. So the rows are collected and looked at when the load ends, still inside its
transaction. Events that came in the same fixture are not fired again: restoring a dump fires nothing.
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
from crm.models.recorder import record
from crm.models.snapshots import RowSnapshot, snapshots
from crm.models.tracking import Tracked


class _Restore:
    def __init__(self) -> None:
        self.before: defaultdict[type[Tracked], dict[int, RowSnapshot | None]] = defaultdict(dict)
        self.known: set[tuple[str, int | None, int | None]] = set()

    def finish(self, using: str) -> None:
        for model, before in self.before.items():
            was = {pk: moment for pk, moment in before.items() if moment is not None}
            record(model, was, snapshots(model, before, using=using), using=using, known=self.known)


_restore: ContextVar[_Restore | None] = ContextVar("restore", default=None)


@contextmanager
def restoring(using: str) -> Iterator[None]:
    """Collect what a fixture writes, and record its CRM events at the end. Call it inside the load's transaction."""
    restore = _Restore()
    token = _restore.set(restore)
    try:
        yield
        restore.finish(using)
    finally:
        _restore.reset(token)


@receiver(pre_save, sender=Lead)
@receiver(pre_save, sender=Deal)
def _before_raw_save(sender: type[Tracked], instance: Tracked, raw: bool, using: str, **kwargs: Any) -> None:
    if raw:
        found = snapshots(sender, [instance.pk], using=using, lock=False) if instance.pk is not None else {}
        instance._before_raw_save = found.get(instance.pk)  # type: ignore[attr-defined]


@receiver(post_save, sender=Lead)
@receiver(post_save, sender=Deal)
def _after_raw_save(sender: type[Tracked], instance: Tracked, raw: bool, using: str, **kwargs: Any) -> None:
    if not raw:
        return
    before: RowSnapshot | None = instance._before_raw_save  # type: ignore[attr-defined]
    restore = _restore.get()
    if restore is not None:
        restore.before[sender].setdefault(instance.pk, before)
        return
    was = {instance.pk: before} if before is not None else {}
    record(sender, was, snapshots(sender, [instance.pk], using=using), using=using)


@receiver(post_save, sender=CrmEvent)
def _event_restored(instance: CrmEvent, raw: bool, **kwargs: Any) -> None:
    restore = _restore.get()
    if raw and restore is not None:
        restore.known.add((instance.kind, instance.lead_id, instance.deal_id))
