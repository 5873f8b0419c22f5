"""Custom fields as columns of an import: guessed, judged, written, and undone."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from crm.models import Lead, LeadImport, LeadImportRow, Membership
from crm.services import lead_imports
from crm.services.custom_fields import set_archived
from tests.conftest import make_lead
from tests.crm.custom_values import make_every_field, make_field
from tests.crm.data_exchange.importing.uploading import run, upload, work_on

pytestmark = pytest.mark.django_db


def outcomes(lead_import: LeadImport) -> list[tuple[str, str]]:
    return list(LeadImportRow.objects.of(lead_import).values_list("outcome", "problem"))


def test_columns_are_found_by_name_and_their_values_are_stored_in_one_form(
    sales: Membership,
) -> None:
    make_every_field(sales.company)
    text = (
        "First name;text;Long text;number;money;date;Yes no;choice;Choices;url;Our phone\n"
        "Ada;Fleet;more;1,5;€ 12;31.1.2027;ja;emea;Americas, EMEA;example.com;020 555\n"
        "Bea;;;;;;;;Asia, and Pacific;;\n"
    )

    checked = upload(sales, text)
    names = "text long_text number money date yes_no choice choices url"
    assert checked.columns == [
        "first_name",
        *(f"custom.{name}" for name in names.split()),
        "phone",
    ]
    run(checked, sales)

    ada, bea = Lead.objects.order_by("pk")
    assert ada.custom == {
        "text": "Fleet", "long_text": "more", "number": "1.5", "money": "12.00", "date": "2027-01-31", "yes_no": True,
        "choice": "emea", "choices": ["emea", "americas"], "url": "https://example.com",
    }  # fmt: skip
    assert bea.custom == {"choices": ["asia_and_pacific"]}


@pytest.mark.parametrize(
    ("kind", "cell", "problem", "stored"),
    [
        ("text", "x" * 201, "too_long", {}),
        ("number", "many", "not_a_number", {}),
        ("number", "1.200", "number_unclear", {}),
        ("money", "1.9991", "rounded", {"field": "2.00"}),
        ("date", "3/4/2027", "date_unclear", {}),
        ("date", "soon", "not_a_date", {}),
        ("yes_no", "perhaps", "not_yes_or_no", {}),
        ("choice", "Mars", "not_a_choice", {}),
        ("choices", "EMEA; Mars", "not_a_choice", {"field": ["emea"]}),
        ("url", "javascript:alert(1)", "not_a_url", {}),
        ("phone", "1" * 41, "too_long", {}),
    ],
)
def test_a_value_that_can_t_be_costs_its_cell_with_its_reason(
    sales: Membership, kind: str, cell: str, problem: str, stored: dict[str, Any]
) -> None:
    make_field(sales.company, "Field", kind)

    checked = upload(sales, f'First name,Field\nAda,"{cell}"\nBea,\n')

    assert outcomes(checked) == [("new", ""), ("new", "")]
    assert LeadImportRow.objects.get(number=2).cell_problems == {"1": problem}
    assert checked.planned[f"cell:1:{problem}"] == 1
    if not problem.endswith("unclear"):
        run(checked, sales)
        assert Lead.objects.get(first_name="Ada").custom == stored


@pytest.mark.parametrize(
    ("kind", "cell", "stored"),
    [
        ("money", "10.0000", "10.00"), ("money", "1,234.500", "1234.50"), ("money", "1.234,000", "1234.00"),
        ("number", "1,234.50000000", "1234.5"), ("number", "12", "12"),
    ],
)  # fmt: skip
def test_zeros_after_the_decimals_of_a_field_are_not_a_problem(
    sales: Membership, kind: str, cell: str, stored: str
) -> None:
    make_field(sales.company, "Field", kind)

    checked = run(upload(sales, f'First name,Field\nAda,"{cell}"\n'), sales)

    assert checked.done == {"new": 1, "lead_created:later": 1}
    assert Lead.objects.get().custom == {"field": stored}


@pytest.mark.parametrize("cell", ["many", ""])
def test_what_is_required_and_can_t_be_read_makes_a_new_row_bad_with_its_reason(
    sales: Membership, cell: str
) -> None:
    make_field(sales.company, "Seats", "number", is_required=True)

    checked = upload(sales, f"First name,Seats\nAda,{cell}\n")

    assert outcomes(checked) == [("bad", "not_a_number" if cell else "required")]


def test_a_new_lead_without_what_is_required_is_bad_and_a_known_one_is_not(
    sales: Membership,
) -> None:
    make_field(sales.company, "Seats", "number", is_required=True)
    make_lead(sales.company, email="ada@example.com")
    text = "First name,E-mail,Phone,Seats\nAda,ada@example.com,12,\nBea,bea@example.com,,\nBea,bea@example.com,,40\n"

    done = run(upload(sales, text), sales)

    assert outcomes(done) == [("update", ""), ("bad", "required"), ("new", "")]
    assert Lead.objects.get(first_name="Bea").custom == {"seats": "40"}


def test_only_empty_values_are_filled_and_an_undo_empties_them_again(
    sales: Membership,
) -> None:
    make_field(sales.company, "Seats", "number")
    make_field(sales.company, "Region")
    lead = make_lead(
        sales.company, email="ada@example.com", custom={"region": "north", "old": "x"}
    )
    text = "First name,E-mail,Seats,Region\nAda,ada@example.com,40,south\nAda,ada@example.com,41,\n"

    done = run(upload(sales, text), sales)
    lead.refresh_from_db()
    assert lead.custom == {"region": "north", "old": "x", "seats": "40"}
    assert outcomes(done) == [("update", ""), ("duplicate", "")]
    again = upload(sales, text)
    assert outcomes(again) == [("duplicate", ""), ("duplicate", "")]
    lead_imports.undo(lead_import=done, actor=sales.user)
    work_on(done)

    lead.refresh_from_db()
    assert lead.custom == {"region": "north", "old": "x"}


def test_a_column_of_a_field_that_was_archived_meanwhile_is_left_out(
    sales: Membership, client_as: Any
) -> None:
    field = make_field(sales.company, "Region")
    checked = upload(sales, "First name,Region\nAda,north\n")
    set_archived(field=field, archived=True)
    web: Client = client_as(sales)

    assert web.get(checked.get_absolute_url()).status_code == 200
    run(checked, sales)

    assert Lead.objects.get().custom == {}


def test_a_column_can_be_chosen_to_be_a_custom_field(
    sales: Membership, client_as: Any
) -> None:
    make_field(sales.company, "Region")
    checked = upload(sales, "First name,Where\nAda,north\n")
    web: Client = client_as(sales)

    columns = {"column_0": "first_name", "column_1": "custom.region"}
    web.post(reverse("lead_import_columns", args=[checked.pk]), columns)

    assert (
        '<th role="columnheader" scope="col">Region</th>'
        in web.get(checked.get_absolute_url()).content.decode()
    )
    run(checked, sales)
    assert Lead.objects.get().custom == {"region": "north"}
