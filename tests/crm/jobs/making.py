"""A job of each kind, about three rows, as a service stores it. None of its chunks is done yet."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from capi.delivery import lane
from capi.delivery.backfill import plan_next_chunk
from capi.models import ConversionRule
from capi.services import backfills
from crm.jobs.rounds import RUNNERS
from crm.jobs.runner import JobRunner
from crm.models import BulkKind, ExportFormat, LeadChange, Membership
from crm.models.job import Job
from crm.services import bulk_changes, data_exports, lead_imports
from crm.services.lead_changes import Confirmation
from tests.conftest import all_rules, make_lead
from tests.crm.data_exchange.importing.uploading import PEOPLE, upload
from tests.fixtures import GOOD_RULE

KINDS: Final = {runner.noun: runner for runner in RUNNERS}


def _leads(member: Membership) -> list[int]:
    return [
        make_lead(member.company, email=f"row{number}@example.com").pk
        for number in range(3)
    ]


def bulk_change(member: Membership) -> Job:
    keys = _leads(member)
    confirmed = Confirmation(3, 0, timezone.now(), all_rules())
    return bulk_changes.start(
        author=member, change=LeadChange(BulkKind.OWNER), keys=keys, confirmed=confirmed
    )


def data_export(member: Membership) -> Job:
    keys = _leads(member)
    return data_exports.export_list(
        author=member,
        kind="leads",
        file_format=ExportFormat.CSV,
        keys=keys,
        columns=(),
        filters=(),
    )


def lead_import(member: Membership) -> Job:
    checked = upload(member, PEOPLE)
    assert lead_imports.start(
        lead_import=checked, owner=None, tells_platforms=False, actor=member.user
    )
    checked.refresh_from_db()
    return checked


def backfill(member: Membership) -> Job:
    _leads(member)
    rule = ConversionRule.objects.create(
        company=member.company,
        name="Rule",
        crm_event="lead_created",
        linkedin_id=GOOD_RULE,
    )
    span = {
        "since": timezone.now() - timedelta(days=1),
        "until": timezone.now() + timedelta(minutes=1),
    }
    return backfills.start(rule=rule, user=member.user, **span)


MAKERS: Final[dict[str, Callable[[Membership], Job]]] = {
    "Bulk change": bulk_change,
    "Export": data_export,
    "Import": lead_import,
    "Backfill": backfill,
}


def advance(runner: JobRunner[Any], job: Job) -> bool:
    """Do a chunk as a worker does. Those of a backfill need a lease of the company's lane."""
    if runner.noun != "Backfill":
        return runner.advance(job.pk)
    lease = lane.take_lease(job.company_id)
    assert lease is not None
    try:
        return plan_next_chunk(lease)
    finally:
        lane.release(lease)
