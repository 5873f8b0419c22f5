"""The question before a bulk change, with what it would do, and the leads for which the answer still holds."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from crm.models import BulkKind, Company, LeadChange, LeadStatus
from crm.models.lead import LeadQuerySet
from crm.selectors.bulk_changes import Belongings, belongings_of
from crm.services.lead_changes import Confirmation, MoreThanConfirmed
from crm.services.status_changes import StatusChange, status_change

ANSWERED_WITHIN: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class BulkQuestion:
    """How many leads would be changed, what that would send, and what would be deleted with them.

    `expected` is None unless a status is set, and `belongings` unless leads are deleted.
    """

    change: LeadChange
    lead_count: int
    asked_at: datetime
    expected: StatusChange | None
    belongings: Belongings | None

    @property
    def conversion_count(self) -> int:
        return self.expected.conversion_count if self.expected else 0

    @property
    def rules(self) -> frozenset[int]:
        """The ids of the rules that would send them."""
        return self.expected.rules if self.expected else frozenset()


def bulk_question(
    company: Company, change: LeadChange, leads: LeadQuerySet
) -> BulkQuestion:
    """The question about these leads of the company."""
    asked_at = timezone.now()  # before the leads are counted
    count = leads.order_by().count()
    is_deleting = count > 0 and change.kind == BulkKind.DELETE
    return BulkQuestion(
        change=change,
        lead_count=count,
        asked_at=asked_at,
        expected=_expected(change, leads) if count else None,
        belongings=belongings_of(company, leads) if is_deleting else None,
    )


def confirmed_leads(
    change: LeadChange, leads: LeadQuerySet, confirmed: Confirmation
) -> LeadQuerySet:
    """The leads that no one has added or changed since the question, by id.

    Raises MoreThanConfirmed if more or other conversions would be sent by now, or if the question is too old.
    """
    if not timedelta() <= timezone.now() - confirmed.asked_at < ANSWERED_WITHIN:
        raise MoreThanConfirmed
    leads = leads.filter(updated_at__lte=confirmed.asked_at)
    if not confirmed.leads or not confirmed.covers(_expected(change, leads)):
        raise MoreThanConfirmed
    return leads.order_by("pk")


def changed_since(leads: LeadQuerySet, confirmed: Confirmation) -> int:
    """How many of the leads were there at the time of the question, and have been changed since."""
    asked_at = confirmed.asked_at
    return (
        leads.order_by()
        .filter(created_at__lte=asked_at, updated_at__gt=asked_at)
        .count()
    )


def _expected(change: LeadChange, leads: LeadQuerySet) -> StatusChange | None:
    if isinstance(change.target, LeadStatus):
        return status_change(leads.order_by(), change.target)
    return None
