import json

import pytest

from crm.api.serializers import LeadSerializer
from crm.models import CrmEvent, Lead, LeadStatus, LeadType, Tag
from crm.models.roles import Role
from crm.services.custom_fields import delete_field
from crm.services.picklists import archive_entry, unarchive_entry
from tests.conftest import join, make_deal, make_lead
from tests.crm.api.calling import caller
from tests.crm.custom_values import make_field

URL = "/api/v1/leads/"


@pytest.fixture
def client(company):
    return caller(company, "sales")


def status(company, meaning):
    return LeadStatus.objects.for_company(company).get(meaning=meaning)


def test_a_lead_is_shown_in_full(company, client):
    owner = join(company, Role.SALES).user
    ada = make_lead(
        company,
        last_name="Lovelace",
        organisation="Analytical Ltd",
        owner=owner,
        notes="Met in Utrecht",
    )

    answer = client.get(f"{URL}{ada.pk}/")

    assert answer.json() == {
        "id": ada.pk,
        "first_name": "Ada",
        "last_name": "Lovelace",
        "email": "ada@example.com",
        "phone": "",
        "organisation": "Analytical Ltd",
        "title": "",
        "source": "",
        "type": "inbound",
        "status": status(company, "new").pk,
        "owner": owner.pk,
        "share_with_ad_platforms": True,
        "notes": "Met in Utrecht",
        "tags": [],
        "custom": {},
        "external_ids": [],
        "created_at": ada.created_at.isoformat().replace("+00:00", "Z"),
        "updated_at": ada.updated_at.isoformat().replace("+00:00", "Z"),
    }


def test_a_lead_is_made_with_a_name_alone(company, client):
    answer = client.post(URL, {"last_name": "Lovelace"})

    assert answer.status_code == 201
    ada = Lead.objects.get()
    assert answer.json()["id"] == ada.pk
    assert (ada.company, ada.last_name, ada.status.meaning) == (
        company,
        "Lovelace",
        "new",
    )


def test_making_a_lead_is_recorded(company, client):
    client.post(URL, {"first_name": "Ada"})

    event = CrmEvent.objects.get()
    assert (event.kind, event.lead.first_name, event.company) == (
        "lead_created",
        "Ada",
        company,
    )


def test_making_a_qualified_lead_is_recorded_as_both(company, client):
    client.post(URL, {"first_name": "Ada", "status": status(company, "qualified").pk})

    kinds = CrmEvent.objects.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["lead_created", "lead_qualified"]


def test_qualifying_a_lead_is_recorded_once(company, client):
    ada = make_lead(company)
    qualified = status(company, "qualified").pk

    for _ in range(2):
        client.patch(f"{URL}{ada.pk}/", {"status": qualified})

    assert CrmEvent.objects.filter(lead=ada, kind="lead_qualified").count() == 1


def test_a_change_writes_what_was_given_and_nothing_else(company, client, monkeypatch):
    ada = make_lead(company)
    qualified = status(company, "qualified")
    check = LeadSerializer.validate

    def a_colleague_qualifies_meanwhile(serializer, attrs):
        Lead.objects.filter(pk=ada.pk).update(status=qualified)
        return check(serializer, attrs)

    monkeypatch.setattr(LeadSerializer, "validate", a_colleague_qualifies_meanwhile)

    answer = client.patch(f"{URL}{ada.pk}/", {"phone": "+31 30 1234567"})

    ada.refresh_from_db()
    assert answer.status_code == 200
    assert (ada.phone, ada.status) == ("+31 30 1234567", qualified)


def test_an_empty_change_changes_nothing(company, client):
    ada = make_lead(company)

    answer = client.patch(f"{URL}{ada.pk}/", {})

    assert answer.status_code == 200
    assert Lead.objects.get().updated_at == ada.updated_at


def test_white_space_around_an_address_is_dropped_and_its_case_kept(client):
    client.post(URL, {"first_name": "Ada", "email": " Ada@Example.COM "})

    assert Lead.objects.get().email == "Ada@Example.COM"


def test_what_came_along_unseen_with_an_address_is_dropped_and_it_is_found(client):
    client.post(
        URL, {"first_name": "Ada", "email": "\ufeffada@exam\u00adple.com\u200b"}
    )

    found = client.get(URL, {"email": "ada@example.com\u202c"}).json()["results"]

    assert [lead["email"] for lead in found] == ["ada@example.com"]


def test_a_name_that_was_stored_before_it_was_refused_is_in_nobodys_way(
    company, client
):
    lead = make_lead(company, first_name="\u2060", last_name="")

    answers = [
        client.patch(f"{URL}{lead.pk}/", body)
        for body in ({"phone": "1"}, {"first_name": "\u200b"})
    ]

    assert [answer.status_code for answer in answers] == [200, 400]
    assert Lead.objects.get().phone == "1"


NAMELESS = {"first_name": ["Enter a first name or a last name."]}
BAD_ADDRESS = {"email": ["Enter an e-mail address such as ada@example.com."]}
NUL = ["Null characters are not allowed."]


