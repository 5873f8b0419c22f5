"""Editing the details of an organisation on its page and through the API."""

import pytest

from crm.models import OrganisationDetails
from crm.views import organisation_details
from tests.conftest import make_lead
from tests.crm.api.calling import caller

pytestmark = pytest.mark.django_db

PAGE = "/organisations/acme/"
URL = "/api/v1/organisations/acme/"


@pytest.fixture(autouse=True)
def lead(company):
    return make_lead(company, organisation="Acme")


@pytest.fixture
def client(client_as, sales):
    return client_as(sales)


@pytest.fixture
def script(company):
    return caller(company, "sales")


def test_the_page_shows_what_the_form_saves(client, sales, company):
    client.post(
        f"{PAGE}edit/",
        {
            "domain": " WWW.Acme.com",
            "owner": sales.user_id,
            "industry": "Paper",
            "size": "11-50",
            "address": "Kade 1\nGhent",
            "website": "acme.com/about",
            "notes": "Buys in May.\nPays late.",
        },
    )

    text = client.get(PAGE).content.decode()
    row = OrganisationDetails.objects.for_company(company).get()
    assert (row.key, row.domain, row.owner) == ("acme", "acme.com", sales.user)
    for said in (
        "acme.com",
        "Paper",
        "11 to 50",
        "Kade 1<br>Ghent",
        str(sales.user),
        "Pays late.",
    ):
        assert said in text
    assert 'href="https://acme.com/about"' in text


def test_what_someone_else_changed_meanwhile_stays(client, company):
    OrganisationDetails.objects.create(company=company, key="acme", industry="Paper")
    opened = {"initial-industry": "", "initial-domain": ""}

    client.post(f"{PAGE}edit/", {**opened, "industry": "", "domain": "acme.com"})
    refused = client.post(f"{PAGE}edit/", {**opened, "industry": "Music"})

    row = OrganisationDetails.objects.get()
    assert (row.industry, row.domain) == ("Paper", "acme.com")
    assert "Nothing was saved" in refused.content.decode()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("domain", "acme", "Enter a domain such as acme.com."),
        ("domain", "ada@acme.com", "Enter a domain such as acme.com."),
        ("domain", "GMail.com", "Many organisations have addresses with this domain."),
        ("website", "javascript:alert(1)", "Enter an address that begins with"),
        ("website", "ftp://acme.com", "Enter an address that begins with"),
        ("owner", "0", "Choose one of your colleagues."),
        ("size", "3", "Select a valid choice"),
        ("industry", "x" * 81, "at most 80 characters"),
        ("address", "x" * 401, "at most 400 characters"),
        ("notes", "x" * 20_001, "at most 20000 characters"),
    ],
)
def test_what_is_wrong_is_refused_with_a_sentence(client, field, value, says):
    answer = client.post(f"{PAGE}edit/", {field: value})

    assert says in answer.content.decode()
    assert not OrganisationDetails.objects.exists()


def test_an_organisation_that_goes_meanwhile_is_not_found(client, lead, monkeypatch):
    save = organisation_details.save_details

    def save_later(**asked):
        lead.delete()
        return save(**asked)

    monkeypatch.setattr(organisation_details, "save_details", save_later)

    assert client.post(f"{PAGE}edit/", {"industry": "Paper"}).status_code == 404


def test_another_companys_details_are_neither_seen_nor_changed(client, other_company):
    OrganisationDetails.objects.create(
        company=other_company, key="acme", industry="Theirs"
    )

    assert "Theirs" not in client.get(PAGE).content.decode()
    client.post(f"{PAGE}edit/", {"industry": "Ours"})
    theirs = OrganisationDetails.objects.get(company=other_company)
    assert theirs.industry == "Theirs"


def test_ops_see_them_and_edit_nothing(client_as, ops, company):
    OrganisationDetails.objects.create(company=company, key="acme", industry="Paper")
    client = client_as(ops)

    text = client.get(PAGE).content.decode()
    assert "Paper" in text
    assert "edit/" not in text
    assert client.post(f"{PAGE}edit/", {"industry": "Ours"}).status_code == 403


# Through the API


def test_a_script_changes_only_what_it_names(script, sales):
    script.patch(URL, {"industry": "Paper", "owner": sales.user_id}, format="json")
    answer = script.patch(URL, {"domain": "WWW.Acme.com", "owner": None}, format="json")

    assert answer.status_code == 200, answer.json()
    said = {key: answer.json()[key] for key in ("key", "domain", "industry", "owner")}
    assert said == {
        "key": "acme",
        "domain": "acme.com",
        "industry": "Paper",
        "owner": None,
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"domain": "gmail.com"}, "domain"),
        ({"website": "ftp://acme.com"}, "website"),
        ({"size": "3"}, "size"),
        ({"owner": 0}, "owner"),
        ({"industry": 7}, "industry"),
        ({"name": "Bach"}, "name"),
        ({"key": "bach"}, "key"),
    ],
)
def test_a_script_is_refused_what_the_form_refuses(script, body, field):
    answer = script.patch(URL, body, format="json")

    assert (answer.status_code, list(answer.json())) == (400, [field])
    assert not OrganisationDetails.objects.exists()


def test_the_list_has_the_details_in_one_query(
    script, company, django_assert_num_queries
):
    for number in range(5):
        make_lead(company, organisation=f"Bach {number}")
        OrganisationDetails.objects.create(
            company=company, key=f"bach {number}", domain=f"b{number}.com"
        )
    script.get("/api/v1/organisations/")  # warm

    with django_assert_num_queries(6):
        answer = script.get("/api/v1/organisations/")

    assert [each["domain"] for each in answer.json()["results"]] == [
        "",
        *(f"b{number}.com" for number in range(5)),
    ]
