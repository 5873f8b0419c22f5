"""The people of a deal on its page, on the pages of leads and organisations, and the search for another one."""

import pytest

from capi.models import ConversionEvent
from crm.models import Deal, DealPerson, Lead
from crm.services.deal_people import add_person, change_lead, remove_person
from crm.services.lead_merges import merge_leads
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db

SENT = "This deal was reported to LinkedIn"
MAKE_MAIN = 'name="main"'


@pytest.fixture
def deal(company):
    return make_deal(make_lead(company, organisation="Acme"))


@pytest.fixture
def grace(company):
    return make_lead(
        company,
        first_name="Grace",
        last_name="Hopper",
        email="grace@example.com",
        organisation="Navy",
    )


def url(deal):
    return f"/deals/{deal.pk}/people/"


def test_the_search_finds_leads_that_are_not_on_the_deal_yet(
    client_as, sales, company, deal, grace
):
    client = client_as(sales)
    mary = make_lead(company, first_name="Mary", email="mary@example.com")
    add_person(deal=deal, lead=mary)

    everyone = client.get(url(deal))
    found = client.post(url(deal), {"search": "hopper"})
    none = client.post(url(deal), {"search": "mary"})

    assert [list(page.context["leads"]) for page in (everyone, found, none)] == [
        [grace],
        [grace],
        [],
    ]
    assert f'name="add" value="{grace.pk}"' in found.content.decode()
    assert "No matching leads" in none.content.decode()


def test_a_person_is_added_made_the_lead_and_removed(client_as, sales, deal, grace):
    client, ada = client_as(sales), deal.lead

    added = client.post(url(deal), {"add": grace.pk}, follow=True)
    assert "Grace Hopper was added to the deal." in added.content.decode()
    assert MAKE_MAIN in added.content.decode()
    swapped = client.post(url(deal), {"main": grace.pk}, follow=True).content.decode()
    assert "Grace Hopper is now the main person." in swapped
    assert (Deal.objects.get().lead, DealPerson.objects.get().lead) == (grace, ada)
    removed = client.post(url(deal), {"remove": ada.pk}, follow=True)

    assert "Ada was removed from the deal." in removed.content.decode()
    assert not DealPerson.objects.exists()


def test_whoever_was_removed_meanwhile_does_not_become_the_lead(
    client_as, sales, deal, grace
):
    answer = (
        client_as(sales)
        .post(url(deal), {"main": grace.pk}, follow=True)
        .content.decode()
    )

    assert "not one of the deal&#x27;s people any more" in answer
    assert Deal.objects.get().lead == deal.lead


def test_a_deal_that_linkedin_knows_says_why_its_lead_stays(
    client_as, sales, deal, grace, connected, make_rule
):
    rule = make_rule("deal_created")
    ConversionEvent.objects.create(
        company=deal.company, rule=rule, deal=deal, lead=deal.lead, state="accepted"
    )
    add_person(deal=deal, lead=grace)
    client = client_as(sales)

    page = client.get(f"/deals/{deal.pk}/").content.decode()
    answer = client.post(url(deal), {"main": grace.pk}, follow=True).content.decode()

    assert (SENT in page, MAKE_MAIN in page, 'name="remove"' in page) == (
        True,
        False,
        True,
    )
    assert SENT in answer
    assert Deal.objects.get().lead == deal.lead


@pytest.mark.parametrize("change", ["add", "remove", "main"])
def test_no_lead_of_another_company_is_found_or_taken(
    client_as, sales, deal, other_company, change
):
    stranger = make_lead(other_company, first_name="Eve")
    client = client_as(sales)

    assert client.post(url(deal), {change: stranger.pk}).status_code == 404
    assert client.post(url(deal), {change: "nonsense"}).status_code == 404
    assert not client.post(url(deal), {"search": "eve"}).context["leads"]
    assert (
        client.post(url(make_deal(stranger)), {change: deal.lead_id}).status_code == 404
    )
    assert (Deal.objects.get(pk=deal.pk).lead, DealPerson.objects.exists()) == (
        deal.lead,
        False,
    )


def test_whoever_may_only_look_sees_the_people_and_no_buttons(
    client_as, ops, deal, grace
):
    add_person(deal=deal, lead=grace)
    client = client_as(ops)

    page = client.get(f"/deals/{deal.pk}/").content.decode()

    assert "the only one reported to LinkedIn." in page
    assert "Grace Hopper" in page
    assert not any(each in page for each in (MAKE_MAIN, 'name="remove"', url(deal)))
    assert client.post(url(deal), {"remove": grace.pk}).status_code == 403


