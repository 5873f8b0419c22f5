"""Retry and cancel logged events, in chunks."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import transaction

from capi.delivery import cancellation, retries
from capi.delivery.wakeup import wake_on_commit
from capi.models import ConversionEvent
from crm.models import AuditAction, Company
from crm.models.tracking.snapshots import chunks
from crm.services import audit

STEP_SECONDS: Final = 5.0  # then the person sees the progress, and no proxy times out


@dataclass(frozen=True, slots=True)
class BulkResult:
    """How many events were changed. `reached` is the last id processed if events are left, otherwise None."""

    events: int
    reached: int | None = None


def retry_events(
    *, company: Company, pks: Sequence[int], about: ConversionEvent | None = None
) -> BulkResult:
    """Queue again those of the company's events that may be sent again. Stops after about STEP_SECONDS.

    `pks` are in ascending order.
    """
    return _in_chunks(retries.retry, AuditAction.RETRY, company, pks, about)


def cancel_events(
    *, company: Company, pks: Sequence[int], about: ConversionEvent | None = None
) -> BulkResult:
    """Cancel those of the company's events that may still be sent. Stops after about STEP_SECONDS.

    `pks` are in ascending order. Waits for the request in flight, at most slightly longer than SEND_TIMEOUT_SECONDS:
    events that LinkedIn accepts in it stay sent.
    """
    return _in_chunks(cancellation.cancel, AuditAction.CANCEL, company, pks, about)


def _in_chunks(
    do: Callable[..., int],
    action: AuditAction,
    company: Company,
    pks: Sequence[int],
    about: ConversionEvent | None,
) -> BulkResult:
    """Run `do` in short audited transactions, so that deliveries and saves can run in between."""
    total, until = 0, time.monotonic() + STEP_SECONDS
    for chunk in chunks(pks):
        with transaction.atomic():
            done = do(company_id=company.pk, pks=chunk)
            if done:
                details: audit.Details = {
                    "events": done,
                    "from": chunk[0],
                    "to": chunk[-1],
                }
                audit.record(
                    company=company,
                    action=action,
                    about=about,
                    details={} if about else details,
                )
                wake_on_commit(company.pk)
        total += done
        if time.monotonic() >= until and chunk[-1] != pks[-1]:
            return BulkResult(total, reached=chunk[-1])
    return BulkResult(total)
