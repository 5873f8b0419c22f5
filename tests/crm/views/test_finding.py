"""The search of the whole product: leads, deals, pages and actions, on a page and in the palette."""

import pytest

from crm.models import LeadSearch
from crm.models.roles import Role
from tests.conftest import join, make_deal, make_lead

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def found(response):
    context = response.context
    return (
        [lead.name for lead in context["found"].leads],
        [deal.title for deal in context["found"].deals],
        [place.label for place in context["places"]],
    )


def test_it_finds_leads_deals_pages_and_actions(
    client_as, sales, company, other_company
):
    lead = make_lead(company, first_name="Zoë", email="")
    make_deal(lead, title="Leads of the fair")
    make_lead(other_company, first_name="Zoë")
    client = client_as(sales)

    assert found(client.post("/find/", {"search": "zoe"}, headers=HTMX)) == (
        ["Zoë"],
        ["Leads of the fair"],
        [],
    )
    leads, deals, places = found(
        client.post("/find/", {"search": "lead"}, headers=HTMX)
    )
    assert (leads, deals) == ([], ["Leads of the fair"])
    assert places == ["Add lead", "Import leads", "Leads"]


def test_what_is_typed_in_the_palette_is_kept_nowhere_and_without_scripts_it_is_in_no_address(
    client_as, sales, company
):
    make_lead(company, first_name="Zoë")
    client = client_as(sales)

    client.post("/find/", {"search": "zoe"}, headers=HTMX)
    assert not LeadSearch.objects.exists()
    response = client.post("/find/", {"search": "zoe"}, follow=True)

    assert "zoe" not in response.redirect_chain[0][0]
    assert found(response)[0] == ["Zoë"]


def test_roles_are_offered_what_they_may_do(client_as, ops):
    _, _, places = found(client_as(ops).get("/find/"))

    assert "Recent Events" in places
    assert not {"Add lead", "Add task", "Import leads", "My day", "Company"} & set(
        places
    )


@pytest.mark.parametrize(
    "name",
    ["forecast", "funnel", "list of deals", "overview", "audit log", "custom fields"],
)
def test_pages_behind_a_tab_or_a_button_are_found_by_their_name_but_not_listed_unasked(
    client_as, admin, name
):
    client = client_as(admin)

    assert [
        place.lower()
        for place in found(client.post("/find/", {"search": name}, headers=HTMX))[2]
    ] == [name]
    assert name not in [place.lower() for place in found(client.get("/find/"))[2]]


@pytest.mark.parametrize("role", Role)
def test_each_role_may_open_each_page_that_it_finds(client_as, company, role):
    client = client_as(join(company, role, email="ada@example.com"))
    places = {place for letter in "aeiou" for place in _places(client, letter)}

    answers = {url: client.get(url) for url in places}

    assert "/deals/forecast/" in places
    assert ("/company/people/" in places, "/deals/new/" in places) == (
        role == Role.ADMIN,
        role != Role.OPS,
    )
    assert {
        url: answer.status_code
        for url, answer in answers.items()
        if answer.status_code not in (200, 302)
    } == {}


def _places(client, text):
    return [
        place.url
        for place in client.post("/find/", {"search": text}, headers=HTMX).context[
            "places"
        ]
    ]


@pytest.mark.parametrize("text", ["\x00", "a" * 101, "a b c d e f g h i"])
def test_a_bad_search_is_answered_with_a_sentence(client_as, sales, text):
    response = client_as(sales).post("/find/", {"search": text}, headers=HTMX)

    assert response.status_code == 200
    assert response.context["problem"]


def test_a_search_takes_a_fixed_number_of_queries(
    client_as, sales, company, django_assert_num_queries
):
    make_lead(company, first_name="Zoë")
    client = client_as(sales)

    # session, user, memberships, leads, deals, organisations with this beginning and with these words
    with django_assert_num_queries(7):
        assert found(client.post("/find/", {"search": "zoe"}, headers=HTMX))[0] == [
            "Zoë"
        ]
