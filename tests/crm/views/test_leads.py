"""Finding leads: search, filters, sorting, pages, and what is shown where there is nothing."""

import re

import pytest

from crm.models import LeadSearch, LeadStatus, SavedView
from tests.conftest import make_lead
from tests.crm.api.calling import caller
from tests.crm.custom_values import make_field

pytestmark = pytest.mark.django_db


def names(response):
    return [lead.name for lead in response.context["page"]]


def search(client, text, **fields):
    return client.post("/leads/", {"search": text, **fields}, follow=True)


def test_leads_are_listed_newest_first(client_as, sales, company):
    make_lead(company, first_name="Ada")
    make_lead(company, first_name="Grace")

    response = client_as(sales).get("/leads/")

    assert names(response) == ["Grace", "Ada"]


@pytest.mark.parametrize(
    "text", ["grace", "HOPPER", "grace hopper", "g.hopper@example.com", "navy"]
)
def test_a_search_finds_by_name_address_and_organisation(
    client_as, sales, company, text
):
    make_lead(company)
    make_lead(
        company,
        first_name="Grace",
        last_name="Hopper",
        email="g.hopper@example.com",
        organisation="Navy Yard",
    )

    response = search(client_as(sales), text)

    assert names(response) == ["Grace Hopper"]


def test_what_is_searched_for_is_never_in_an_address(client_as, sales, company):
    make_lead(company, email="ada@example.com")

    response = search(client_as(sales), "ada@example.com")

    assert len(response.redirect_chain) == 1
    address = response.redirect_chain[0][0]
    assert address.startswith("/leads/?search=")
    assert "ada" not in address
    assert "example" not in address


def test_a_search_is_kept_while_sorting_and_ends_with_a_plain_visit(
    client_as, sales, company
):
    make_lead(company, first_name="Ada")
    make_lead(company, first_name="Grace", email="grace@example.com")
    client = client_as(sales)
    address = search(client, "ada").redirect_chain[0][0]

    assert names(client.get(f"{address}&sort=name")) == ["Ada"]
    assert names(client.get("/leads/")) == ["Grace", "Ada"]


def test_a_search_with_a_nul_finds_nothing_special_and_says_so(
    client_as, sales, company
):
    make_lead(company)

    response = search(client_as(sales), "ada\x00")

    assert names(response) == ["Ada"]
    assert "Null characters are not allowed." in response.content.decode()


def test_filters_narrow_the_list_and_stay_in_the_address(client_as, sales, company):
    qualified = LeadStatus.objects.for_company(company).get(name="Qualified")
    make_lead(company, first_name="Ada", status=qualified, source="Fair")
    make_lead(company, first_name="Grace", status=qualified, source="Website")
    make_lead(company, first_name="Joan", source="Website")

    response = search(client_as(sales), "", status=qualified.pk, source="Website")

    assert response.redirect_chain == [
        (f"/leads/?status={qualified.pk}&source=Website", 302)
    ]
    assert names(response) == ["Grace"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("owner=null", ["Ada"]),
        ("type=referral", ["Grace"]),
        ("shared=False", ["Grace"]),
        ("shared=True", ["Ada"]),
        ("created_from=2999-01-01", []),
        ("created_until=2999-01-01", ["Grace", "Ada"]),
        ("updated_from=2999-01-01", []),
        ("updated_until=9999-12-31", ["Grace", "Ada"]),
        ("has_email=True", ["Ada"]),
        ("has_email=False", ["Grace"]),
        ("has_source=True", ["Grace"]),
        ("has_source=False", ["Ada"]),
        ("reached=qualified", []),
    ],
)
def test_each_filter_narrows(client_as, sales, company, query, expected):
    make_lead(company, first_name="Ada")
    fields = {
        "owner": sales.user,
        "type": "referral",
        "email": "",
        "source": "Fair",
        "share_with_ad_platforms": False,
    }
    make_lead(company, first_name="Grace", **fields)

    response = client_as(sales).get(f"/leads/?{query}")

    assert names(response) == expected


@pytest.mark.parametrize(("problem", "found"), [("typo", "Ada"), ("role", "Grace")])
def test_a_problem_of_the_address_narrows_page_api_and_saved_view_alike(
    client_as, sales, company, other_company, problem, found
):
    make_lead(company, first_name="Ada", email="ada@gmial.com")
    make_lead(company, first_name="Grace", email="info@example.com")
    make_lead(company, first_name="Mary", email="mary@example.com")
    make_lead(other_company, first_name="Ada", email="ada@gmial.com")
    make_lead(other_company, first_name="Grace", email="info@example.com")
    query = f"address_problem={problem}"
    view = SavedView.objects.create(
        company=company, owner=None, name="View", query=query, is_shared=True
    )
    client = client_as(sales)

    of_page = client.get(f"/leads/?{query}")
    of_api = caller(company).get(f"/api/v1/leads/?{query}").json()
    of_view = caller(company).get(f"/api/v1/leads/?view={view.pk}").json()

    assert names(of_page) == [found]
    assert [row["first_name"] for row in of_api["results"]] == [found]
    assert [row["first_name"] for row in of_view["results"]] == [found]


