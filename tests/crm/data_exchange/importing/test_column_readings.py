"""One decimal sign and one order of day and month for a column, found from all of its values or asked for."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from crm.data_exchange.importing.column_readings import readings_of
from crm.models import Lead, LeadImport, LeadImportRow, Membership
from crm.services import lead_imports
from tests.crm.custom_values import make_field
from tests.crm.data_exchange.importing.uploading import run, upload, work_on

pytestmark = pytest.mark.django_db


def column(member: Membership, kind: str, *cells: str) -> LeadImport:
    """The import of a file with a column of this kind."""
    make_field(member.company, "Field", kind)
    return upload(
        member,
        "\n".join(
            [
                "First name\tField",
                *(f"Lead {n}\t{cell}" for n, cell in enumerate(cells)),
            ]
        ),
    )


def stored() -> list[Any]:
    return [lead.custom.get("field") for lead in Lead.objects.order_by("pk")]


@pytest.mark.parametrize(
    ("kind", "cells", "convention", "values"),
    [
        (
            "number",
            ["1.200", "12.500", "1,500", "1.234,5"],
            "comma",
            ["1200", "12500", "1.5", "1234.5"],
        ),
        ("number", ["1,200", "1.5"], "point", ["1200", "1.5"]),
        ("number", ["1200", "7"], "", ["1200", "7"]),
        ("number", ["1,5", "1.5", "3"], "comma", ["1.5", "1.5", "3"]),
        ("money", ["1.200", "\u20ac 12,50"], "comma", ["1200.00", "12.50"]),
        ("money", ["1\u2019234.50", "1\u2019200"], "point", ["1234.50", "1200.00"]),
        ("money", ["1\u202f234,50", "1.200"], "comma", ["1234.50", "1200.00"]),
        ("date", ["3/4/2026", "12/31/2026"], "month", ["2026-03-04", "2026-12-31"]),
        ("date", ["3/4/2026", "31/12/2026"], "day", ["2026-04-03", "2026-12-31"]),
        ("date", ["03.04.26", "04.05.26"], "day", ["2026-04-03", "2026-05-04"]),
        ("date", ["03.04.26", "5/6/2026"], "day", ["2026-04-03", "2026-06-05"]),
        (
            "date",
            ["2026-07-04 18:00", "2026-07-05T09:00:00Z", "3 Nov 2026"],
            "",
            ["2026-07-04", "2026-07-05", "2026-11-03"],
        ),
    ],
)
def test_one_clear_value_settles_a_column(
    sales: Membership, kind: str, cells: list[str], convention: str, values: list[str]
) -> None:
    checked = column(sales, kind, *cells)

    assert readings_of(checked)[1].convention == convention
    assert not readings_of(checked)[1].needs_answer
    run(checked, sales)
    assert stored() == values


def test_a_value_that_sits_oddly_is_counted_with_its_row(sales: Membership) -> None:
    checked = column(sales, "number", "1.200", "12.500", "1,500", "1.234,5")

    assert checked.planned["cell:1:number_doubtful"] == 1
    assert LeadImportRow.objects.get(cell_problems__isnull=False).number == 4
    assert readings_of(checked)[1].settled_by == 5


@pytest.mark.parametrize(
    ("kind", "cells", "convention", "values"),
    [
        ("number", ["1.200", "3.500", "7"], "comma", ["1200", "3500", "7"]),
        ("number", ["1.200", "3.500", "7"], "point", ["1.2", "3.5", "7"]),
        ("number", ["1.200", "1,5", "1.5"], "comma", ["1200", "1.5", "1.5"]),
        ("date", ["3/4/2026", "5-6-26"], "day", ["2026-04-03", "2026-06-05"]),
        ("date", ["3/4/2026", "5-6-26"], "month", ["2026-03-04", "2026-05-06"]),
    ],
)
def test_a_column_that_can_be_read_in_two_ways_is_not_imported_before_someone_says_how(
    sales: Membership,
    client_as: Any,
    kind: str,
    cells: list[str],
    convention: str,
    values: list[str],
) -> None:
    checked = column(sales, kind, *cells)
    web: Client = client_as(sales)
    page = web.get(checked.get_absolute_url()).content.decode()
    assert "answer missing" in page
    with pytest.raises(ValidationError, match="Say how “Field” is read"):
        lead_imports.start(
            lead_import=checked, owner=None, tells_platforms=False, actor=sales.user
        )
    checked.refresh_from_db()
    assert (checked.state, Lead.objects.count()) == ("paused", 0)

    answer = {
        "column_0": "first_name",
        "column_1": "custom.field",
        "convention_1": convention,
    }
    page = web.post(
        reverse("lead_import_columns", args=[checked.pk]), answer, follow=True
    ).content.decode()

    checked.refresh_from_db()
    assert "answer missing" not in page
    run(checked, sales)
    assert stored() == values


def test_a_choice_is_lost_with_the_field_that_it_was_made_for(
    sales: Membership, client_as: Any
) -> None:
    checked = column(sales, "number", "1.200")
    make_field(sales.company, "Other", "number")
    web: Client = client_as(sales)
    address = reverse("lead_import_columns", args=[checked.pk])
    web.post(
        address,
        {"column_0": "first_name", "column_1": "custom.field", "convention_1": "comma"},
    )

    web.post(
        address,
        {"column_0": "first_name", "column_1": "custom.other", "convention_1": "comma"},
    )

    checked.refresh_from_db()
    assert readings_of(checked)[1].needs_answer


def test_a_file_that_is_checked_chunk_by_chunk_is_decided_from_all_of_its_rows(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.data_exchange.importing.storing.CHUNK", 2)

    checked = column(sales, "number", "1.200", "3.500", "2.100", "7", "1,5")
    again = work_on(
        lead_imports.map_columns(lead_import=checked, columns=checked.columns)
    )

    assert readings_of(again)[1].convention == "comma"
    assert checked.planned == again.planned
    run(again, sales)
    assert stored() == ["1200", "3500", "2100", "7", "1.5"]
