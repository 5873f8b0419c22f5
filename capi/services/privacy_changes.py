"""Repeats what the privacy log says, all of it: what it says about leads and deals, and about conversion events."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from django.db.models import Q

from capi.delivery.cancellation import CANCELLABLE
from capi.models import Backfill, ConversionEvent
from capi.models.backfill import OPEN_BACKFILLS
from capi.services import backfills
from capi.services.events import cancel_events
from crm.models import Company
from crm.models.privacy_log import PrivacyChange, Subject
from crm.services.privacy_changes import IN_CRM, Outcome, Repeat, repeat


def _cancel_backfills(rows: Sequence[Backfill]) -> None:
    for backfill in rows:
        backfills.cancel(backfill=backfill)


def _cancel_events(events: Sequence[ConversionEvent]) -> None:
    company, left = (
        Company.objects.get(pk=events[0].company_id),
        [event.pk for event in events],
    )
    while left:
        result = cancel_events(company=company, pks=left)
        left = [pk for pk in left if pk > (result.reached or left[-1])]


OF_CONVERSIONS: Final = (
    Repeat(
        PrivacyChange.CANCELLED_BACKFILLS,
        "backfills cancelled",
        Backfill,
        "created_at",
        Q(state__in=OPEN_BACKFILLS),
        _cancel_backfills,
    ),
    Repeat(
        PrivacyChange.CANCELLED,
        "conversion events cancelled",
        ConversionEvent,
        "created_at",
        CANCELLABLE,
        _cancel_events,
    ),
)


def repeat_all(
    changes: Mapping[Subject, PrivacyChange], *, dry_run: bool = False
) -> Iterator[Outcome]:
    """Repeat those of these changes that the database does not have. Yields the outcome of each kind.

    With `dry_run`, it only counts them.
    """
    for how in (*IN_CRM, *OF_CONVERSIONS):
        yield repeat(changes, how, dry_run=dry_run)
