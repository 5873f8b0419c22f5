"""Lists of leads: an import compared with a plain loop of saves, an export of all leads, and the memory of both."""

import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from io import StringIO
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command

from benchmarks import people, world
from benchmarks.report import Figure, compared, single
from crm.models import Lead, Membership, User
from crm.models.roles import Role
from crm.services import lead_imports

HEADER = (
    "First name",
    "Last name",
    "E-mail",
    "Phone",
    "Company",
    "Job title",
    "Source",
    "Notes",
)
FIELDS = (
    "first_name",
    "last_name",
    "email",
    "phone",
    "organisation",
    "title",
    "source",
    "notes",
)


def imports(*, rows: int, baseline_rows: int, rounds: int = 2) -> Iterator[Figure]:
    """An import of dirty rows, from the file to the last lead, and a loop of `Lead.save()` over clean ones, in turn.

    Measured twice: with the tests' PostgreSQL, which doesn't wait for the disk, and with one that does, as everywhere
    else: each save of the loop then waits for it.
    """
    reports = yield from _compared_imports(
        "import_vs_saves", rows, baseline_rows, rounds
    )
    last = reports[-1]
    seconds = last["seconds"] - last["check_seconds"]
    yield single(
        "import_run",
        rows / seconds,
        "rows/s",
        f"the same, from Start import to the end, in {seconds:.0f} s",
    )
    growth = max(report["growth_mb"] for report in reports)
    yield single(
        "import_growth_mb",
        growth,
        "MB",
        f"of the process that imports; {last['peak_mb']:.0f} MB in all",
    )
    with world.written_through():
        yield from _compared_imports(
            "import_vs_saves_on_disk", rows, baseline_rows, rounds
        )


def _compared_imports(
    measure: str, rows: int, baseline_rows: int, rounds: int
) -> Generator[Figure, None, list[dict[str, Any]]]:
    ours, plain, reports = [], [], []
    for turn in range(rounds):
        reports.append(_import(f"{measure}-{turn}", rows))
        ours.append(rows / reports[-1]["seconds"])
        plain.append(_saves(f"{measure}-saves-{turn}", baseline_rows))
    counts = ", ".join(
        f"{reports[-1][outcome]:,} {outcome}"
        for outcome in ("new", "update", "duplicate", "bad")
    )
    yield compared(
        measure,
        ours,
        plain,
        "rows/s",
        f"{rows:,} rows: {counts}; next to Lead.save() in a loop",
    )
    return reports


def export(*, leads: int) -> Iterator[Figure]:
    """An export of all leads of a large company with all columns: requested, written and downloaded."""
    sizes = {"leads": leads, "deals": 0, "tasks": 0, "notes": 0, "companies": 1}
    call_command("make_crm", name="Export", anyway=True, stdout=StringIO(), **sizes)
    member = Membership.objects.filter(
        company__name="Export 1", role=Role.SALES
    ).order_by("pk")[0]
    report = _in_a_process("export", member.pk)
    assert report["rows"] == leads
    parts = f"{report['ask_seconds']:.1f} s to ask, {report['write_seconds']:.0f} s to write"
    size = f"{report['size'] / 2**20:.0f} MB of CSV"
    yield single(
        "export_s",
        report["seconds"],
        "s",
        f"{leads:,} leads with all columns, {size}: {parts}",
    )
    growth = f"of one process that does all of it; {report['peak_mb']:.0f} MB in all"
    yield single("export_growth_mb", report["growth_mb"], "MB", growth)


def dirty(count: int) -> bytes:
    """A CSV file. Of twenty rows, two are bad, two repeat the one before, and one is about an existing lead."""
    file = io.StringIO()
    lines = csv.writer(file)
    lines.writerow(HEADER)
    for number in range(count):
        row = _row(number)
        match number % 20:
            case 9 | 19:
                row[0] = row[1] = ""
                row[2] = f"row {number} at example.com"
            case 4 | 14:
                row = _row(number - 1)
            case 7:
                row[2] = _known(number)
        lines.writerow(row)
    return file.getvalue().encode()


def _row(number: int) -> list[str]:
    return [
        f"  Zoë {number % 97}", f"Müller-{number}  ", f"Row{number}@Example.COM", f"+31 20 {number:07}",
        f"Harbour & Sons {number % 5_000}, Ghent", "Head of  Fleet", "Trade fair",
        f"“Met” in hall {number % 9}; wants\nseats",
    ]  # fmt: skip


def _known(number: int) -> str:
    return f"lead{number // 20}@example.com"


def _import(name: str, rows: int) -> dict[str, Any]:
    company = people.connected_company(name, mapped=False)
    Lead.objects.bulk_create(people.new_leads(company, rows // 20 + 1))
    user = User.objects.create(
        username=f"{name}@example.com", email=f"{name}@example.com"
    )
    Membership.objects.create(company=company, user=user, role=Role.SALES)
    file = SimpleUploadedFile("leads.csv", dirty(rows))
    waiting = lead_imports.upload(company=company, file=file, actor=user)
    report = _in_a_process("import", waiting.pk)
    outcomes = {
        outcome: report[outcome] for outcome in ("new", "update", "duplicate", "bad")
    }
    assert outcomes == {
        "new": rows * 15 // 20,
        "update": rows // 20,
        "duplicate": rows // 10,
        "bad": rows // 10,
    }
    return report


def _saves(name: str, rows: int) -> float:
    company = people.connected_company(name, mapped=False)
    cells = [
        [" ".join(cell.split()) for cell in _row(number)] for number in range(rows)
    ]
    started = time.perf_counter()
    for row in cells:
        Lead(company=company, **dict(zip(FIELDS, row, strict=True))).save()
    return rows / (time.perf_counter() - started)


def _in_a_process(what: str, pk: int) -> dict[str, Any]:
    """The report of `benchmarks.lists`, which does this in a separate process."""
    command = [sys.executable, "-m", "benchmarks.lists", what, str(pk)]
    done = subprocess.run(
        command, cwd=world.ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report