def test_a_source_that_is_not_offered_among_many_can_be_asked_for(
    client_as, sales, company, other_company, monkeypatch
):
    monkeypatch.setattr("crm.lists.filter_choices.SOURCES_OFFERED", 1)
    for owner, source in ((company, "Fair"), (company, "Web"), (other_company, "Zoo")):
        make_lead(owner, source=source)
    client = client_as(sales)

    assert len(names(client.get("/leads/?source=Web"))) == 1
    assert "Source</bdi>." in client.get("/leads/?source=Zoo").content.decode()


@pytest.mark.parametrize(
    ("query", "broken"),
    [
        ("status=999999", "Status"),
        ("status=%00&created_from=yesterday", "Status, Created from"),
        ("source=nowhere", "Source"),
        ("custom_region=emea", "a custom field that is not in use"),
        ("custom_industry=unknown", "a search that has expired or is not yours"),
        ("search=unknown", "a search that has expired or is not yours"),
    ],
)
def test_a_filter_that_no_longer_works_shows_no_lead_and_can_be_cleared(
    client_as, sales, company, query, broken
):
    make_lead(company, first_name="Ada", type="referral")
    make_lead(company, first_name="Grace")
    make_field(company, "Industry", "text")
    client = client_as(sales)

    response = client.get(f"/leads/?type=referral&{query}&view=3&after=1")

    assert names(response) == []
    assert f"{broken}</bdi>." in response.content.decode()
    assert "Save these filters" not in response.content.decode()
    assert "ignored" not in response.content.decode()
    cleared = re.search(r'href="([^"]+)"\s*>Clear th', response.content.decode())
    assert cleared
    assert cleared[1] == "/leads/?type=referral&amp;view=3"
    assert names(client.get("/leads/?type=referral&view=3")) == ["Ada"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["Ada Byron", "Grace Hopper", "Joan Clarke"]),
        ("-name", ["Joan Clarke", "Grace Hopper", "Ada Byron"]),
        ("organisation", ["Joan Clarke", "Ada Byron", "Grace Hopper"]),
        ("nonsense", ["Joan Clarke", "Grace Hopper", "Ada Byron"]),
    ],
)
def test_columns_sort_both_ways(client_as, sales, company, sort, expected):
    make_lead(company, first_name="Ada", last_name="Byron", organisation="Beta")
    make_lead(company, first_name="Grace", last_name="Hopper", organisation="Gamma")
    make_lead(company, first_name="Joan", last_name="Clarke", organisation="Alpha")

    response = client_as(sales).get(f"/leads/?sort={sort}")

    assert sorted(names(response)) == sorted(expected)
    if sort.endswith("name"):
        last_names = [name.split()[1] for name in names(response)]
        assert last_names == sorted(last_names, reverse=sort.startswith("-"))
    else:
        assert names(response) == expected


def test_pages_hold_25_leads_and_keep_the_filters(client_as, sales, company):
    leads = [
        make_lead(company, first_name=f"Lead {number:02}", source="Fair")
        for number in range(27)
    ]

    response = client_as(sales).get(f"/leads/?source=Fair&after={leads[2].pk}")

    assert names(response) == ["Lead 01", "Lead 00"]
    assert "27 leads" in response.content.decode()
    assert f'href="?source=Fair&amp;before={leads[1].pk}"' in response.content.decode()


def test_a_search_of_a_short_word_says_where_it_is_found(client_as, sales, company):
    make_lead(company, first_name="Ada")

    assert names(search(client_as(sales), "ad")) == ["Ada"]
    assert (
        "only found at the beginning of a word"
        in search(client_as(sales), "da").content.decode()
    )


def test_an_empty_company_is_told_how_to_begin(client_as, sales):
    response = client_as(sales).get("/leads/")

    assert "No leads yet" in response.content.decode()
    assert "Add the first lead" in response.content.decode()


def test_a_filter_without_a_match_offers_to_clear_it(client_as, sales, company):
    make_lead(company)

    response = client_as(sales).get("/leads/?source=&created_from=2999-01-01")

    assert "No matching leads" in response.content.decode()
    assert (
        '<a class="button" href="/leads/">Clear the filters</a>'
        in response.content.decode()
    )


def test_the_number_of_queries_does_not_grow_with_the_leads(
    client_as, sales, company, django_assert_num_queries
):
    for number in range(25):
        make_lead(company, first_name=f"Lead {number}", owner=sales.user)
    client = client_as(sales)

    # session, user, memberships, custom fields, count, page with its tags, views; to choose from, in the filters and
    # for the selected leads: sources, types, statuses, colleagues, tags
    with django_assert_num_queries(13):
        client.get("/leads/")


def test_a_search_of_many_words_is_not_made_and_the_page_says_why(client_as, sales):
    page = client_as(sales).post(
        "/leads/", {"search": "a b c d e f g h i"}, follow=True
    )

    assert "Enter at most 8 words to search for." in page.content.decode()
    assert not LeadSearch.objects.exists()
