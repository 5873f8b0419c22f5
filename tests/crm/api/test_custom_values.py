"""The object `custom` in leads and deals."""

from typing import Any

import pytest

from crm.api.serializers import LeadSerializer
from crm.models import Company, Deal, Lead
from crm.services.custom_fields import change_field, delete_field, set_archived
from tests.conftest import make_lead
from tests.crm.api.calling import caller
from tests.crm.custom_values import make_every_field, make_field

pytestmark = pytest.mark.django_db

SENT: dict[str, Any] = {
    "text": "Fleet", "long_text": "a\nb", "number": 40, "money": "1250", "date": "2027-01-31", "yes_no": False,
    "choice": "emea", "choices": ["americas", "emea"], "url": "example.com", "phone": "+31 20 555 0142",
}  # fmt: skip
STORED = {
    **SENT, "number": "40", "money": "1250.00", "choices": ["emea", "americas"], "url": "https://example.com"
}  # fmt: skip


@pytest.mark.parametrize("subject", ["lead", "deal"])
def test_values_are_written_and_read_in_their_normal_form(
    company: Company, subject: str
) -> None:
    make_every_field(company, subject=subject)
    lead = make_lead(company)
    body = (
        {"first_name": "Bea"}
        if subject == "lead"
        else {"title": "Ten", "lead": lead.pk}
    )

    added = caller(company).post(
        f"/api/v1/{subject}s/", {**body, "custom": SENT}, format="json"
    )

    assert (added.status_code, added.json()["custom"]) == (201, STORED)
    row: Any = (Lead if subject == "lead" else Deal).objects.get(pk=added.json()["id"])
    assert row.custom == STORED


def test_a_patch_changes_the_keys_that_it_has_and_null_empties_one(
    company: Company,
) -> None:
    make_every_field(company)
    lead = make_lead(company, custom={"text": "x", "number": "1", "archived": "y"})
    client = caller(company)

    answer = client.patch(
        f"/api/v1/leads/{lead.pk}/",
        {"custom": {"text": None, "yes_no": True}},
        format="json",
    )

    assert answer.status_code == 200
    values = {
        key: value
        for key, value in answer.json()["custom"].items()
        if value is not None
    }
    assert values == {"number": "1", "yes_no": True}
    lead.refresh_from_db()
    assert lead.custom == {"number": "1", "yes_no": True, "archived": "y"}
    client.patch(f"/api/v1/leads/{lead.pk}/", {"custom": {}}, format="json")
    client.patch(f"/api/v1/leads/{lead.pk}/", {"first_name": "Bea"}, format="json")
    lead.refresh_from_db()
    assert lead.custom == {"number": "1", "yes_no": True, "archived": "y"}


