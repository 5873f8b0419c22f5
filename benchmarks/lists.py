"""A process that imports or exports a list of leads as a worker does, and prints the seconds and the memory it took.

`python -m benchmarks.lists import IMPORT_ID` or `python -m benchmarks.lists export MEMBERSHIP_ID`
"""

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from leadmachine.workers import ignore_what_stays

MB = 2**20


def main() -> None:
    what, pk = sys.argv[1:]
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    import django

    django.setup()
    ignore_what_stays()
    before = psutil.Process().memory_info().rss / MB
    result = {"import": _import, "export": _export}[what](int(pk))
    print(
        json.dumps({**result, "growth_mb": _peak_mb() - before, "peak_mb": _peak_mb()})
    )


def _import(pk: int) -> dict[str, Any]:
    """Read the file, check its rows, and import them."""
    from crm.jobs import rounds
    from crm.models import LeadImport
    from crm.services import lead_imports

    started = time.perf_counter()
    rounds.work_through(lambda: True)
    checked = time.perf_counter()
    lead_import = LeadImport.objects.get(pk=pk)
    user = lead_import.made_by
    assert user is not None
    assert lead_imports.start(
        lead_import=lead_import, owner=None, tells_platforms=False, actor=user
    )
    rounds.work_through(lambda: True)
    done = time.perf_counter()
    lead_import.refresh_from_db()
    assert lead_import.state == "done", lead_import.problem
    return {
        "seconds": done - started,
        "check_seconds": checked - started,
        **lead_import.done,
    }


def _export(pk: int) -> dict[str, Any]:
    """Ask for the list on its page, write the file, and download it."""
    from django.conf import settings
    from django.test import Client

    from crm.jobs import rounds
    from crm.models import DataExport, Membership

    settings.ALLOWED_HOSTS = ["*"]
    settings.HTTPS = False
    member = Membership.objects.get(pk=pk)
    client = Client()
    client.force_login(member.user, backend=settings.AUTHENTICATION_BACKENDS[0])
    started = time.perf_counter()
    client.post("/leads/export/", {"format": "csv", "columns": "all"})
    asked = time.perf_counter()
    rounds.work_through(lambda: True)
    written = time.perf_counter()
    made = DataExport.objects.get(company=member.company)
    answer = client.get(f"/exports/{made.pk}/download/")
    size = sum(map(len, answer.streaming_content))  # type: ignore[attr-defined]
    done = time.perf_counter()
    assert made.state == "done", made.problem
    return {
        "seconds": done - started,
        "ask_seconds": asked - started,
        "write_seconds": written - asked,
        "rows": made.row_count,
        "size": size,
    }


def _peak_mb() -> float:
    """The peak resident memory of this process so far, in MB. Only Linux reports it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    main()
