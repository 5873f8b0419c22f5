"""Finds leads that may be the same person, a few at a time, after leads have been added or changed."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

from django.db import transaction
from django.db.models import F, OuterRef, Subquery
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan
from django.db.models.functions import Now

from crm.models import Company, DuplicateSearch, Lead, LeadDuplicate
from crm.models.lead_duplicate import likely_duplicates
from crm.services.background import tried

AT_ONCE: Final = 50  # leads in a transaction, of up to four short queries each
ROUND_SECONDS: Final = 10.0
PAIRS_AT_MOST: Final = 10  # of a lead: dozens may share an office's phone number
# A change has the time at which it began. If it is committed later than this after its beginning, it is missed.
SETTLED: Final = timedelta(minutes=1)
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


def look_for_duplicates(
    *, go_on: Callable[[], bool], is_sending: Callable[[], bool]
) -> None:
    """Check the leads added or changed since the last round, of each company in turn, for ROUND_SECONDS.

    While `is_sending` returns True, because some lane is busy, check AT_ONCE leads and no more: the conversions of a
    bulk import come first. Never check none: in a large installation, lanes may be busy all day.
    """
    until = time.monotonic() + ROUND_SECONDS
    behind = deque(_behind())
    while behind and go_on() and time.monotonic() < until:
        company_id = behind.popleft()
        failure = f"The duplicates of company {company_id} could not be found; the next round tries again."
        if tried(partial(look_at_some, company_id), failure=failure):
            behind.append(company_id)
        if is_sending():
            return


def look_at_some(company_id: int) -> bool:
    """Check the next AT_ONCE leads. Returns False if there were fewer, or if another worker is checking them."""
    with transaction.atomic():
        DuplicateSearch.objects.get_or_create(
            company_id=company_id, defaults={"reached_at": BEGINNING}
        )
        searches = DuplicateSearch.objects.filter(company=company_id)
        search = searches.select_for_update(skip_locked=True).first()
        if search is None:
            return False
        beyond = TupleGreaterThan(
            Tuple(F("updated_at"), F("pk")), (search.reached_at, search.reached_id)
        )
        changed = Lead.objects.for_company(company_id).filter(
            beyond, updated_at__lt=Now() - SETTLED
        )
        leads = list(changed.order_by("updated_at", "pk")[:AT_ONCE])
        if leads:
            _note(company_id, leads)
            search.reached_at, search.reached_id = leads[-1].updated_at, leads[-1].pk
            search.save(update_fields=["reached_at", "reached_id"])
        return len(leads) == AT_ONCE


def dismiss(*, pair: LeadDuplicate) -> None:
    """Remember that the two are not the same person."""
    LeadDuplicate.objects.filter(pk=pair.pk, dismissed_at=None).update(
        dismissed_at=Now()
    )


def _behind() -> list[int]:
    """The companies with a lead that has not been checked since its last change.

    The last change of each company is looked up in an index. Asked whether such a lead exists, PostgreSQL joined all
    leads with all companies, which took 6 seconds of each round with 500,000 leads of 300 companies.
    """
    settled = Lead.objects.filter(
        company=OuterRef("pk"), updated_at__lt=Now() - SETTLED
    )
    last = settled.order_by("-updated_at", "-pk")
    companies = Company.objects.annotate(
        changed_at=Subquery(last.values("updated_at")[:1]),
        changed_id=Subquery(last.values("pk")[:1]),
    )
    # In random order: a round may end after the first.
    found = companies.order_by("?").values_list(
        "pk",
        "changed_at",
        "changed_id",
        "duplicate_search__reached_at",
        "duplicate_search__reached_id",
    )
    return [
        company_id
        for company_id, changed_at, changed_id, reached_at, reached_id in found
        if changed_at is not None
        and (changed_at, changed_id) > (reached_at or BEGINNING, reached_id or 0)
    ]


def _note(company_id: int, leads: Sequence[Lead]) -> None:
    """Save the pairs that these leads are in now. A dismissed pair stays dismissed."""
    alike: set[tuple[int, int]] = set()
    kept: dict[tuple[int, int], str] = {}  # the reason of each pair
    for lead in leads:
        pairs = _pairs_of(lead)
        alike.update(pairs)
        kept.update(islice(pairs.items(), PAIRS_AT_MOST))
    old = {
        (pair.first_id, pair.second_id): pair.pk
        for pair in LeadDuplicate.objects.of(lead.pk for lead in leads)
    }
    gone = [pk for key, pk in old.items() if key not in alike and not _are_alike(*key)]
    LeadDuplicate.objects.open().filter(pk__in=gone).delete()
    new = [
        LeadDuplicate(
            company_id=company_id, first_id=first, second_id=second, reason=reason
        )
        for (first, second), reason in sorted(kept.items())
        if (first, second) not in old
    ]
    LeadDuplicate.objects.bulk_create(new, ignore_conflicts=True)


def _pairs_of(lead: Lead) -> dict[tuple[int, int], str]:
    """The pairs that the lead is in, most likely first: the keys of both, the lower first, and why."""
    if not lead.is_current:
        return {}
    return {
        (min(lead.pk, other.lead.pk), max(lead.pk, other.lead.pk)): other.reason
        for other in likely_duplicates(lead)
    }


def _are_alike(first: int, second: int) -> bool:
    """Check from both sides: if there are many candidates, one of the two may have found only others."""
    leads = Lead.objects.current().filter(pk__in=[first, second])
    return len(leads) == 2 and any(
        other.lead.pk in (first, second)
        for lead in leads
        for other in likely_duplicates(lead)
    )