@pytest.mark.parametrize(
    ("data", "errors"),
    [
        ({}, NAMELESS),
        ({"email": "ada@example.com"}, NAMELESS),
        ({"first_name": "  ", "last_name": ""}, NAMELESS),
        ({"first_name": "Ada", "email": "ada@"}, BAD_ADDRESS),
        ({"first_name": "Ada", "email": "ada example.com"}, BAD_ADDRESS),
        (
            {"first_name": "Ada", "email": "a\x00da@example.com"},
            {"email": [*NUL, *BAD_ADDRESS["email"]]},
        ),
        ({"first_name": "A\x00da"}, {"first_name": NUL}),
        ({"first_name": "x" * 121}, {"first_name": ["Enter 120 characters at most."]}),
        ({"first_name": None}, {"first_name": ["Enter a value, not null."]}),
        ({"first_name": ["Ada"]}, {"first_name": ["Enter a string."]}),
        (
            {"first_name": "Ada", "type": "cold"},
            {"type": ["Choose one of: inbound, outbound, referral, partner."]},
        ),
        (
            {"first_name": "Ada", "type": "\ud800"},
            {"type": ["Choose one of: inbound, outbound, referral, partner."]},
        ),
        (
            {"first_name": "Ada", "share_with_ad_platforms": "perhaps"},
            {"share_with_ad_platforms": ["Enter true or false."]},
        ),
        ({"first_name": "Ada", "company": 1}, {"company": ["There is no such field."]}),
        (
            {"first_name": "Ada", "stauts": 1, "x": 2},
            {"stauts": ["There is no such field."], "x": ["There is no such field."]},
        ),
        ({"first_name": "Ada", "id": 7}, {"id": ["This field is read-only."]}),
        ({"first_name": "Ada", "\ud800": 7}, {"?": ["There is no such field."]}),
    ],
)
def test_bad_input_is_answered_with_400_and_nothing_is_written(client, data, errors):
    answer = client.generic(
        "POST", URL, json.dumps(data), content_type="application/json"
    )

    assert answer.status_code == 400
    assert answer.json() == errors
    assert not Lead.objects.exists()


def test_an_address_of_300_characters_is_refused(client):
    answer = client.post(
        URL, {"first_name": "Ada", "email": "a" * 288 + "@example.com"}
    )

    assert answer.status_code == 400
    assert "Enter 254 characters at most." in answer.json()["email"]
    assert not Lead.objects.exists()


def test_a_change_that_would_take_the_name_is_refused(company, client):
    ada = make_lead(company)

    answer = client.patch(f"{URL}{ada.pk}/", {"first_name": ""})

    assert answer.status_code == 400
    assert answer.json() == NAMELESS
    ada.refresh_from_db()
    assert ada.first_name == "Ada"


def test_deleting_a_lead_deletes_its_deals(company):
    ada = make_deal(make_lead(company)).lead

    answer = caller(company, "admin").delete(f"{URL}{ada.pk}/")

    assert (answer.status_code, answer.content) == (204, b"")
    assert not Lead.objects.exists()
    assert not company.deals.exists()


def test_a_list_costs_the_same_however_long_it_is(
    company, client, django_assert_num_queries
):
    client.get(URL)  # notes the use of the key
    for number in range(20):
        make_lead(
            company,
            first_name=f"Ada {number}",
            owner=join(company, Role.SALES, email=f"{number}@example.com").user,
        )

    # The key and its company, the leads, their tags and external ids, the custom fields.
    with django_assert_num_queries(5):
        answer = client.get(URL)

    assert len(answer.json()["results"]) == 20


@pytest.mark.parametrize(
    "change", ["status", "type", "tag", "deleted field", "required field"]
)
def test_a_repeated_request_gets_its_first_answer_whatever_the_lists_offer_by_now(
    company, client, change
):
    warm = LeadStatus.objects.create(
        company=company, name="Warm", meaning="working", position=8
    )
    vip, size = (
        Tag.objects.create(company=company, name="VIP"),
        make_field(company, "Size"),
    )
    chosen = {
        "status": warm.pk,
        "type": "partner",
        "tags": ["VIP"],
        "custom": {"size": "4"},
    }
    changes = {
        "status": lambda: archive_entry(entry=warm),
        "type": lambda: archive_entry(
            entry=LeadType.objects.for_company(company).get(code="partner")
        ),
        "tag": lambda: archive_entry(entry=vip),
        "deleted field": lambda: delete_field(field=size),
        "required field": lambda: make_field(company, "Region", is_required=True),
    }

    def post():
        return client.post(
            URL,
            {"first_name": "Ada", **chosen},
            format="json",
            headers={"Idempotency-Key": "1"},
        )

    first = post()
    changes[change]()
    again = post()

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["id"] == first.json()["id"] == Lead.objects.get().pk


def test_a_request_that_was_refused_is_not_taken_for_a_repeat_once_it_is_valid(
    company, client
):
    warm = LeadStatus.objects.create(
        company=company, name="Warm", meaning="working", position=8
    )
    archive_entry(entry=warm)

    def post():
        data = {"first_name": "Ada", "status": warm.pk}
        return client.post(
            URL, data, format="json", headers={"Idempotency-Key": "1"}
        ).status_code

    refused = post()
    unarchive_entry(entry=warm)

    assert (refused, post(), post(), Lead.objects.count()) == (400, 201, 201, 1)
