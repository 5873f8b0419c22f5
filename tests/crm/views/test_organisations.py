"""The pages of organisations, their names as you type, and the links that lead there."""

import re
from html import unescape

import pytest

from crm.models import Lead, LeadSearch
from crm.views import organisations
from tests.conftest import make_deal, make_lead, make_note

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def client(client_as, sales):
    return client_as(sales)


@pytest.fixture
def acme(company):
    return make_lead(
        company,
        first_name="Zoë",
        last_name="Byron",
        organisation="Acme & Söhne/2",
        title="CTO",
    )


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


def listed(response):
    return [each.name for each in response.context["page"].rows]


def test_the_list_has_numbers_and_a_link_to_each(client, company, acme):
    make_deal(acme)
    make_lead(company, organisation="acme & söhne/2")

    text = text_of(client.get("/organisations/"))

    assert "Acme &amp; Söhne/2" in text
    assert "2 leads" in text
    assert "€1,250" in text
    assert f'href="{acme.organisation_url}"' in text
    assert acme.organisation_url == "/organisations/acme-~26-so~cc~88hne~2f2/"


@pytest.mark.parametrize(("role", "offers"), [("sales", True), ("ops", False)])
def test_without_any_it_says_what_will_be_here(client_as, request, role, offers):
    text = text_of(client_as(request.getfixturevalue(role)).get("/organisations/"))

    assert "No organisations yet" in text
    assert ('href="/leads/new/">Add a lead' in text) is offers


def test_a_search_is_posted_and_not_in_the_url(client, company, acme):
    make_lead(company, organisation="Bach")

    response = client.post("/organisations/", {"search": "sohne"}, follow=True)

    assert "sohne" not in response.redirect_chain[0][0]
    assert listed(response) == ["Acme & Söhne/2"]
    assert LeadSearch.objects.get().text == "sohne"
    assert "No matching organisations" in text_of(
        client.post("/organisations/", {"search": "qqq"}, follow=True)
    )


def test_a_search_that_is_cut_says_so_and_nothing_false(client, company, monkeypatch):
    monkeypatch.setattr("crm.selectors.organisations.SEARCHED_AT_MOST", 1)
    for number in range(2):
        make_lead(company, organisation=f"Bach {number}")

    cut = text_of(client.post("/organisations/", {"search": "example"}, follow=True))
    whole = text_of(client.post("/organisations/", {"search": "qqq"}, follow=True))

    assert ("may be missing" in cut, "No lead has an organisation" in cut) == (
        True,
        False,
    )
    assert ("may be missing" in whole, "No lead has an organisation" in whole) == (
        False,
        True,
    )


def test_pages_are_followed_by_their_links(client, company, monkeypatch):
    for number in range(27):
        make_lead(company, organisation=f"Acme & Co {number:02}", email="")

    first = client.get("/organisations/")
    second = client.get("/organisations/", {"after": first.context["page"].next})

    assert f"after={Lead.objects.get(organisation='Acme & Co 24').pk}" in text_of(first)
    assert listed(second) == ["Acme & Co 25", "Acme & Co 26"]
    assert listed(
        client.get("/organisations/", {"before": second.context["page"].previous})
    ) == listed(first)
    assert listed(client.get("/organisations/", {"after": "\0"})) == listed(first)


def test_neither_do_the_pages_of_a_search_have_a_word_of_it_in_their_links(
    client, company
):
    for number in range(27):
        make_lead(company, organisation=f"Lovelace {number:02}", email="")

    first = client.post("/organisations/", {"search": "lovelace"}, follow=True)
    links = re.findall(r'href="([^"]*(?:after|before)=[^"]*)"', text_of(first))
    second = client.get("/organisations/" + unescape(links[0]))

    assert len(links) == 1
    assert "lovelace" not in links[0].lower()
    assert listed(second) == ["Lovelace 25", "Lovelace 26"]
    assert 'rel="prev"' in text_of(second)


