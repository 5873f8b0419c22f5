"""XLSX: texts are texts and never formulas, numbers and dates are what they are."""

import io
import os
import tempfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from shutil import disk_usage
from typing import Any
from unittest.mock import Mock

import pytest
from django.test import Client
from django.utils import timezone
from python_calamine import CalamineWorkbook
from xlsxwriter.exceptions import FileSizeError

from crm.data_exchange.exporting import list_rows, spreadsheets
from crm.jobs import rounds
from crm.models import DataExport, ExportPart, Membership
from crm.services import data_exports
from tests.conftest import make_deal, make_lead
from tests.crm.custom_values import make_field
from tests.crm.data_exchange.exporting.reading import ask, content

pytestmark = pytest.mark.django_db

FORMULAS = (
    "=1+1",
    "+31 6 1234",
    "-1",
    "@SUM(1)",
    "\t=1+1",
    "{=1+1}",
    "https://example.com",
    "12",
    "a\x0bb\x00",
)


@pytest.fixture
def client(client_as: Callable[[Membership], Client], sales: Membership) -> Client:
    return client_as(sales)


def cells(client: Client, made: DataExport) -> list[list[Any]]:
    assert made.state == "done"
    return (
        CalamineWorkbook.from_filelike(io.BytesIO(content(client, made)))
        .get_sheet_by_index(0)
        .to_python()
    )


@pytest.mark.covers("S21")
def test_no_text_becomes_a_formula_a_link_or_a_number(
    client: Client, sales: Membership
) -> None:
    texts = [text.replace("\x00", "") for text in FORMULAS]
    for text in texts:
        make_lead(sales.company, first_name="Ada", notes=text)

    made = ask(client, query="?sort=created", format="xlsx", columns="all")

    head, *found = cells(client, made)
    assert [row[head.index("Background")] for row in found] == texts
    assert b"<f>" not in content(client, made)


def test_amounts_and_dates_are_numbers_and_dates(
    client: Client, sales: Membership
) -> None:
    deal = make_deal(
        make_lead(sales.company), amount="1250.50", expected_close=date(2027, 1, 31)
    )

    head, row = cells(client, ask(client, "deal_export", format="xlsx", columns="all"))

    found = dict(zip(head, row, strict=True))
    assert (found["Amount"], found["Expected close"]) == (1250.5, date(2027, 1, 31))
    assert isinstance(found["Created"], datetime)
    with timezone.override(sales.company.time_zone):
        assert (
            abs(found["Created"] - timezone.make_naive(deal.created_at)).total_seconds()
            < 1
        )


def test_dates_that_spreadsheets_do_not_have_are_texts(
    client: Client, sales: Membership
) -> None:
    born = make_field(sales.company, "Born", "date")
    for day in ("1799-12-31", "1900-03-01"):
        make_lead(sales.company, custom={born.key: day})

    made = ask(client, query="?sort=created", format="xlsx", columns="all")

    head, *found = cells(client, made)
    assert [row[head.index("Born")] for row in found] == [
        "1799-12-31",
        date(1900, 3, 1),
    ]


def test_a_long_list_is_packed_in_the_order_of_its_rows(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_rows, "CHUNK", 2)
    monkeypatch.setattr(data_exports, "CHUNKS_AT_ONCE", 0)
    for number in range(5):
        make_lead(sales.company, first_name=f"P{number}")
    made = ask(client, query="?sort=name", format="xlsx")

    rounds.work_through(lambda: True)

    made.refresh_from_db()
    assert [row[0] for row in cells(client, made)] == [
        "First name",
        "P0",
        "P1",
        "P2",
        "P3",
        "P4",
    ]
    assert made.size == len(content(client, made))


def test_a_list_that_no_sheet_has_room_for_is_refused_in_a_sentence(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_exports, "MAX_ROWS", 0)
    make_lead(sales.company)

    answer = client.post(
        "/leads/export/", {"format": "xlsx", "columns": "all"}, follow=True
    )

    assert "Choose CSV, or narrow the list down." in answer.content.decode()
    assert not DataExport.objects.exists()


def test_a_spreadsheet_that_the_disk_has_no_room_for_is_refused_in_a_sentence(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    make_lead(sales.company)
    monkeypatch.setattr(
        spreadsheets, "disk_usage", lambda folder: disk_usage(folder)._replace(free=500)
    )

    made = ask(client, format="xlsx")

    assert (made.state, made.problem) == ("failed", spreadsheets.NO_ROOM)
    assert not ExportPart.objects.exists()
    assert "There is no space in" in caplog.text


def test_nothing_of_the_rows_is_left_in_the_temporary_folder_when_packing_fails_or_a_worker_was_killed(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_lead(sales.company)
    left = tmp_path / f"{spreadsheets.FOLDER}left"
    left.mkdir()
    os.utime(left, (0, 0))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(
        spreadsheets, "_write_cell", Mock(side_effect=FileSizeError("too large"))
    )

    made = ask(client, format="xlsx")

    assert (made.state, made.problem) == ("failed", spreadsheets.NO_ROOM)
    assert list(tmp_path.iterdir()) == []
