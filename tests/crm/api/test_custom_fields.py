"""`/api/v1/custom-fields/`: read by every role, written by admins."""

from typing import Any

import pytest

from crm.api import custom_fields
from crm.models import Company, CustomField
from crm.services.custom_fields import set_archived
from tests.crm.api.calling import ADMIN_ONLY, caller
from tests.crm.custom_values import make_field

pytestmark = pytest.mark.django_db

URL = "/api/v1/custom-fields/"
NEW: dict[str, Any] = {
    "subject": "lead", "name": "Region", "type": "choice", "choices": [{"label": "EMEA"}, {"label": "Americas"}],
}  # fmt: skip


@pytest.mark.parametrize("role", ADMIN_ONLY)
def test_every_role_reads_and_admins_write(company: Company, role: str) -> None:
    client = caller(company, role)

    added = client.post(URL, NEW, format="json")

    assert added.status_code == (201 if ADMIN_ONLY[role] else 403)
    assert client.get(URL).status_code == 200
    assert CustomField.objects.count() == ADMIN_ONLY[role]


def test_a_field_is_added_changed_archived_and_deleted(company: Company) -> None:
    client = caller(company)
    added = client.post(URL, NEW, format="json").json()
    one = f"{URL}{added['id']}/"

    assert (added["key"], [choice["key"] for choice in added["choices"]]) == (
        "region",
        ["emea", "americas"],
    )
    choices = [{"key": "americas", "label": "The Americas"}, {"label": "Asia"}]
    changed = client.patch(
        one, {"name": "Where", "choices": choices, "is_archived": True}, format="json"
    ).json()
    assert (changed["name"], changed["key"], changed["is_archived"]) == (
        "Where",
        "region",
        True,
    )
    assert changed["choices"] == [
        {"key": "americas", "label": "The Americas", "is_archived": False},
        {"key": "asia", "label": "Asia", "is_archived": False},
        {"key": "emea", "label": "EMEA", "is_archived": True},
    ]
    body = {
        name: changed[name]
        for name in changed
        if name not in ("id", "key", "position", "created_at")
    }
    assert client.put(one, body, format="json").json() == changed
    assert client.delete(one).status_code == 204
    assert client.get(one).status_code == 404


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"type": "text"}, {"type": ["This can't change. Add another field."]}),
        ({"subject": "deal"}, {"subject": ["This can't change. Add another field."]}),
        ({"key": "other"}, {"key": ["This field is read-only."]}),
        (
            {"name": "Seats"},
            {"name": ["There is a field of this name already. It may be archived."]},
        ),
        ({"choices": []}, {"choices": ["Enter at least one choice."]}),
        (
            {"choices": [{"label": "Mars", "colour": "red"}]},
            {
                "choices": {
                    "0": [
                        "A choice has a key, a label and is_archived, and nothing else."
                    ]
                }
            },
        ),
        (
            {"choices": [{"key": "emea"}]},
            {"choices": {"0": {"label": ["Enter a value: this field is required."]}}},
        ),
        (
            {"choices": [{"key": "mars", "label": "Mars"}]},
            {"choices": ["There is no such choice."]},
        ),
    ],
)
def test_what_can_t_change_is_a_sentence(
    company: Company, change: Any, errors: Any
) -> None:
    make_field(company, "Seats")
    field = make_field(company, "Region", "choice")
    before = CustomField.objects.filter(pk=field.pk).values().get()

    answer = caller(company).patch(f"{URL}{field.pk}/", change, format="json")

    assert (answer.status_code, answer.json()) == (400, errors)
    assert CustomField.objects.filter(pk=field.pk).values().get() == before


def test_a_field_with_choices_has_some(company: Company) -> None:
    answer = caller(company).post(URL, {**NEW, "choices": []}, format="json")

    assert (answer.status_code, answer.json()) == (
        400,
        {"choices": ["Enter at least one choice."]},
    )


def test_a_request_that_is_repeated_adds_one_field(company: Company) -> None:
    client = caller(company)

    answers = [
        client.post(URL, NEW, format="json", headers={"Idempotency-Key": "1"})
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert CustomField.objects.count() == 1


def test_a_change_does_not_use_a_field_again_that_someone_archives_meanwhile(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    field, save = make_field(company, "Size"), custom_fields.change_field

    def a_colleague_archives_meanwhile(**given: Any) -> CustomField:
        set_archived(field=CustomField.objects.get(pk=field.pk), archived=True)
        return save(**given)

    monkeypatch.setattr(custom_fields, "change_field", a_colleague_archives_meanwhile)

    changed = (
        caller(company)
        .patch(f"{URL}{field.pk}/", {"help_text": "Of the fleet"}, format="json")
        .json()
    )

    assert (changed["help_text"], changed["is_archived"]) == ("Of the fleet", True)