def test_the_page_has_people_deals_and_their_history_with_names(
    client, sales, company, acme
):
    other = make_lead(
        company, first_name="Grace", last_name="Hopper", organisation="ACME & Söhne/2"
    )
    make_note(sales, other, text="Wants seats")
    make_deal(acme, title="Forty licences")
    make_deal(
        make_lead(company, first_name="Elsewhere", organisation="Bach"),
        title="Another deal",
    )

    text = text_of(client.get(acme.organisation_url))

    for said in (
        "Zoë Byron",
        "Grace Hopper",
        "CTO",
        "Forty licences",
        "Wants seats",
        "Deal created",
        "1 open deal worth",
    ):
        assert said in text
    assert "Elsewhere" not in text
    assert "Another deal" not in text


def test_notes_are_for_those_who_may_see_them(client_as, ops, sales, acme):
    make_note(sales, acme, text="Wants seats")

    assert "Wants seats" not in text_of(client_as(ops).get(acme.organisation_url))


def test_what_happened_to_a_merged_lead_is_history_of_the_organisation(
    client, sales, company, acme
):
    gone = make_lead(company, first_name="Z.", organisation="Elsewhere")
    make_note(sales, gone, text="Before the merge")
    Lead.objects.filter(pk=gone.pk).update(merged_into=acme)

    text = text_of(client.get(acme.organisation_url))

    assert "Before the merge" in text
    assert f'href="/leads/{acme.pk}/"' in text
    assert f'href="/leads/{gone.pk}/"' not in text
    assert ">Z.<" not in text


@pytest.mark.parametrize("key", ["nothing", "~ff", "~00", "a.b", "x~2", "-"])
def test_an_organisation_that_no_lead_has_is_not_found(client, acme, key):
    assert client.get(f"/organisations/{key}/").status_code == 404


def test_another_companys_organisation_is_not_found(client, other_company):
    theirs = make_lead(other_company, organisation="Theirs")

    assert client.get(theirs.organisation_url).status_code == 404
    assert (
        client.post(f"{theirs.organisation_url}rename/", {"name": "Ours"}).status_code
        == 404
    )


def test_long_lists_have_pages(client, company, acme, monkeypatch):
    monkeypatch.setattr(organisations, "PEOPLE_PER_PAGE", 2)
    monkeypatch.setattr(organisations, "DEALS_PER_PAGE", 2)
    leads = [
        acme,
        *(
            make_lead(company, first_name=f"P{at}", organisation=acme.organisation)
            for at in range(3)
        ),
    ]
    deals = [make_deal(lead) for lead in leads]

    first = client.get(acme.organisation_url)
    people, shown = first.context["people"], first.context["deals"]
    older = client.get(
        acme.organisation_url, {"people": people.next, "deals": shown.next}
    )

    assert f"people={people.next}#people" in text_of(first)
    assert [each.pk for each in people] == [each.pk for each in leads[:1:-1]]
    assert [each.pk for each in older.context["people"]] == [
        each.pk for each in leads[1::-1]
    ]
    assert [each.pk for each in older.context["deals"]] == [
        each.pk for each in deals[1::-1]
    ]
    assert "Back to newest" in text_of(older)


def test_a_long_history_has_one_link_to_what_is_older(client, sales, acme, monkeypatch):
    monkeypatch.setattr("crm.selectors.timeline.ENTRIES_AT_MOST", 2)
    for number in range(4):
        make_note(sales, acme, text=f"Call {number}")

    for url in (acme.organisation_url, f"/leads/{acme.pk}/"):
        first = client.get(url)
        text = text_of(first)
        older = text_of(client.get(url, {"before": first.context["timeline"].older}))

        assert text.count('rel="next"') == 1, url
        assert ("Call 3" in text, "Call 1" in text) == (True, False)
        assert "Call 1" in older


