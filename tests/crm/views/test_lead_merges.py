"""The page that merges two leads, and the undo on the page of the one that was kept."""

import re
from datetime import UTC, datetime

import pytest
from django.urls import reverse

from crm.models import Lead, LeadMerge, Note
from crm.services.deal_people import add_person
from crm.services.lead_merges import merge_leads
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db

URL = reverse("lead_merge")


@pytest.fixture
def client(client_as, sales):
    return client_as(sales)


@pytest.fixture
def leads(company):
    kept = make_lead(
        company, first_name="Pieter", last_name="Dekker", organisation="Granite"
    )
    gone = make_lead(company, first_name="P.", last_name="Dekker", email="p@mail.example", organisation="Granite",
                     title="Head of Fleet")  # fmt: skip
    return kept, gone


def both(*leads):
    return {"lead": [lead.pk for lead in leads]}


def text_of(response):
    return response.content.decode()


def version(response):
    return response.context["version"]


def test_the_page_asks_where_the_leads_differ_and_fills_what_is_empty(client, leads):
    page = client.get(URL, both(*leads))

    preview = page.context["preview"]
    assert (preview.kept, preview.gone) == leads
    assert {field.key: field.takes_other for field in preview.choices} == {
        "name": False, "email": False, "title": True,
    }  # fmt: skip
    assert "A merge sends nothing, and no conversion is lost or sent twice" in text_of(
        page
    )
    # Kinds without a row are not listed.
    assert re.findall(r"\d+ (?:deal|task|note|file|tag|CRM event)", text_of(page)) == [
        "1 CRM event"
    ]


def test_the_other_lead_can_be_the_one_that_is_kept(client, leads):
    page = client.get(URL, {**both(*leads), "kept": leads[1].pk})

    assert (page.context["preview"].kept, page.context["preview"].gone) == (
        leads[1],
        leads[0],
    )


def test_the_choices_are_what_the_merged_lead_has(client, leads):
    kept, gone = leads
    make_deal(gone)
    page = client.get(URL, both(*leads))
    chosen = {
        "name": "kept",
        "email": "gone",
        "title": "gone",
        "kept": kept.pk,
        "version": version(page),
    }

    response = client.post(URL, {**both(*leads), **chosen}, follow=True)

    merged = Lead.objects.get(pk=kept.pk)
    assert (str(merged), merged.email, merged.title) == (
        "Pieter Dekker",
        "p@mail.example",
        "Head of Fleet",
    )
    assert merged.deals.count() == 1
    assert "P. Dekker was merged into Pieter Dekker" in text_of(response)


def test_the_bulk_bar_leads_to_the_page(client, leads):
    response = client.post(
        URL, {**both(*leads), "status": 1, "next": "/leads/?sort=name"}
    )

    assert response.url.startswith(f"{URL}?lead=")
    assert client.get(response.url).status_code == 200


@pytest.mark.parametrize("count", [0, 1, 3])
def test_two_leads_have_to_be_selected(client, company, count):
    leads = [make_lead(company) for _ in range(count)]

    response = client.post(URL, both(*leads), follow=True)

    assert "Select two leads" in text_of(response)
    assert not LeadMerge.objects.exists()


def test_another_companys_lead_is_not_found(client, other_company, leads):
    strange = both(leads[0], make_lead(other_company))

    assert client.get(URL, strange).status_code == 404
    assert client.post(URL, {**strange, "kept": leads[0].pk}).status_code == 404


def test_a_lead_that_was_merged_or_changed_meanwhile_is_said_to_be(client, leads):
    kept, gone = leads
    page = client.get(URL, both(*leads))
    Lead.objects.filter(pk=kept.pk).update(source="Fair")
    posted = {**both(*leads), "kept": kept.pk, "version": version(page)}
    changed = client.post(URL, posted, follow=True)
    merge_leads(kept=kept, gone=gone)
    merged = client.post(URL, posted, follow=True)

    assert "changed since" in text_of(changed)
    assert "already been merged" in text_of(merged)


def test_links_to_the_merged_lead_lead_to_the_kept_one_and_back_after_an_undo(
    client, leads
):
    kept, gone = leads
    merge_leads(kept=kept, gone=gone)

    page = client.get(gone.get_absolute_url(), follow=True)
    assert page.redirect_chain == [(kept.get_absolute_url(), 302)]
    assert "was merged into this lead" in text_of(page)
    undone = client.post(reverse("lead_merge_undo", args=[gone.pk]), follow=True)

    assert "are two leads again" in text_of(undone)
    assert undone.context["lead"] == gone
    again = client.post(reverse("lead_merge_undo", args=[gone.pk]), follow=True)
    assert "nothing to undo" in text_of(again)


