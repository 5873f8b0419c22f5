"""ETags: reading only what has changed, and changing only what no one else has changed."""

import threading

import pytest
from django.db import connection

from crm.models import Deal, Lead, OrganisationDetails, Tag, Task
from tests.conftest import make_deal, make_lead
from tests.crm.api.calling import caller

CHANGED = "Nothing was saved: this has changed since you read it. Read it again."
KINDS = ("leads", "deals", "tasks", "organisations")
CHANGES = {
    "leads": {"phone": "1"},
    "deals": {"title": "Twenty licences"},
    "tasks": {"title": "Call Grace"},
    "organisations": {"industry": "Software"},
}


@pytest.fixture
def paths(company, admin):
    ada = make_lead(company, organisation="Analytical Engines")
    deal = make_deal(ada)
    task = Task.objects.create(
        company=company,
        title="Call Ada",
        due_on="2027-01-31",
        owner=admin.user,
        lead=ada,
    )
    listed = caller(company).get("/api/v1/organisations/").json()["results"]
    return {
        "leads": f"/api/v1/leads/{ada.pk}/",
        "deals": f"/api/v1/deals/{deal.pk}/",
        "tasks": f"/api/v1/tasks/{task.pk}/",
        "organisations": f"/api/v1/organisations/{listed[0]['key']}/",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_not_changed_is_not_sent_again(company, paths, kind):
    client = caller(company)
    etag = client.get(paths[kind])["ETag"]

    again = client.get(paths[kind], HTTP_IF_NONE_MATCH=etag)
    client.patch(paths[kind], CHANGES[kind])
    changed = client.get(paths[kind], HTTP_IF_NONE_MATCH=etag)

    assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
    assert changed.status_code == 200
    assert changed["ETag"] != etag


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_to_a_change_has_the_etag_for_the_next_one(company, paths, kind):
    client = caller(company)
    etag = client.get(paths[kind])["ETag"]

    changed = client.patch(paths[kind], CHANGES[kind], HTTP_IF_MATCH=etag)

    assert changed.status_code == 200
    assert changed["ETag"] == client.get(paths[kind])["ETag"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_something_else_than_was_read_is_refused(company, paths, kind):
    client = caller(company)
    etag = client.get(paths[kind])["ETag"]
    client.patch(paths[kind], CHANGES[kind])
    before = client.get(paths[kind]).json()

    answer = client.patch(
        paths[kind], dict.fromkeys(CHANGES[kind], "Mallory"), HTTP_IF_MATCH=etag
    )

    assert answer.status_code == 412
    assert CHANGED in answer.content.decode()
    assert client.get(paths[kind]).json() == before


@pytest.mark.parametrize("kind", ["leads", "deals", "tasks"])
def test_only_what_was_read_is_deleted(company, paths, kind):
    client = caller(company)
    etag = client.get(paths[kind])["ETag"]
    client.patch(paths[kind], CHANGES[kind])

    refused = client.delete(paths[kind], HTTP_IF_MATCH=etag)
    newest = client.get(paths[kind])["ETag"]
    deleted = client.delete(paths[kind], HTTP_IF_MATCH=newest)

    assert (refused.status_code, deleted.status_code) == (412, 204)
    assert client.get(paths[kind]).status_code == 404


def test_one_of_several_etags_a_star_and_a_weak_one_match(company, paths):
    client = caller(company)

    for wanted in ('"x", {}', "*", "W/{}"):
        etag = client.get(paths["leads"])["ETag"]
        header = wanted.format(etag)
        answer = client.patch(paths["leads"], {"phone": wanted}, HTTP_IF_MATCH=header)
        assert answer.status_code == 200, header


@pytest.mark.parametrize("header", ["", "nonsense", '"x"', "W/"])
def test_a_header_that_names_no_such_etag_refuses_the_change(company, paths, header):
    answer = caller(company).patch(paths["leads"], {"phone": "1"}, HTTP_IF_MATCH=header)

    assert answer.status_code == 412
    assert Lead.objects.get().phone == ""


def test_what_is_gone_is_not_found_whatever_the_etag(company, paths):
    client = caller(company)
    etag = client.get(paths["deals"])["ETag"]
    Deal.objects.all().delete()

    assert client.patch(paths["deals"], {}, HTTP_IF_MATCH=etag).status_code == 404


def test_the_etags_of_a_change_of_all_that_belongs_to_a_deal(company, paths):
    client = caller(company)
    other = make_lead(company, first_name="Grace")
    for name in ("Zeta", "alpha"):
        Tag.objects.create(company=company, name=name, position=1)
    body = {
        "tags": ["Zeta", "alpha"],
        "people": [other.pk],
        "external_ids": ["erp:2", "crm:1"],
    }
    etag = client.get(paths["deals"])["ETag"]

    changed = client.patch(paths["deals"], body, HTTP_IF_MATCH=etag)

    assert changed.status_code == 200
    assert changed["ETag"] == client.get(paths["deals"])["ETag"]


def test_a_lead_whose_tag_was_renamed_has_another_etag(company, paths):
    client = caller(company)
    tag = Tag.objects.create(company=company, name="VIP", position=1)
    client.patch(paths["leads"], {"tags": ["VIP"]})
    etag = client.get(paths["leads"])["ETag"]

    Tag.objects.filter(pk=tag.pk).update(name="Key account")

    assert client.get(paths["leads"])["ETag"] != etag


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", KINDS)
def test_of_two_who_have_read_the_same_one_succeeds(company, paths, kind):
    clients = [caller(company), caller(company)]
    etag = clients[0].get(paths[kind])["ETag"]
    [field] = CHANGES[kind]
    together = threading.Barrier(2)
    statuses = {}

    def change(number):
        together.wait()
        try:
            answer = clients[number].patch(
                paths[kind], {field: f"{number}"}, HTTP_IF_MATCH=etag
            )
            statuses[number] = answer.status_code
        finally:
            connection.close()

    threads = [threading.Thread(target=change, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses.values()) == [200, 412]
    [winner] = [number for number, status in statuses.items() if status == 200]
    assert clients[0].get(paths[kind]).json()[field] == f"{winner}"


def test_organisation_details_are_written_by_an_etag_too(company, paths):
    client = caller(company)
    etag = client.get(paths["organisations"])["ETag"]

    client.patch(paths["organisations"], {"industry": "Steel"}, HTTP_IF_MATCH=etag)

    assert OrganisationDetails.objects.get().industry == "Steel"
