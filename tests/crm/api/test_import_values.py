"""What becomes of the values of a file, through the API: read, chosen, and refused in a sentence."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from crm.jobs import rounds
from crm.models import Company, Deal, Lead, LeadStatus
from tests.conftest import make_lead
from tests.crm.api.calling import caller
from tests.crm.api.test_imports import sent

pytestmark = pytest.mark.django_db

TEXT = "First name,Status,Tags\nAda,Hot,\nIda,Hot,\nEda,NEW!,\n"


@pytest.fixture
def admin_key(company: Company) -> APIClient:
    return caller(company, "admin")


def choose(
    script: APIClient, path: str, *values: dict[str, Any], column: int = 1
) -> Any:
    readings: list[dict[str, Any]] = [{}, {}, {}]
    readings[column] = {"values": list(values)}
    columns = ["first_name", "status", "tags"]
    return script.post(
        f"{path}columns/", {"columns": columns, "readings": readings}, format="json"
    )


def test_values_are_read_and_a_choice_is_imported(
    admin_key: APIClient, company: Company
) -> None:
    path = sent(admin_key, TEXT)
    [status, *_] = admin_key.get(f"{path}values/").json()["columns"]
    qualified = str(LeadStatus.objects.for_company(company).get(name="Qualified").pk)
    assert (status["column"], status["name"], status["more"]) == (1, "Status", 0)
    assert {"key": qualified, "label": "Qualified"} in status["entries"]
    hot, new = status["values"]
    assert (hot["value"], hot["rows"], hot["action"], hot["is_chosen"]) == (
        "Hot",
        2,
        "empty",
        False,
    )
    assert (new["value"], new["action"], new["is_guess"]) == ("NEW!", "entry", True)

    answer = choose(
        admin_key, path, {"value": "hot", "action": "create", "meaning": "working"}
    )
    assert answer.status_code == 200, answer.json()
    rounds.work_through(lambda: True)
    [status, *_] = admin_key.get(f"{path}values/").json()["columns"]

    hot = status["values"][0]
    assert (hot["action"], hot["meaning"], hot["is_chosen"]) == (
        "create",
        "working",
        True,
    )
    admin_key.post(f"{path}start/", {})
    rounds.work_through(lambda: True)
    assert [lead.status.meaning for lead in Lead.objects.order_by("pk")] == [
        "working",
        "working",
        "new",
    ]
    assert admin_key.get(f"{path}values/").status_code == 409


@pytest.mark.parametrize(
    ("column", "choice", "words"),
    [
        (0, {"value": "Ada", "action": "row"}, "its values are from no list"),
        (1, {"value": "\u200b", "action": "row"}, "enter values that can be seen"),
        (1, {"value": "Hot", "action": "entry", "entry": "99999999"}, "there is no such status"),
        (1, {"value": "Hot", "action": "entry"}, "there is no such status"),
        (1, {"value": "Hot", "action": "create"}, "a new status needs a meaning"),
        (2, {"value": "Hot", "action": "create", "meaning": "new"}, "a tag has no meaning"),
        (2, {"value": "x" * 61, "action": "create"}, "It is longer than 60 characters"),
        (1, {"value": "Hot", "action": "row", "entry": "1"}, "only the action “entry” has an entry"),
        (1, {"value": "Hot", "action": "row", "meaning": "new"}, "only the action “create” has a meaning"),
        (1, {"value": "Hot", "action": "sing"}, "is not a valid choice"),
        (1, {"value": "Hot", "action": "row", "colour": "red"}, "no such field"),
        (1, {"action": "row"}, "required"),
    ],
)  # fmt: skip
def test_what_can_t_be_chosen_is_a_400_that_says_why(
    admin_key: APIClient, column: int, choice: dict[str, Any], words: str
) -> None:
    path = sent(admin_key, TEXT)

    answer = choose(admin_key, path, choice, column=column)

    assert answer.status_code == 400
    assert words.lower() in str(answer.json()).lower()


def test_a_value_twice_and_a_new_entry_of_someone_who_may_not_add_it_are_400s(
    company: Company,
) -> None:
    script = caller(company, "sales")
    path = sent(script, TEXT)
    row = {"action": "row"}

    twice = choose(script, path, {"value": "Hot", **row}, {"value": "hot ", **row})
    added = choose(script, path, {"value": "Hot", "action": "create", "meaning": "new"})

    assert (twice.status_code, added.status_code) == (400, 400)
    assert "is there twice" in str(twice.json())
    assert "only an admin can add statuses" in str(added.json())


def test_a_stage_is_chosen_by_its_key_and_none_is_added(
    admin_key: APIClient, company: Company
) -> None:
    make_lead(company, email="ada@example.com")
    path = sent(admin_key, "Deal,E-mail,Stage\nFleet,ada@example.com,Ende\n")
    [stages] = admin_key.get(f"{path}values/").json()["columns"]
    [won] = [each["key"] for each in stages["entries"] if each["label"] == "Won"]

    def post(**choice: str) -> Any:
        readings = [{}, {}, {"values": [{"value": "Ende", **choice}]}]
        columns = ["deal_title", "lead_email", "stage"]
        body = {"columns": columns, "readings": readings}
        return admin_key.post(f"{path}columns/", body, format="json")

    added = post(action="create")
    assert added.status_code == 400
    assert "an import adds no stages" in str(added.json())
    assert post(action="entry", entry=won).status_code == 200
    rounds.work_through(lambda: True)
    admin_key.post(f"{path}start/", {})
    rounds.work_through(lambda: True)

    assert Deal.objects.get().stage.name == "Won"
