import base64

import pytest

from crm.models import Lead
from tests.crm.api.calling import caller

URL = "/api/v1/leads/"


@pytest.fixture
def client(company):
    return caller(company)


def make_leads(company, count):
    return Lead.objects.bulk_create(
        Lead(company=company, first_name=f"Ada {n}") for n in range(count)
    )


def ids(answer):
    return [row["id"] for row in answer.json()["results"]]


def test_pages_run_from_the_newest_to_the_oldest_and_back(company, client):
    made = [lead.pk for lead in make_leads(company, 5)][::-1]

    first = client.get(URL, {"page_size": 2})
    second = client.get(first.json()["next"])
    third = client.get(second.json()["next"])
    back = client.get(second.json()["previous"])

    assert [ids(first), ids(second), ids(third), ids(back)] == [
        made[:2],
        made[2:4],
        made[4:],
        made[:2],
    ]
    assert (first.json()["previous"], third.json()["next"]) == (None, None)


def test_rows_that_come_in_meanwhile_shift_no_page(company, client):
    made = [lead.pk for lead in make_leads(company, 4)][::-1]
    first = client.get(URL, {"page_size": 2})
    make_leads(company, 3)

    second = client.get(first.json()["next"])

    assert ids(second) == made[2:]


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({}, 100),
        ({"page_size": 500}, 500),
    ],
)
def test_a_page_has_a_hundred_rows_or_up_to_five_hundred_on_request(
    company, client, asked, size
):
    make_leads(company, 510)

    answer = client.get(URL, asked)

    assert len(ids(answer)) == size


@pytest.mark.parametrize(
    "position", ["abc", "-1", "1.5", "1" * 19, "٣", "1\x00", "1 OR 1=1"]
)
def test_a_made_up_cursor_is_answered_with_404(company, client, position):
    make_leads(company, 2)
    cursor = base64.b64encode(f"p={position}".encode()).decode()

    answer = client.get(URL, {"cursor": cursor})

    assert answer.status_code == 404
    assert answer.json() == {"detail": "Invalid cursor"}


@pytest.mark.parametrize(
    "cursor", ["!!", "\0", "%", "cD0", base64.b64encode(b"o=1").decode()]
)
def test_a_garbled_cursor_is_not_the_first_page_again(company, client, cursor):
    make_leads(company, 1)

    assert client.get(URL, {"cursor": cursor}).status_code == 404


def test_an_empty_cursor_is_the_first_page(company, client):
    leads = make_leads(company, 2)

    assert ids(client.get(URL, {"cursor": ""})) == [lead.pk for lead in reversed(leads)]


def test_a_cursor_shows_no_row_of_the_neighbours(company, other_company, client):
    make_leads(other_company, 3)
    [own] = make_leads(company, 1)
    cursor = base64.b64encode(b"p=999999999999999999").decode()

    answer = client.get(URL, {"cursor": cursor})

    assert ids(answer) == [own.pk]