def test_the_number_of_queries_does_not_grow(
    client, sales, company, acme, django_assert_max_num_queries
):
    for at in range(6):
        lead = make_lead(company, first_name=f"P{at}", organisation=acme.organisation)
        make_deal(lead)
        make_note(sales, lead)

    with django_assert_max_num_queries(26):
        client.get(acme.organisation_url)


def test_the_deals_of_a_large_one_say_of_how_many_leads_they_are(
    client, company, acme, monkeypatch
):
    make_deal(make_lead(company, organisation=acme.organisation))
    assert "of the newest" not in text_of(client.get(acme.organisation_url))
    assert "of the newest" not in text_of(client.get("/organisations/"))

    monkeypatch.setattr("crm.models.organisation_figures.COUNTED_UP_TO", 1)

    assert "of the newest 1 lead" in " ".join(
        text_of(client.get(acme.organisation_url)).split()
    )
    assert "of the newest leads" in text_of(client.get("/organisations/"))


# Renaming


def test_renaming_asks_first_with_the_number_of_leads(client, company, acme):
    make_lead(company, organisation=acme.organisation)
    url = f"{acme.organisation_url}rename/"

    assert f'value="{acme.organisation.replace("&", "&amp;")}"' in text_of(
        client.get(url)
    )
    question = text_of(client.post(url, {"name": " Acme   Group "}))
    assert "2 leads" in question
    assert "Acme Group" in question
    assert Lead.objects.filter(organisation="Acme Group").count() == 0
    answer = client.post(
        url,
        {
            "name": "Acme Group",
            "lead_count": "2",
            "joined_count": "0",
            "confirmed": "1",
        },
        follow=True,
    )

    assert answer.redirect_chain[0][0] == "/organisations/acme-group/"
    assert "2 leads were changed" in text_of(answer)
    assert Lead.objects.filter(organisation="Acme Group").count() == 2


def test_it_says_if_two_organisations_would_be_one(client, company, acme):
    make_lead(company, organisation="Bach")
    url = f"{acme.organisation_url}rename/"

    assert "is there already" in text_of(client.post(url, {"name": "BACH"}))
    assert "is there already" not in text_of(
        client.post(url, {"name": acme.organisation.upper()})
    )


@pytest.mark.parametrize("lead_count", ["1", "", "x", "9" * 30, "²"])
def test_another_number_of_leads_than_asked_about_asks_again(
    client, company, acme, lead_count
):
    make_lead(company, organisation=acme.organisation)

    answer = client.post(
        f"{acme.organisation_url}rename/",
        {"name": "Bach", "lead_count": lead_count, "confirmed": "1"},
    )

    assert "Nothing has been renamed yet" in text_of(answer)
    assert not Lead.objects.filter(organisation="Bach").exists()


def test_an_organisation_that_came_since_the_question_is_asked_about_first(
    client, company, acme
):
    url = f"{acme.organisation_url}rename/"
    answers = {"name": "BACH", "lead_count": "1", "joined_count": "0", "confirmed": "1"}
    assert 'name="joined_count" value="0"' in text_of(
        client.post(url, {"name": "BACH"})
    )
    make_lead(company, organisation="Bach")

    again = text_of(client.post(url, answers))

    assert "Nothing has been renamed yet" in again
    assert "is there already" in again
    assert 'name="joined_count" value="1"' in again
    assert Lead.objects.filter(organisation="BACH").count() == 0

    done = text_of(client.post(url, {**answers, "joined_count": "1"}, follow=True))
    assert "the organisation is now called BACH." in done


def test_the_message_calls_it_as_it_is_called_from_now_on(client, company, acme):
    later = make_lead(company, organisation="Bach")
    answers = {
        "name": "ACME & SÖHNE/2",
        "lead_count": "1",
        "joined_count": "1",
        "confirmed": "1",
    }

    done = text_of(
        client.post(f"{later.organisation_url}rename/", answers, follow=True)
    )

    assert "the organisation is now called Acme &amp; Söhne/2." in done


