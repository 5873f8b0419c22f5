"""The program of the guide that keeps a copy in step: run as written there, killed, and compared with what there is."""

import json
import re
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from rest_framework.test import APIClient

from crm.models import ApiKey, Company, Deal, Lead, LeadMerge, Membership, Task
from crm.models.roles import Role
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from crm.services.merge_undo import undo_merge
from tests.conftest import make_deal, make_lead, make_task
from tests.crm.api.calling import caller

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.processes,
    pytest.mark.timeout(200),
]

GUIDE = settings.BASE_DIR / "docs" / "guide" / "api.md"
LEADS = 250
LISTS = {"lead": "leads", "deal": "deals", "task": "tasks"}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    _, _, section = GUIDE.read_text().partition("## Keeping a copy in step")
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found
    assert len(found[1].splitlines()) <= 40
    path = tmp_path / "copy_leads.py"
    path.write_text(found[1])
    return path


@pytest.fixture
def started(live_server: Any, company: Company, program: Path) -> Any:
    """Starts the program next to its copy."""
    key = ApiKey.objects.issue(company=company, role=Role.SALES, name="Copy")[1]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(program)],
            cwd=program.parent,
            env={"LEADMACHINE_URL": live_server.url, "LEADMACHINE_KEY": key},
        )

    return start


def copied(folder: Path) -> dict[tuple[str, int], Any]:
    with sqlite3.connect(folder / "copy.db") as copy:
        rows = copy.execute("SELECT kind, id, json FROM item").fetchall()
    return {(kind, pk): json.loads(text) for kind, pk, text in rows}


def listed(script: APIClient) -> dict[tuple[str, int], Any]:
    found = {}
    for kind, name in LISTS.items():
        url: str | None = f"/api/v1/{name}/"
        while url:
            page = script.get(url).json()
            found |= {(kind, row["id"]): row for row in page["results"]}
            url = page["next"]
    return found


def kill_at_each_point(started: Any) -> int:
    """Kill the program later and later, until it ends before. Returns how many times it was killed."""
    killed = 0
    for tenths in range(1, 100):
        process = started()
        try:
            assert process.wait(timeout=tenths / 10) == 0
            return killed
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
    raise AssertionError("The program never came to its end.")


def change_everything(member: Membership, merge: LeadMerge) -> None:
    """One of each way in which a copy can get out of step."""
    first, second, third, fourth, fifth, sixth = Lead.objects.order_by("pk")[:6]
    make_task(member, deal=Deal.objects.filter(lead=first).get())
    second.first_name = "Changed"
    second.save()
    merge_leads(kept=first, gone=third)  # its deal and task move
    erase_lead(lead=fourth, user=member.user)
    fifth.delete()
    Task.objects.filter(lead=sixth).delete()
    make_lead(member.company, email="new@example.com")
    undo_merge(merge=merge)


def test_a_copy_that_was_killed_at_each_point_is_in_step_in_the_end(
    started: Any, company: Company, sales: Membership, tmp_path: Path
) -> None:
    for number in range(LEADS):
        lead = make_lead(company, email=f"lead{number}@example.com")
        if number < 8:
            make_deal(lead)
            make_task(sales, lead=lead)
    kept, gone = Lead.objects.order_by("-pk")[:2]
    merge = merge_leads(kept=kept, gone=gone)
    for model in (Lead, Deal, Task):  # longer ago than the overlap of two runs
        model.objects.update(updated_at=timezone.now() - timedelta(hours=1))
    script = caller(company, "sales")

    killed = kill_at_each_point(started)
    assert copied(tmp_path) == listed(script)
    change_everything(sales, merge)
    assert copied(tmp_path) != listed(script)
    killed += kill_at_each_point(started)

    assert copied(tmp_path) == listed(script)
    assert killed
