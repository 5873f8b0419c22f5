"""For each type of custom field: a form, the API and an import store the same value, and each gives it back."""

import csv
import io
from typing import Any

import pytest
from hypothesis import assume, given, settings

from crm.forms.leads import LeadForm
from crm.models import Lead, LeadStatus, Membership
from tests.conftest import make_lead
from tests.crm.api.calling import caller
from tests.crm.custom_values import ENTERED, KINDS, make_field
from tests.crm.data_exchange.importing.uploading import run, upload
from tests.size import sized

pytestmark = [pytest.mark.django_db, pytest.mark.sized]

AS_JSON = {"yes_no": {"yes": True, "no": False}}


def by_form(sales: Membership, entered: Any) -> Any:
    status = LeadStatus.objects.for_company(sales.company)[0]
    data = {
        "first_name": "Form",
        "type": "inbound",
        "status": status.pk,
        "custom_field": entered,
    }
    form = LeadForm(data, company=sales.company)
    assert form.is_valid(), form.errors
    return form.save().custom.get("field")


def by_api(client: Any, sales: Membership, entered: Any) -> Any:
    lead = make_lead(sales.company)
    answer = client.patch(
        f"/api/v1/leads/{lead.pk}/", {"custom": {"field": entered}}, format="json"
    )
    assert answer.status_code == 200, answer.json()
    again = client.patch(f"/api/v1/leads/{lead.pk}/", answer.json(), format="json")
    assert again.status_code == 400  # its read-only fields
    body = {"custom": answer.json()["custom"]}
    assert (
        client.patch(f"/api/v1/leads/{lead.pk}/", body, format="json").json()["custom"]
        == body["custom"]
    )
    lead.refresh_from_db()
    return lead.custom.get("field")


def by_import(sales: Membership, entered: Any) -> Any:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["First name", "Field"])
    writer.writerow(
        ["Import", "; ".join(entered) if isinstance(entered, list) else entered]
    )
    Lead.objects.filter(first_name="Import").delete()
    run(upload(sales, file.getvalue()), sales)
    return Lead.objects.get(first_name="Import").custom.get("field")


@pytest.mark.parametrize("kind", KINDS)
def test_all_ways_in_store_the_same(
    sales: Membership, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.conf.settings.IMPORTS_PER_MINUTE", 10_000)
    make_field(sales.company, "Field", kind)
    client = caller(sales.company)

    @settings(max_examples=sized(12, small=2), database=None)
    @given(ENTERED[kind])
    def agree(entered: Any) -> None:
        # A file can't begin a cell with the apostrophe of a spreadsheet's text, and its reader keeps no spaces around.
        assume(not str(entered).startswith("'"))
        values = [
            by_form(sales, entered),
            by_api(
                client,
                sales,
                AS_JSON.get(kind, {}).get(entered, entered)
                if kind == "yes_no"
                else entered,
            ),
            by_import(sales, entered),
        ]
        assert values[0] is not None
        assert values == [values[0]] * 3

    agree()