def test_a_deal_with_its_lead_alone_has_a_link_to_add_people_and_no_form(
    client_as, sales, deal
):
    page = client_as(sales).get(f"/deals/{deal.pk}/").content.decode()

    assert f'href="{url(deal)}"' in page
    assert f'action="{url(deal)}"' not in page


def test_a_lead_who_opted_out_is_not_said_to_be_reported(client_as, sales, deal):
    Lead.objects.filter(pk=deal.lead_id).update(share_with_ad_platforms=False)

    page = client_as(sales).get(f"/deals/{deal.pk}/").content.decode()

    assert "nothing about the deal is sent to LinkedIn." in " ".join(page.split())
    assert "the only one reported to LinkedIn." not in page


def test_the_people_of_an_erased_leads_deal_stay_as_they_are(
    client_as, sales, deal, grace
):
    Lead.objects.filter(pk=deal.lead_id).update(
        first_name="",
        email="",
        organisation="",
        share_with_ad_platforms=False,
        erased_at="2026-11-01T00:00Z",
    )

    assert client_as(sales).post(url(deal), {"add": grace.pk}).status_code == 404
    assert client_as(sales).get(f"/deals/{deal.pk}/").status_code == 200


def test_the_pages_of_a_lead_and_an_organisation_have_the_deals_of_others_marked(
    client_as, sales, deal, grace
):
    own = make_deal(grace, title="Compilers")
    add_person(deal=deal, lead=grace)
    client = client_as(sales)

    lead_page = client.get(f"/leads/{grace.pk}/")
    organisation_page = client.get(grace.organisation_url)

    assert list(lead_page.context["deals"]) == [own]
    assert list(lead_page.context["further_deals"]) == [deal]
    assert (
        "One of its people. The main person is <bdi>Ada</bdi>"
        in lead_page.content.decode()
    )
    assert [each.pk for each in organisation_page.context["deals"]] == [own.pk, deal.pk]
    assert "shared, with <bdi>Ada</bdi>, <bdi>Acme</bdi>" in " ".join(
        organisation_page.content.decode().split()
    )


def test_whoever_erases_a_person_is_told_of_the_deals_of_others(
    client_as, admin, deal, grace
):
    add_person(deal=deal, lead=grace)
    client = client_as(admin)

    asked = client.get(f"/leads/{grace.pk}/erase/").content.decode()

    assert "check whether they name this person" in asked
    assert f'href="/deals/{deal.pk}/"' in asked
    assert (
        "check whether"
        not in client.get(f"/leads/{deal.lead_id}/erase/").content.decode()
    )


def test_so_they_are_of_deals_that_the_person_has_left(
    client_as, admin, company, deal, grace
):
    ada, mary = (
        deal.lead,
        make_lead(company, first_name="Mary", email="mary@example.com"),
    )
    gone = make_lead(company, first_name="G.", email="g@example.com")
    for lead in (mary, gone):
        add_person(deal=deal, lead=lead)
        remove_person(deal=deal, lead=lead)
    change_lead(deal=deal, lead=grace)
    merge_leads(kept=mary, gone=gone)
    client, link = client_as(admin), f'href="/deals/{deal.pk}/"'

    listed = [
        link in client.get(f"/leads/{lead.pk}/erase/").content.decode()
        for lead in (ada, mary, grace)
    ]

    assert listed == [True, True, False]
    make_deal(mary)
    assert client.get(f"/leads/{mary.pk}/erase/").context["deals_of_others"] == [deal]


def test_a_lead_who_opted_out_after_linkedin_was_told_is_said_to_be_reported_no_more(
    client_as, sales, deal, grace, connected, make_rule
):
    rule = make_rule("deal_created")
    ConversionEvent.objects.create(
        company=deal.company, rule=rule, deal=deal, lead=deal.lead, state="accepted"
    )
    add_person(deal=deal, lead=grace)
    Lead.objects.filter(pk=deal.lead_id).update(share_with_ad_platforms=False)

    page = " ".join(client_as(sales).get(f"/deals/{deal.pk}/").content.decode().split())

    assert SENT in page
    assert "nothing more about the deal is sent to LinkedIn." in page