def test_an_undo_names_what_was_changed_since(client, leads):
    kept, gone = leads
    merge_leads(kept=kept, gone=gone, taken=["title"])
    Lead.objects.filter(pk=kept.pk).update(title="Chair")

    response = client.post(reverse("lead_merge_undo", args=[gone.pk]), follow=True)

    assert "left as it is now: Job title" in text_of(response)


def test_the_number_of_queries_is_constant(
    client, leads, django_assert_max_num_queries
):
    for _ in range(8):
        make_deal(leads[1])

    with django_assert_max_num_queries(17):
        client.get(URL, both(*leads))


def test_ops_may_not_merge(client_as, ops, leads):
    assert client_as(ops).get(URL, both(*leads)).status_code == 403


def test_ops_see_a_merge_and_no_form_to_undo_it(client_as, ops, leads):
    kept, gone = leads
    merge_leads(kept=kept, gone=gone)

    page = client_as(ops).get(kept.get_absolute_url())

    assert "was merged into this lead" in text_of(page)
    assert reverse("lead_merge_undo", args=[gone.pk]) not in page.content.decode()


def test_of_several_merges_the_newest_is_offered_to_be_undone(client, company, leads):
    kept, first = leads
    second = make_lead(company, first_name="Second")
    older, newer = (merge_leads(kept=kept, gone=lead) for lead in (first, second))

    offered = client.get(kept.get_absolute_url()).context["merge"]
    refused = client.post(reverse("lead_merge_undo", args=[older.gone_id]), follow=True)
    client.post(reverse("lead_merge_undo", args=[newer.gone_id]))

    assert offered == newer
    assert f"Not undone: {second} has been merged into {kept} since." in text_of(
        refused
    )
    assert client.get(kept.get_absolute_url()).context["merge"] == older


def test_the_page_counts_the_notes_that_come_along(client, company, leads):
    Note.objects.create(company=company, lead=leads[1], text="Called")

    page = client.get(URL, both(*leads))

    assert page.context["preview"].note_count == 1
    assert "1 note or" in text_of(page)


def test_the_page_names_the_deals_of_others_that_the_lead_has_a_part_in(
    client, company, leads
):
    theirs = make_deal(
        make_lead(company, email="mary@example.com"), title="Looms for Mary"
    )
    add_person(deal=theirs, lead=leads[1])

    page = client.get(URL, both(*leads))

    assert "A place in 1 deal of other leads" in text_of(page)
    assert list(page.context["preview"].further_deals) == [theirs]
    assert theirs.get_absolute_url() in page.content.decode()


def test_an_undo_says_that_neither_lead_is_shared_after_an_opt_out(client, leads):
    kept, gone = leads
    merge_leads(kept=kept, gone=gone)
    Lead.objects.filter(pk=kept.pk).update(share_with_ad_platforms=False)

    response = client.post(reverse("lead_merge_undo", args=[gone.pk]), follow=True)

    assert "Neither lead is shared with ad platforms" in text_of(response)


@pytest.mark.parametrize("name", ["lead_delete", "lead_erase"])
def test_who_deletes_or_erases_a_lead_is_told_what_was_merged_into_it(
    client_as, admin, leads, name
):
    kept, gone = leads
    client = client_as(admin)
    before = client.get(reverse(name, args=[kept.pk]))
    merge_leads(kept=kept, gone=gone)

    page = client.get(reverse(name, args=[kept.pk]))

    assert "Leads that were merged into this one" not in text_of(before)
    assert "Leads that were merged into this one" in text_of(page)
    assert "<bdi>P. Dekker</bdi>" in text_of(page)


def test_the_day_on_which_a_lead_was_added_is_one_of_the_readers_time_zone(
    client, sales, leads
):
    user = sales.user
    user.time_zone = "Pacific/Auckland"
    user.save()
    Lead.objects.filter(pk=leads[0].pk).update(
        created_at=datetime(2025, 3, 12, 18, tzinfo=UTC)
    )

    page = client.get(URL, both(*leads))

    assert re.search(r"Added\s+<time[^>]*>13 Mar 2025</time>", text_of(page))
