"""One person may have several leads: the erase page and the API show those with the same name or address."""

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from crm.models import ApiKey, AuditEntry, Lead, LeadSearch
from crm.selectors.erasure import namesakes_of
from crm.services.erasure import erase_leads
from crm.services.lead_merges import merge_leads
from tests.conftest import make_lead

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.covers("S37")]


@pytest.fixture
def ada(company: Any) -> Lead:
    return make_lead(company, last_name="M\u00fcller")


@pytest.fixture
def same(company: Any) -> list[Lead]:
    """Newest last: the same address, the same name in other letters, and both."""
    return [
        make_lead(company, first_name="A.", last_name="M.", email="ADA@example.com"),
        make_lead(company, first_name="mu\u0308ller", last_name="ADA", email=""),
        make_lead(company, first_name="Ada", last_name="Muller"),
    ]


@pytest.fixture
def others(company: Any, other_company: Any) -> list[Lead]:
    return [
        make_lead(
            company,
            first_name="Ada",
            last_name="M\u00fcllerson",
            email="ada.m@example.com",
        ),
        make_lead(company, first_name="Ada", email="x@example.com"),
        make_lead(other_company, last_name="M\u00fcller"),
    ]


@pytest.fixture
def web(client_as: Any, admin: Any) -> Client:
    return client_as(admin)


def script(company: Any, role: str = "admin") -> APIClient:
    client = APIClient()
    _, key = ApiKey.objects.issue(company=company, role=role, name="Website")
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


def erased() -> set[int]:
    return set(Lead.objects.exclude(erased_at=None).values_list("pk", flat=True))


def test_leads_with_the_name_or_the_address_are_found_and_no_others(
    ada: Lead, same: list[Lead], others: list[Lead]
) -> None:
    found = namesakes_of(ada)

    assert [(each.lead, each.reason) for each in found] == [
        (same[2], "same name and address"), (same[1], "same name"), (same[0], "same address"),
    ]  # fmt: skip


def test_a_lead_without_name_and_address_has_none(
    company: Any, same: list[Lead]
) -> None:
    assert (
        namesakes_of(
            make_lead(company, first_name="", email="", phone="+31 20 1234567")
        )
        == []
    )


def test_a_merged_lead_stands_for_the_one_that_was_kept(
    company: Any, ada: Lead
) -> None:
    kept = make_lead(company, first_name="Countess", email="c@example.com")
    merge_leads(kept=kept, gone=make_lead(company, last_name="Muller"))

    assert [each.lead for each in namesakes_of(ada)] == [kept]


def test_the_page_shows_them_and_erases_those_that_are_selected(
    web: Client, ada: Lead, same: list[Lead], others: list[Lead]
) -> None:
    page = f"/leads/{ada.pk}/erase/"
    shown = web.get(page).text

    done = web.post(
        page, {"name": "Ada M\u00fcller", "also": [same[0].pk, same[2].pk]}, follow=True
    ).text

    assert [f"Lead {lead.pk}<" in shown for lead in (*same, *others)] == [True] * 3 + [
        False
    ] * 3
    assert erased() == {ada.pk, same[0].pk, same[2].pk}
    assert f"Leads {same[0].pk}, {same[2].pk} and {ada.pk} were erased." in done
    receipts = AuditEntry.objects.filter(action="erasure").order_by("pk")
    assert list(receipts.values_list("object_id", flat=True)) == [
        ada.pk,
        same[2].pk,
        same[0].pk,
    ]


def test_none_is_selected_at_first_and_none_is_erased_then(
    web: Client, ada: Lead, same: list[Lead]
) -> None:
    page = f"/leads/{ada.pk}/erase/"
    assert "checked" not in web.get(page).text

    web.post(page, {"name": "Ada M\u00fcller"})

    assert erased() == {ada.pk}


@pytest.mark.parametrize("at", [0, 2])
def test_the_page_erases_nobody_who_is_not_on_it(
    web: Client, ada: Lead, others: list[Lead], at: int
) -> None:
    answer = web.post(
        f"/leads/{ada.pk}/erase/", {"name": "Ada M\u00fcller", "also": [others[at].pk]}
    )

    assert "These leads have changed since you opened the page." in answer.text
    assert erased() == set()


def test_the_api_lists_and_erases_them(
    company: Any, ada: Lead, same: list[Lead], others: list[Lead]
) -> None:
    api, address = script(company), f"/api/v1/leads/{ada.pk}/erasure/"
    listed = api.get(address).json()

    answer = api.post(address, {"also": [same[1].pk]})

    assert [(each["id"], each["has_name"], each["has_address"]) for each in listed["others"]] == [
        (same[2].pk, True, True), (same[1].pk, True, False), (same[0].pk, False, True),
    ]  # fmt: skip
    assert listed["erased"] == []
    assert (answer.status_code, answer.json()["erased"]) == (200, [ada.pk, same[1].pk])
    assert [each["id"] for each in answer.json()["others"]] == [same[2].pk, same[0].pk]
    assert erased() == {ada.pk, same[1].pk}
    assert {
        entry.actor_kind for entry in AuditEntry.objects.filter(action="erasure")
    } == {"api_key"}
    assert api.post(address, {}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"also": "x"},
        {"also": [0]},
        {"also": [True]},
        {"name": "Ada"},
        {"also": None},
        [],
    ],
)
def test_the_api_erases_nobody_for_bad_input(
    company: Any, ada: Lead, body: Any
) -> None:
    answer = script(company).post(f"/api/v1/leads/{ada.pk}/erasure/", body)

    assert answer.status_code == 400
    assert erased() == set()


def test_the_api_erases_nobody_who_is_not_listed(
    company: Any, ada: Lead, others: list[Lead]
) -> None:
    for other in others:
        answer = script(company).post(
            f"/api/v1/leads/{ada.pk}/erasure/", {"also": [other.pk]}
        )

        assert (answer.status_code, list(answer.json())) == (400, ["also"])
    assert erased() == set()


@pytest.mark.parametrize("role", ["sales", "ops"])
def test_only_keys_of_admins_may(company: Any, ada: Lead, role: str) -> None:
    api, address = script(company, role), f"/api/v1/leads/{ada.pk}/erasure/"

    assert [api.get(address).status_code, api.post(address, {}).status_code] == [
        403,
        403,
    ]
    assert erased() == set()


def test_one_that_was_erased_meanwhile_is_left_out_and_the_others_are_erased(
    ada: Lead, same: list[Lead]
) -> None:
    erase_leads(leads=[same[0]])

    receipts = erase_leads(leads=[ada, *same])

    assert [receipt.object_id for receipt in receipts] == [
        ada.pk,
        same[1].pk,
        same[2].pk,
    ]
    assert not LeadSearch.objects.exists()
