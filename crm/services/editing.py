"""Changing leads and deals, also where two people edit the same one at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models.functions import Now

from crm.models import Deal, Lead, LeadStatus, Stage
from crm.models.lead import LeadQuerySet
from crm.services.erasure import person_kept


def change_status(*, leads: LeadQuerySet, status: LeadStatus) -> int:
    """Give all these leads a status. Returns how many had another one."""
    return leads.not_erased().exclude(status=status).update(status=status, updated_at=Now())


def move_deal(*, deal: Deal, stage: Stage) -> None:
    """Put a deal into a stage. Only that is written: whatever else changed meanwhile stays."""
    deal.stage = stage
    deal.save(update_fields=["stage", "updated_at"])


# --- Two people who edit one lead or deal at once: the second is told, and overwrites nothing unseen.


class ChangedMeanwhile(Exception):
    """Somebody else has changed the row since it was read for editing."""


def version_of(row: Lead | Deal) -> str:
    """What tells this state of the row from every other."""
    return row.updated_at.isoformat()


@contextmanager
def unchanged_since(version: str, row: Lead | Deal) -> Iterator[None]:
    """Hold the row, and its person, while it is written. Where the version is "" any state of it will do.

    Raises ChangedMeanwhile where its version is another, PersonErased, and DoesNotExist where it was deleted.
    """
    with person_kept(row.pk if isinstance(row, Lead) else row.lead_id):
        now = type(row)._base_manager.select_for_update(no_key=True).only("updated_at").get(pk=row.pk)
        if version and version_of(now) != version:
            raise ChangedMeanwhile
        yield
