"""The filters of organisations by their details: on the page, in the API and in a file."""

import pytest

from crm.lists.filter_choices import industries_of
from crm.lists.organisations import oldest_leads
from crm.models import Lead, OrganisationDetails
from crm.selectors.organisations import organisations_page
from tests.conftest import make_lead
from tests.crm.api.calling import caller
from tests.plans import plans, read

pytestmark = pytest.mark.django_db

PAGE, URL = "/organisations/", "/api/v1/organisations/"


@pytest.fixture
def client(client_as, sales):
    return client_as(sales)


@pytest.fixture(autouse=True)
def five(company, other_company, sales, admin):
    """Acme Ltd and Bach Ltd are the member's, Cello is an admin's, and Dora and Echo have no owner."""
    make_details(company, "Acme Ltd", owner=sales.user, size="11-50", industry="Paper")
    make_details(company, "Bach Ltd", owner=sales.user, industry="Music")
    make_details(company, "Cello", owner=admin.user, industry="Music")
    make_details(company, "Dora", size="11-50")
    make_lead(company, organisation="Echo", email="")
    make_details(other_company, "Theirs", size="11-50", industry="Music")
    # No lead names it any more.
    OrganisationDetails.objects.create(company=company, key="fox", industry="Music")


def make_details(company, name, **values):
    make_lead(company, organisation=name, email="")
    OrganisationDetails.objects.create(company=company, key=name.lower(), **values)


def names(rows):
    return [each.name for each in rows]


ASKED = [
    ({"owner": "sales"}, ["Acme Ltd", "Bach Ltd"]),
    ({"industry": "Music"}, ["Bach Ltd", "Cello"]),
    ({"size": "11-50"}, ["Acme Ltd", "Dora"]),
    ({"owner": "sales", "industry": "Music"}, ["Bach Ltd"]),
    ({"size": "10001+"}, []),
    ({"industry": "Music", "search": "ltd"}, ["Bach Ltd"]),
    ({}, ["Acme Ltd", "Bach Ltd", "Cello", "Dora", "Echo"]),
]


@pytest.mark.parametrize(("asked", "expected"), ASKED)
def test_page_api_and_file_find_the_same(
    client, company, sales, monkeypatch, asked, expected
):
    if "owner" in asked:
        asked = {**asked, "owner": sales.user_id}
    monkeypatch.setattr("crm.lists.organisations.WALKED_AT_ONCE", 2)

    page = client.post(PAGE, asked, follow=True)
    answer = caller(company).get(URL, asked)

    assert names(page.context["page"].rows) == expected
    assert [each["name"] for each in answer.json()["results"]] == expected
    details = OrganisationDetails.objects.for_company(company)
    narrowed = {name: value for name, value in asked.items() if name != "search"}
    found = oldest_leads(
        company,
        asked.get("search", ""),
        details.filter(**narrowed) if narrowed else None,
    )
    assert [Lead.objects.get(pk=pk).organisation for pk in found] == expected


@pytest.mark.parametrize(
    "asked",
    [
        {"owner": "0"},
        {"industry": "Fishing"},
        {"size": "3"},
        {"search": "gone", "industry": "Music"},
    ],
)
def test_a_filter_that_no_longer_works_shows_none(client, asked):
    page = client.get(PAGE, asked)

    assert names(page.context["page"].rows) == []
    assert "no longer work" in page.content.decode()


@pytest.mark.parametrize(
    "asked", [{"owner": "0"}, {"industry": "Theirs"}, {"size": ""}]
)
def test_a_script_is_told_what_is_wrong(company, asked):
    answer = caller(company).get(URL, asked)

    assert (answer.status_code, list(answer.json())) == (400, list(asked))


def test_only_industries_and_people_of_the_company_are_offered(client, other_company):
    make_details(other_company, "Secret", industry="Spying")

    text = client.get(PAGE).content.decode()

    assert ">Music</option>" in text
    assert "Spying" not in text


def test_pages_go_on_and_back(company):
    music = OrganisationDetails.objects.for_company(company).exclude(industry="")
    asked = {"size": 1, "details": music}

    first = organisations_page(company, **asked)
    second = organisations_page(company, **asked, after=str(first.next))
    third = organisations_page(company, **asked, after=str(second.next))
    back = organisations_page(company, **asked, before=str(third.previous))

    pages = [first, second, third, back]
    assert [names(page.rows) for page in pages] == [
        ["Acme Ltd"],
        ["Bach Ltd"],
        ["Cello"],
        ["Bach Ltd"],
    ]
    assert third.next is None


def test_no_statement_reads_details_and_leads(company):
    # Without statistics on a company, PostgreSQL would look for the leads of all its details first.
    music = OrganisationDetails.objects.for_company(company).filter(industry="Music")

    with plans() as found:
        organisations_page(company, details=music)

    both = {"crm_lead", "crm_organisationdetails"}
    assert both <= set().union(*map(read, found))
    assert not [plan for plan in found if both <= read(plan)]


def test_details_that_no_lead_names_do_not_end_a_page(company):
    OrganisationDetails.objects.bulk_create(
        OrganisationDetails(company=company, key=f"a{number}", industry="Music")
        for number in range(9)
    )
    music = OrganisationDetails.objects.for_company(company).filter(industry="Music")

    page = organisations_page(company, size=2, details=music)

    assert names(page.rows) == ["Bach Ltd", "Cello"]


def test_an_industry_beyond_those_offered_can_still_be_asked_for(company, monkeypatch):
    monkeypatch.setattr("crm.lists.filter_choices.INDUSTRIES_OFFERED", 1)

    assert industries_of(company, "") == ["Music"]
    assert industries_of(company, "Paper") == ["Music", "Paper"]
    assert industries_of(company, "Spying") == ["Music"]


def test_the_owner_is_in_the_list_and_in_files(client, sales):
    assert str(sales.user) in client.get(PAGE).content.decode()
