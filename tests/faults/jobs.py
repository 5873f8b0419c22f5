"""Jobs that each run in their own process, on the database that its environment names.

Run as `python -m tests.faults.jobs JOB ...`:

    prepare           a company with a token and a rule; prints a key for its API
    add SLUG COUNT    that many leads in chunks, as an import does; goes on where an earlier one was killed
    work              deliver what is due, round after round, until it is killed
    finish            ends once no event is open
    compare LEDGER    our books with the receiver's: prints as JSON what is broken, and what there is. A number after it
                      says how many answers the test may have hidden
"""

import json
import os
import sys
import time
from pathlib import Path

import django

CHUNK = 500


def prepare() -> None:
    from capi import services
    from capi.models import ConversionRule
    from crm.models import ApiKey, Company
    from tests.conftest import TOKEN

    company = Company.objects.create(name="Northwind", slug="northwind")
    services.save_token(company=company, token=TOKEN)
    ConversionRule.objects.create(
        company=company, crm_event="lead_created", linkedin_id="104012", name="New lead"
    )
    print(ApiKey.objects.issue(company=company, role="sales", name="For a test")[1])


def add(slug: str, count: str) -> None:
    from django.db import transaction

    from crm.models import Company, Lead

    company = Company.objects.get(slug=slug)
    present = set(Lead.objects.for_company(company).values_list("email", flat=True))
    emails = [
        email
        for number in range(int(count))
        if (email := f"row{number}@example.com") not in present
    ]
    for start in range(0, len(emails), CHUNK):
        rows = [
            Lead(company=company, first_name="Row", email=email)
            for email in emails[start : start + CHUNK]
        ]
        with transaction.atomic():
            Lead.objects.bulk_create(rows)


def work() -> None:
    from capi.delivery import sweep
    from capi.delivery.deliver import deliver

    while True:
        for company_id in sweep.due_companies():
            deliver(company_id)
        time.sleep(0.05)


def finish() -> None:
    from capi.models import ConversionEvent

    while ConversionEvent.objects.pending().exists():
        time.sleep(0.1)


def compare(ledger: str, hidden: str = "0") -> None:
    from capi.linkedin.sandbox.request_log import RequestLog
    from capi.models import ConversionEvent
    from crm.models import Lead
    from tests.faults.invariants import Allowed, broken, extra_acceptances, leased_lanes

    while leased_lanes().exists():  # a killed worker's lease lapses automatically
        time.sleep(0.1)
    entries = RequestLog(Path(ledger)).tail(1_000_000)[::-1]
    found = {
        "broken": broken(entries, Allowed(hidden_answers=int(hidden))),
        "extra": extra_acceptances(entries),
        "leads": Lead.objects.count(),
        "accepted": ConversionEvent.objects.filter(
            state="accepted", attempts=1
        ).count(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmachine.settings")
    django.setup()
    jobs = {
        "prepare": prepare,
        "add": add,
        "work": work,
        "finish": finish,
        "compare": compare,
    }
    jobs[sys.argv[1]](*sys.argv[2:])