def test_two_patches_at_once_keep_each_other_s_keys(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_every_field(company)
    lead = make_lead(company, custom={"text": "x"})
    check = LeadSerializer.validate

    def a_colleague_writes_meanwhile(serializer: LeadSerializer, attrs: Any) -> Any:
        Lead.objects.filter(pk=lead.pk).update(custom={"text": "x", "number": "1"})
        return check(serializer, attrs)

    monkeypatch.setattr(LeadSerializer, "validate", a_colleague_writes_meanwhile)
    caller(company).patch(
        f"/api/v1/leads/{lead.pk}/", {"custom": {"phone": "12"}}, format="json"
    )

    lead.refresh_from_db()
    assert lead.custom == {"text": "x", "number": "1", "phone": "12"}


@pytest.mark.parametrize(
    ("custom", "errors"),
    [
        ("text", ["Enter an object with values by key."]),
        (
            {"stranger": 1},
            {
                "stranger": [
                    "There is no such custom field. GET /api/v1/custom-fields/ lists yours."
                ]
            },
        ),
        ({"text": 5}, {"text": ["Enter a string."]}),
        ({"text": ["x"]}, {"text": ["Enter a string."]}),
        (
            {"number": True},
            {"number": ["Enter a number, or a string with one, such as 1999.50."]},
        ),
        (
            {"number": {}},
            {"number": ["Enter a number, or a string with one, such as 1999.50."]},
        ),
        ({"yes_no": "yes"}, {"yes_no": ["Enter true, false or null."]}),
        ({"choice": "EMEA"}, {"choice": ["Choose one of the choices."]}),
        ({"choices": "emea"}, {"choices": ["Enter a list of the keys of choices."]}),
        ({"choices": [1]}, {"choices": ["Enter a list of the keys of choices."]}),
        (
            {"number": "1,200"},
            {"number": ["Enter a number, or a string with one, such as 1999.50."]},
        ),
        (
            {"money": "\u20ac 12"},
            {"money": ["Enter a number, or a string with one, such as 1999.50."]},
        ),
        ({"date": "3/4/2027"}, {"date": ["Enter a date, such as 2027-01-31."]}),
        ({"date": "31.1.2027"}, {"date": ["Enter a date, such as 2027-01-31."]}),
        ({"text": "a\x00"}, {"text": ["Null characters are not allowed."]}),
    ],
)
def test_what_can_t_be_is_a_sentence_and_writes_nothing(
    company: Company, custom: Any, errors: Any
) -> None:
    make_every_field(company)
    lead = make_lead(company, custom={"text": "x"})

    answer = caller(company).patch(
        f"/api/v1/leads/{lead.pk}/",
        {"first_name": "Bea", "custom": custom},
        format="json",
    )

    assert (answer.status_code, answer.json()) == (400, {"custom": errors})
    lead.refresh_from_db()
    assert (lead.first_name, lead.custom) == ("Ada", {"text": "x"})


@pytest.mark.parametrize("sent", ["1.200", 1.2, "1.2"])
def test_a_number_in_a_string_is_what_a_program_means_by_it(
    company: Company, sent: Any
) -> None:
    make_field(company, "Seats", "number")
    lead = make_lead(company)

    caller(company).patch(
        f"/api/v1/leads/{lead.pk}/", {"custom": {"seats": sent}}, format="json"
    )

    lead.refresh_from_db()
    assert lead.custom == {"seats": "1.2"}


@pytest.mark.parametrize(
    "custom",
    [
        '{"\\ud800": 1}',
        '{"number": 1e999}',
        '{"text": "\\ud800"}',
        '{"url": "x.com/\\udfff"}',
    ],
)
def test_odd_json_is_a_sentence(company: Company, custom: str) -> None:
    make_every_field(company)
    lead = make_lead(company)

    body = f'{{"custom": {custom}}}'
    answer = caller(company).patch(
        f"/api/v1/leads/{lead.pk}/", body, content_type="application/json"
    )

    assert answer.status_code == 400


def test_a_choice_that_is_no_longer_offered_can_be_sent_back(company: Company) -> None:
    field = make_field(company, "Region", "choice")
    lead, other = make_lead(company, custom={"region": "emea"}), make_lead(company)
    change_field(field=field, fields=[], labels=[("americas", "Americas")])
    client = caller(company)

    kept, refused = (
        client.patch(
            f"/api/v1/leads/{each.pk}/", {"custom": {"region": "emea"}}, format="json"
        )
        for each in (lead, other)
    )

    assert (kept.status_code, refused.status_code) == (200, 400)


def test_what_is_required_is_asked_for_in_a_new_row_and_not_emptied(
    company: Company,
) -> None:
    make_field(company, "Seats", "number", is_required=True)
    old = make_lead(company)
    client = caller(company)

    missing = client.post("/api/v1/leads/", {"first_name": "Bea"}, format="json")
    emptied = client.patch(
        f"/api/v1/leads/{old.pk}/", {"custom": {"seats": None}}, format="json"
    )
    other = client.patch(
        f"/api/v1/leads/{old.pk}/", {"first_name": "Bea"}, format="json"
    )

    required = {"custom": {"seats": ["Enter a value: this field is required."]}}
    assert (missing.status_code, missing.json()) == (400, required)
    assert (emptied.status_code, emptied.json()) == (400, required)
    assert other.status_code == 200
    assert Lead.objects.count() == 1


def test_an_archived_field_and_a_deleted_one_are_neither_shown_nor_taken(
    company: Company, other_company: Company
) -> None:
    archived, deleted = make_field(company, "Old"), make_field(company, "Gone")
    make_field(other_company, "Theirs")
    set_archived(field=archived, archived=True)
    delete_field(field=deleted)
    lead = make_lead(company, custom={"old": "x", "gone": "y"})
    client = caller(company)

    assert client.get(f"/api/v1/leads/{lead.pk}/").json()["custom"] == {}
    for key in ("old", "gone", "theirs"):
        answer = client.patch(
            f"/api/v1/leads/{lead.pk}/", {"custom": {key: "z"}}, format="json"
        )
        assert answer.status_code == 400, key


def test_a_list_takes_the_same_queries_however_many_leads(
    company: Company, django_assert_num_queries: Any
) -> None:
    make_every_field(company)
    client = caller(company)
    client.get("/api/v1/leads/")
    for count in (1, 5):
        for _ in range(count):
            make_lead(company, custom={"text": "x"})
        # The key, the fields, the leads, their tags and their external ids.
        with django_assert_num_queries(5):
            client.get("/api/v1/leads/")
