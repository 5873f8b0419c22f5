"""Giving the selected organisations of the list an owner."""

import pytest

from crm.models import OrganisationDetails
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db

URL = "/changes/organisations/owner/"


@pytest.fixture
def client(client_as, sales):
    return client_as(sales)


def owners(company):
    rows = OrganisationDetails.objects.for_company(company).order_by("key")
    return list(rows.values_list("key", "owner", "industry"))


def text_of(response):
    return response.content.decode()


def test_the_selected_ones_get_it_with_or_without_details(
    client, company, sales, admin
):
    acme, bach, cello, _ = (
        make_lead(company, organisation=name)
        for name in ("Acme", "Bach", "Cello", "Dora")
    )
    for key, owner in (("acme", admin.user), ("cello", sales.user)):
        OrganisationDetails.objects.create(
            company=company, key=key, owner=owner, industry="Music"
        )

    page = client.get("/organisations/")
    assert f'value="{acme.pk}"' in text_of(page)
    answer = client.post(
        URL,
        {
            "organisation": [acme.pk, bach.pk, cello.pk],
            "owner": sales.user_id,
            "next": "/organisations/?size=11-50",
        },
    )

    assert answer.url == "/organisations/?size=11-50"
    assert owners(company) == [
        ("acme", sales.user_id, "Music"),
        ("bach", sales.user_id, ""),
        ("cello", sales.user_id, "Music"),
    ]
    assert "2 organisations changed." in text_of(client.get("/organisations/"))


def test_an_owner_is_taken_away_and_no_empty_details_are_made(client, company, sales):
    leads = [make_lead(company, organisation=name) for name in ("Acme", "Bach")]
    OrganisationDetails.objects.create(company=company, key="acme", owner=sales.user)

    client.post(URL, {"organisation": [lead.pk for lead in leads], "owner": ""})

    assert owners(company) == [("acme", None, "")]


@pytest.mark.parametrize(
    ("selected", "owner", "says"),
    [
        ([], "", "Select the organisations to change first."),
        (["x", "²"], "", "Select the organisations to change first."),
        (range(1, 102), "", "at most 100 organisations"),
        ([1], "0", "Choose one of your colleagues."),
    ],
)
def test_what_is_wrong_is_said(client, selected, owner, says):
    asked = {"organisation": [*selected], "owner": owner}

    assert says in text_of(client.post(URL, asked, follow=True))


def test_other_companies_keep_theirs(client, company, other_company, sales):
    theirs = make_lead(other_company, organisation="Acme")
    make_lead(company, organisation="Acme")

    client.post(URL, {"organisation": [theirs.pk], "owner": sales.user_id})

    assert not OrganisationDetails.objects.exists()


def test_those_who_only_read_have_no_boxes(client_as, ops, company):
    lead = make_lead(company, organisation="Acme")
    client = client_as(ops)

    assert 'name="organisation"' not in text_of(client.get("/organisations/"))
    assert client.post(URL, {"organisation": [lead.pk]}).status_code == 403
