"""The field `people` of deals, and another `lead`."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from capi.models import ConversionEvent
from crm.models import Change, CrmEvent, Deal, DealPerson
from crm.services.deal_people import IS_LEAD, PEOPLE_AT_MOST, add_person
from crm.services.erasure import erase_lead
from crm.signals import deal_lead_changed
from tests.conftest import make_deal, make_lead
from tests.crm.api.calling import caller

pytestmark = pytest.mark.django_db

URL = "/api/v1/deals/"


@pytest.fixture
def client(company):
    return caller(company, "sales")


@pytest.fixture
def leads(company):
    return [
        make_lead(company, first_name=name, email=f"{name}@example.com")
        for name in ("ada", "grace", "mary")
    ]


@pytest.fixture
def deal(leads):
    return make_deal(leads[0])


def people(deal):
    return Deal.objects.get(pk=deal.pk).lead_id, set(
        DealPerson.objects.values_list("lead", flat=True)
    )


def test_a_new_deal_has_the_people_that_are_sent(client, leads):
    ada, grace, mary = (lead.pk for lead in leads)

    answer = client.post(
        URL, {"lead": ada, "title": "Looms", "people": [mary, grace, mary]}
    )

    assert (answer.status_code, answer.json()["people"]) == (201, [grace, mary])
    assert client.get(f"{URL}{answer.json()['id']}/").json() == answer.json()
    assert client.get(URL).json()["results"][0]["people"] == [grace, mary]


def test_a_write_replaces_them_and_says_who_did_it(client, deal, leads):
    ada, grace, mary = (lead.pk for lead in leads)
    client.patch(f"{URL}{deal.pk}/", {"people": [grace]})
    before = client.get(f"{URL}{deal.pk}/").json()["updated_at"]

    answer = client.patch(f"{URL}{deal.pk}/", {"people": [mary], "title": "Looms"})

    assert (answer.json()["people"], answer.json()["title"]) == ([mary], "Looms")
    assert answer.json()["updated_at"] > before
    assert people(deal) == (ada, {mary})
    assert client.patch(f"{URL}{deal.pk}/", {"people": []}).json()["people"] == []
    assert set(
        Change.objects.filter(field="person").values_list("api_key__name", flat=True)
    ) == {"Website form"}
    assert Change.objects.filter(field="person").count() == 4


def test_another_lead_takes_the_place_of_the_former_and_what_is_pending_along(
    client, deal, leads
):
    ada, grace, mary = (lead.pk for lead in leads)
    add_person(deal=deal, lead=leads[1])

    answer = client.patch(f"{URL}{deal.pk}/", {"lead": grace})
    assert (answer.json()["lead"], answer.json()["people"]) == (grace, [ada])
    both = client.patch(f"{URL}{deal.pk}/", {"lead": mary, "people": [grace]})
    assert (both.json()["lead"], both.json()["people"]) == (mary, [grace])

    assert people(deal) == (mary, {grace})
    assert set(CrmEvent.objects.filter(deal=deal).values_list("lead", flat=True)) == {
        mary
    }


def test_once_it_was_sent_the_lead_stays_and_nothing_else_is_written(
    client, deal, leads, connected, make_rule
):
    rule = make_rule("deal_created")
    ConversionEvent.objects.create(
        company=deal.company, rule=rule, deal=deal, lead=leads[0], state="accepted"
    )

    answer = client.patch(
        f"{URL}{deal.pk}/",
        {"lead": leads[1].pk, "title": "Looms", "people": [leads[2].pk]},
    )

    assert answer.status_code == 400
    assert "This deal was reported to LinkedIn" in answer.json()["lead"][0]
    assert (people(deal), Deal.objects.get().title) == (
        (leads[0].pk, set()),
        "Forty licences",
    )
    assert (
        client.patch(
            f"{URL}{deal.pk}/", {"lead": leads[0].pk, "people": [leads[2].pk]}
        ).status_code
        == 200
    )


def test_while_linkedin_may_be_told_another_lead_is_a_409_and_nothing_is_written(
    client, deal, leads
):
    def refuse(sender, **change) -> str:
        return "Try again in a minute."

    deal_lead_changed.connect(refuse)
    try:
        answer = client.patch(
            f"{URL}{deal.pk}/",
            {"lead": leads[1].pk, "title": "Looms", "people": [leads[2].pk]},
        )
    finally:
        deal_lead_changed.disconnect(refuse)

    assert (answer.status_code, answer.json()) == (
        409,
        {"detail": "Try again in a minute."},
    )
    assert (people(deal), Deal.objects.get().title) == (
        (leads[0].pk, set()),
        "Forty licences",
    )


@pytest.mark.parametrize("method", ["post", "patch"])
def test_what_is_no_person_of_a_deal_is_refused(
    client, company, other_company, deal, leads, method
):
    stranger, lead = make_lead(other_company).pk, leads[0].pk
    path, body = (
        (URL, {"lead": lead, "title": "Looms"})
        if method == "post"
        else (f"{URL}{deal.pk}/", {})
    )
    unknown = "Your company has no lead with the id {}. Choose another one."
    many = [
        make_lead(company, email=f"{number}@example.com").pk
        for number in range(PEOPLE_AT_MOST + 1)
    ]
    for given, problem in (
        ([lead], IS_LEAD), ([stranger], unknown.format(stranger)), ([2**62], unknown.format(2**62)),
        (many, f"{PEOPLE_AT_MOST}"),
    ):  # fmt: skip
        answer = getattr(client, method)(path, {**body, "people": given})
        assert answer.status_code == 400
        assert problem in str(answer.json()["people"])
    for given in (["1"], [True], [1.5], [2**70], [None], "1", None, {"1": 1}):
        assert (
            getattr(client, method)(
                path, {**body, "people": given}, format="json"
            ).status_code
            == 400
        )

    assert (Deal.objects.count(), DealPerson.objects.count()) == (1, 0)


def test_the_number_of_queries_does_not_grow_with_the_people(client, deal, leads):
    client.get(URL)
    with CaptureQueriesContext(connection) as alone:
        client.get(URL)
    for lead in leads:
        other = make_deal(lead)
        for each in leads:
            if each != lead:
                add_person(deal=other, lead=each)

    with CaptureQueriesContext(connection) as all_of_them:
        client.get(URL)

    assert len(all_of_them) == len(alone)


@pytest.mark.django_db(transaction=True)
def test_an_erased_persons_deal_moves_to_another_lead_and_what_happened_stays(
    client, deal, leads
):
    erase_lead(lead=leads[0])

    answer = client.patch(f"{URL}{deal.pk}/", {"lead": leads[1].pk})

    assert (answer.status_code, answer.json()["lead"], answer.json()["people"]) == (
        200,
        leads[1].pk,
        [],
    )
    assert set(CrmEvent.objects.filter(deal=deal).values_list("lead", flat=True)) == {
        leads[0].pk
    }


def test_deals_are_found_by_each_of_their_people(
    client, company, other_company, deal, leads
):
    ada, _, mary = leads
    shared, stranger = make_deal(mary), make_lead(other_company)
    make_deal(stranger)
    add_person(deal=shared, lead=ada)

    def found(lead):
        return [
            each["id"]
            for each in client.get(f"{URL}?person={lead.pk}").json()["results"]
        ]

    assert [found(lead) for lead in leads] == [[shared.pk, deal.pk], [], [shared.pk]]
    assert found(stranger) == []
    assert client.get(f"{URL}?person=ada").status_code == 400
