"""What a script reads of organisations, and how it narrows the list of leads by one."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from crm.models import AuditEntry
from tests.conftest import make_deal, make_lead
from tests.crm.api.calling import caller
from tests.crm.api.test_sessions import signed_in

pytestmark = pytest.mark.django_db

URL = "/api/v1/organisations/"


@pytest.fixture
def script(company):
    return caller(company, "ops")


@pytest.fixture
def five(company, other_company):
    make_lead(other_company, organisation="Theirs")
    return [
        make_lead(company, organisation=name, email="")
        for name in ("Dora", "Acme & Co", "Cello", "Bär", "Echo")
    ]


def names(answer):
    assert answer.status_code == 200, answer.json()
    return [each["name"] for each in answer.json()["results"]]


def test_an_organisation_is_read_with_its_figures(company, script):
    lead = make_lead(company, organisation="Acme & Co")
    make_lead(company, organisation="ACME & CO")
    make_deal(lead)
    make_deal(lead, amount="0.5", currency="CHF")

    [found] = script.get(URL).json()["results"]

    assert found.pop("last_activity_at")
    assert found == {
        "key": "acme-~26-co",
        "name": "Acme & Co",
        "lead_count": 2,
        "is_counted": True,
        "open_deal_count": 2,
        "open_deal_sums": [
            {"currency": "CHF", "amount": "0.50"},
            {"currency": "EUR", "amount": "1250.00"},
        ],
        "domain": "",
        "owner": None,
        "industry": "",
        "size": "",
        "address": "",
        "website": "",
        "notes": "",
    }
    assert script.get(f"{URL}acme-~26-co/").json()["lead_count"] == 2


def test_pages_run_by_name_and_back(script, five):
    first = script.get(URL, {"page_size": 2})
    second = script.get(first.json()["next"])
    third = script.get(second.json()["next"])
    back = script.get(second.json()["previous"])

    assert [names(each) for each in (first, second, third)] == [
        ["Acme & Co", "Bär"],
        ["Cello", "Dora"],
        ["Echo"],
    ]
    assert names(back) == names(first)
    assert (first.json()["previous"], third.json()["next"]) == (None, None)


def test_a_cursor_holds_an_id_and_no_name(script, five):
    query = parse_qs(urlsplit(script.get(URL, {"page_size": 2}).json()["next"]).query)

    assert base64.b64decode(query["cursor"][0]).decode() == f"p={five[3].pk}"


@pytest.mark.parametrize("position", ["%00", "bach", "9" * 19])
def test_a_cursor_without_an_id_is_a_404(script, five, position):
    cursor = base64.b64encode(f"p={position}".encode()).decode()

    assert script.get(URL, {"cursor": cursor}).json() == {"detail": "Invalid cursor"}


@pytest.mark.parametrize(
    "query",
    [{"page_size": "0"}, {"page_size": "x"}, {"ordering": "name"}, {"page": "2"}],
)
def test_other_parameters_are_refused(script, five, query):
    assert script.get(URL, query).status_code == 400


@pytest.mark.parametrize("key", ["theirs", "nothing", "~ff", "~00", "~c3", "-"])
def test_what_no_lead_of_the_company_has_is_a_404(script, five, key):
    assert script.get(f"{URL}{key}/").status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_nothing_but_its_details_is_written(company, five, method):
    client = caller(company, "admin")

    assert getattr(client, method)(f"{URL}cello/", {}).status_code == 405
    assert client.post(URL, {"name": "New"}).status_code == 405


def test_leads_are_narrowed_by_organisation(company, script, five):
    other = make_lead(company, organisation=" acme & CO ")

    found = script.get("/api/v1/leads/", {"organisation": "ACME &\u00a0Co"}).json()[
        "results"
    ]

    assert [each["id"] for each in found] == [other.pk, five[1].pk]
    assert (
        script.get("/api/v1/leads/", {"organisation": "Theirs"}).json()["results"] == []
    )
    for bad in ("", " ", "a" * 161, "\0"):
        assert script.get("/api/v1/leads/", {"organisation": bad}).status_code == 400, (
            bad
        )


def test_a_session_that_reads_on_is_on_record(company, sales, five):
    client = signed_in(sales)

    first = client.get(URL, {"page_size": 2})
    assert not AuditEntry.objects.filter(action="export").exists()
    client.get(first.json()["next"])

    assert AuditEntry.objects.get(action="export").details == {
        "what": "organisations through the API"
    }