@pytest.mark.parametrize(
    "answers",
    [{}, {"name": "Bach"}, {"name": "Bach", "lead_count": "1", "confirmed": "1"}],
)
def test_too_many_leads_are_refused_before_any_question(
    client, acme, monkeypatch, answers
):
    monkeypatch.setattr("crm.services.organisations.RENAMED_AT_MOST", 0)
    url = f"{acme.organisation_url}rename/"

    answer = (
        client.post(url, answers, follow=True)
        if answers
        else client.get(url, follow=True)
    )

    assert answer.redirect_chain == [(acme.organisation_url, 302)]
    assert "Nothing was renamed: more than" in text_of(answer)
    assert "Use the API to rename so many leads." in text_of(answer)


@pytest.mark.parametrize(
    "name",
    ["", "   ", "\u3000", "\u200b\u00ad", "\ufeff \U0010ffff", "a" * 161, "a\0b"],
)
def test_no_name_is_refused_with_a_sentence(client, acme, name):
    answer = client.post(
        f"{acme.organisation_url}rename/",
        {"name": name, "lead_count": "1", "confirmed": "1"},
    )

    assert answer.context["form"].errors["name"]
    assert Lead.objects.get().organisation == acme.organisation


def test_those_who_only_read_do_not_rename(client_as, ops, acme):
    client = client_as(ops)

    assert "Rename" not in text_of(client.get(acme.organisation_url))
    assert (
        client.post(f"{acme.organisation_url}rename/", {"name": "Bach"}).status_code
        == 403
    )


# Names as you type, and links


def test_names_are_suggested_as_one_types_and_nothing_is_kept(
    client, acme, other_company
):
    make_lead(other_company, organisation="Acme Theirs")

    answer = client.post("/leads/organisations/", {"organisation": "ac"}, headers=HTMX)

    assert text_of(answer).strip() == '<option value="Acme &amp; Söhne/2"></option>'
    assert not LeadSearch.objects.exists()
    assert (
        text_of(
            client.post(
                "/leads/organisations/", {"organisation": "a" * 161}, headers=HTMX
            )
        ).strip()
        == ""
    )
    assert client.get("/leads/organisations/").url == "/leads/"


def test_the_forms_ask_for_suggestions_and_take_any_name(client, acme):
    for page in (
        client.get("/leads/new/"),
        client.get(f"/leads/{acme.pk}/edit/"),
        client.get(f"/leads/{acme.pk}/fields/organisation/", headers=HTMX),
    ):
        text = text_of(page)
        assert 'hx-post="/leads/organisations/"' in text
        assert '<datalist id="' in text

    client.post(
        f"/leads/{acme.pk}/fields/organisation/",
        {"organisation": "Never seen"},
        headers=HTMX,
    )

    assert listed(client.get("/organisations/")) == ["Never seen"]


def test_lead_deal_and_lists_lead_to_the_page(client, company, acme):
    deal = make_deal(acme)
    make_lead(company, first_name="Nowhere", organisation="")

    for path in (f"/leads/{acme.pk}/", f"/deals/{deal.pk}/", "/leads/", "/deals/list/"):
        assert f'href="{acme.organisation_url}"' in text_of(client.get(path)), path


def test_a_lead_without_one_has_no_link(client, company):
    lead = make_lead(company, organisation="\u3000")

    assert lead.organisation_url == ""
    assert "/organisations/~" not in text_of(client.get(f"/leads/{lead.pk}/"))


def test_the_search_of_everything_finds_it(client, acme):
    for headers in (HTMX, {}):
        response = client.post(
            "/find/", {"search": "sohne"}, headers=headers, follow=True
        )

        assert [name for _, name in response.context["found"].organisations] == [
            "Acme & Söhne/2"
        ]
        assert f'href="{acme.organisation_url}"' in text_of(response)
