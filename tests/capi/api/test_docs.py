import pytest

from crm.models.roles import Role
from tests.conftest import join

URL = "/api/v1/docs/"


@pytest.mark.parametrize("role", Role)
def test_every_member_reads_how_to_call_the_api(client_as, company, role):
    answer = client_as(join(company, role)).get(URL)

    assert answer.status_code == 200
    assert answer.context["parts"][-1].title == "Tasks"


def test_a_stranger_is_sent_to_the_sign_in_page(client, db):
    answer = client.get(URL)

    assert (answer.status_code, answer["Location"]) == (302, f"/login/?next={URL}")


def test_each_part_names_its_addresses_filters_and_fields(client_as, sales):
    answer = client_as(sales).get(URL)

    parts = {part.title: part for part in answer.context["parts"]}
    assert list(parts) == [
        "Bulk changes", "Conversion events", "Conversion rules", "Custom fields", "Deals", "Duplicates", "Exports",
        "Files", "Imports", "Lead sources", "Lead statuses", "Lead types", "Leads", "Lost reasons", "Merges", "Notes",
        "Organisations", "Pipelines", "Saved views", "Tags", "Tasks",
    ]  # fmt: skip
    assert parts["Conversion events"].operations == (
        ("GET", "/api/v1/conversion-events/"),
        ("GET", "/api/v1/conversion-events/{id}/"),
        ("POST", "/api/v1/conversion-events/{id}/cancel/"),
        ("POST", "/api/v1/conversion-events/{id}/retry/"),
    )
    assert parts["Bulk changes"].operations == (
        ("GET", "/api/v1/bulk-changes/"),
        ("POST", "/api/v1/bulk-changes/"),
        ("POST", "/api/v1/bulk-changes/preview/"),
        ("GET", "/api/v1/bulk-changes/{id}/"),
        ("POST", "/api/v1/bulk-changes/{id}/cancel/"),
    )
    assert parts["Conversion events"].filters == ("deal", "lead", "rule", "state")
    assert parts["Organisations"].operations == (
        ("GET", "/api/v1/organisations/"),
        ("GET", "/api/v1/organisations/{key}/"),
        ("PATCH", "/api/v1/organisations/{key}/"),
    )
    assert {
        "email",
        "organisation",
        "status",
        "updated_from",
        "search",
        "ordering",
        "view",
    } <= set(parts["Leads"].filters)
    assert parts["Leads"].operations == (
        ("GET", "/api/v1/leads/"),
        ("POST", "/api/v1/leads/"),
        ("GET", "/api/v1/leads/{id}/"),
        ("PUT", "/api/v1/leads/{id}/"),
        ("PATCH", "/api/v1/leads/{id}/"),
        ("DELETE", "/api/v1/leads/{id}/"),
        ("GET", "/api/v1/leads/{id}/erasure/"),
        ("POST", "/api/v1/leads/{id}/erasure/"),
        ("POST", "/api/v1/leads/{id}/merge/"),
    )
    fields = {
        field.name: (field.kind, field.writing) for field in parts["Deals"].fields
    }
    assert fields == {
        "id": ("integer", "no"),
        "lead": ("integer", "required"),
        "title": ("string", "required"),
        "amount": ("decimal", "optional"),
        "currency": ("string", "optional"),
        "stage": ("integer", "optional"),
        "owner": ("integer", "optional"),
        "expected_close": ("date", "optional"),
        "lost_reason": ("integer", "optional"),
        "outcome_note": ("string", "optional"),
        "people": ("array", "optional"),
        "tags": ("array", "optional"),
        "custom": ("object", "optional"),
        "external_ids": ("array", "optional"),
        "created_at": ("date and time", "no"),
        "updated_at": ("date and time", "no"),
    }
    of_rule = {field.name: field.kind for field in parts["Conversion rules"].fields}
    assert of_rule["frequency"] == "once · per_person · every_time"
