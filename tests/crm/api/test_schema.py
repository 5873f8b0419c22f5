"""The schema of the API says what clients need to know of every answer."""

import pytest
from drf_spectacular.generators import SchemaGenerator

from crm.models import Company
from tests.conftest import make_lead
from tests.crm.api.calling import caller

SCHEMA = SchemaGenerator().get_schema(request=None, public=True)
COMPONENTS = SCHEMA["components"]["schemas"]
OPERATIONS = [
    operation for item in SCHEMA["paths"].values() for operation in item.values()
]


def test_what_is_in_every_answer_is_required() -> None:
    answers = {
        name: each for name, each in COMPONENTS.items() if not name.endswith("Request")
    }
    optional = {
        (name, field)
        for name, component in answers.items()
        for field in component.get("properties", {})
        if field not in component["required"]
    }

    assert len(answers) > 40
    assert optional == set()


def test_what_may_be_left_out_of_a_request_is_not() -> None:
    assert COMPONENTS["DealRequest"]["required"] == ["lead", "title"]
    assert "required" not in COMPONENTS["PatchedDealRequest"]


def test_tags_the_server_and_a_contact_are_declared() -> None:
    used = {tag for operation in OPERATIONS for tag in operation["tags"]}

    assert [tag["name"] for tag in SCHEMA["tags"]] == sorted(used)
    assert SCHEMA["servers"][0]["url"] == "/"
    assert SCHEMA["info"]["contact"]["url"].startswith("http")


def test_each_list_declares_the_limits_of_its_pages() -> None:
    sizes = [
        parameter["schema"]
        for operation in OPERATIONS
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "page_size"
    ]

    assert len(sizes) > 15
    assert all(
        size == {"type": "integer", "minimum": 1, "maximum": 500} for size in sizes
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("size", "status"),
    [("1", 200), ("500", 200), ("501", 400), ("0", 400), ("-1", 400)],
)
def test_a_page_size_outside_the_limits_is_refused(
    company: Company, size: str, status: int
) -> None:
    make_lead(company)

    answer = caller(company).get(f"/api/v1/leads/?page_size={size}")

    assert answer.status_code == status


def test_an_empty_list_of_leads_is_outside_the_limits() -> None:
    fields = [
        each["properties"]["leads"]
        for name, each in COMPONENTS.items()
        if name.startswith("AskedChange")
    ]

    assert [field["minItems"] for field in fields] == [1]
