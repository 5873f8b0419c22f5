"""Tags on the pages of leads and deals, in lists and on cards, in filters, in the API and in imports."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from crm.models import Company, Deal, Lead, LeadTag, Membership, RowUndo, Tag
from crm.models.roles import Role
from crm.models.tag import add_links
from crm.services import lead_imports
from crm.services.picklists import archive_entry, change_entry
from crm.services.tags import TAGS_AT_MOST, put_tag, take_tag
from tests.conftest import make_deal, make_lead
from tests.crm.api.calling import caller
from tests.crm.data_exchange.importing.uploading import run, upload, work_on
from tests.faults.threads import in_threads

pytestmark = pytest.mark.django_db


@pytest.fixture
def vip(company: Company) -> Tag:
    return Tag.objects.create(company=company, name="VIP", colour="purple")


@pytest.fixture
def client(client_as: Any, sales: Membership) -> Client:
    found: Client = client_as(sales)
    return found


def tags_of(row: Lead | Deal) -> list[str]:
    return [tag.name for tag in row.tags.all()]


@pytest.mark.parametrize(
    "make", [make_lead, lambda company: make_deal(make_lead(company))]
)
def test_a_tag_is_put_on_and_taken_off_on_the_page(
    client: Client, company: Company, vip: Tag, make: Any
) -> None:
    row = make(company)
    page = row.get_absolute_url()

    assert f'name="add" value="{vip.pk}"' in client.get(page).content.decode()
    client.post(f"{page}tags/", {"add": vip.pk})
    assert tags_of(row) == ["VIP"]
    assert 'class="badge tag test"' in client.get(page).content.decode()
    client.post(f"{page}tags/", {"remove": vip.pk})
    assert tags_of(row) == []


def test_whoever_may_only_look_sees_the_tags_and_no_form(
    client_as: Any, ops: Membership, company: Company, vip: Tag
) -> None:
    lead = make_lead(company)
    add_links(Lead, company.pk, [(lead.pk, vip)])

    page = client_as(ops).get(lead.get_absolute_url()).content.decode()

    assert 'class="badge tag test"' in page
    assert f"{lead.get_absolute_url()}tags/" not in page


def test_other_companies_tags_leads_and_deals_are_not_found(
    client: Client, company: Company, other_company: Company, vip: Tag
) -> None:
    lead, foreign = make_lead(company), make_lead(other_company)
    foreign_tag = Tag.objects.create(company=other_company, name="Theirs")

    assert (
        client.post(f"/leads/{lead.pk}/tags/", {"add": foreign_tag.pk}).status_code
        == 404
    )
    assert client.post(f"/leads/{lead.pk}/tags/", {"add": "x"}).status_code == 404
    assert client.post(f"/leads/{lead.pk}/tags/", {}).status_code == 404
    assert client.post(f"/leads/{foreign.pk}/tags/", {"add": vip.pk}).status_code == 404
    assert (
        client.post(
            "/leads/tags/", {"tag": foreign_tag.pk, "lead": lead.pk}
        ).status_code
        == 404
    )
    client.post("/leads/tags/", {"tag": vip.pk, "lead": [lead.pk, foreign.pk]})
    assert list(LeadTag.objects.values_list("lead", flat=True)) == [lead.pk]


def test_selected_leads_get_and_lose_a_tag_together(
    client: Client, company: Company, vip: Tag
) -> None:
    leads = [make_lead(company) for _ in range(2)]
    form = {"tag": vip.pk, "lead": [lead.pk for lead in leads], "next": "/leads/"}

    added = client.post("/leads/tags/", {**form, "tag_change": "add"}, follow=True)
    removed = client.post("/leads/tags/", {**form, "tag_change": "remove"}, follow=True)
    nothing = client.post("/leads/tags/", {"tag": vip.pk}, follow=True)

    assert "2 leads now have the tag VIP." in added.content.decode()
    assert "2 leads no longer have the tag VIP." in removed.content.decode()
    assert "Select the leads to change first." in nothing.content.decode()


def test_lists_and_cards_show_tags_and_are_filtered_by_them(
    client: Client, company: Company, vip: Tag
) -> None:
    ada, grace = (
        make_lead(company),
        make_lead(company, first_name="Grace", email="grace@example.com"),
    )
    deal, other = make_deal(ada), make_deal(grace, title="Ten licences")
    add_links(Lead, company.pk, [(ada.pk, vip)])
    add_links(Deal, company.pk, [(deal.pk, vip)])

    leads = client.get(f"/leads/?tag={vip.pk}").content.decode()
    board = client.get(f"/deals/?tag={vip.pk}").content.decode()
    stage = client.get(
        f"/deals/list/?tag={vip.pk}&stage={deal.stage_id}"
    ).content.decode()

    assert 'class="badge tag test"' in leads
    assert "grace@example.com" not in leads
    for page in (board, stage):
        assert 'class="badge tag test"' in page
        assert deal.title in page
        assert other.title not in page


def test_the_api_reads_and_replaces_tags_by_name(company: Company, vip: Tag) -> None:
    Tag.objects.create(company=company, name="Renewal")
    lead = make_lead(company)
    deal = make_deal(lead)
    api = caller(company, Role.SALES)

    for path, row in (
        (f"/api/v1/leads/{lead.pk}/", lead),
        (f"/api/v1/deals/{deal.pk}/", deal),
    ):
        answer = api.patch(path, {"tags": ["vip", "Renewal", "VIP"]})
        assert (answer.status_code, sorted(answer.json()["tags"])) == (
            200,
            ["Renewal", "VIP"],
        )
        assert api.patch(path, {"tags": ["Renewal"]}).json()["tags"] == ["Renewal"]
        assert api.patch(path, {}).json()["tags"] == tags_of(row) == ["Renewal"]
        assert api.get(path).json()["tags"] == ["Renewal"]


def test_only_an_admin_s_key_makes_a_tag_on_the_fly(company: Company) -> None:
    body = {"first_name": "Ada", "tags": ["Trade fair"]}

    refused = caller(company, Role.SALES).post("/api/v1/leads/", body)
    added = caller(company, Role.ADMIN).post("/api/v1/leads/", body)

    assert refused.json() == {
        "tags": ["There is no tag called “Trade fair”. An admin can add it."]
    }
    assert added.json()["tags"] == ["Trade fair"]
    assert (Lead.objects.count(), Tag.objects.count()) == (1, 1)


@pytest.mark.parametrize("method", ["post", "patch"])
def test_a_new_tag_of_a_deal_locks_the_company_before_the_lead(
    company: Company, method: str
) -> None:
    """Deleting a status, whose leads get another one, does the same: in different orders, the two would deadlock."""
    deal = make_deal(make_lead(company))
    path = "/api/v1/deals/" if method == "post" else f"/api/v1/deals/{deal.pk}/"
    body = {"lead": deal.lead_id, "title": "Ten", "tags": ["Brand new"]}

    with CaptureQueriesContext(connection) as captured:
        answer = getattr(caller(company), method)(path, body)

    locks = [query["sql"] for query in captured if "FOR NO KEY UPDATE" in query["sql"]]
    tables = [re.search(r'FROM "crm_(company|lead)"', lock) for lock in locks]
    assert answer.status_code in (200, 201)
    assert list(dict.fromkeys(found[1] for found in tables if found)) == [
        "company",
        "lead",
    ]


def test_what_a_lead_has_can_be_written_back_archived_or_more_than_can_be_added(
    company: Company, vip: Tag
) -> None:
    lead, other, api = make_lead(company), make_lead(company), caller(company)
    put_tag(rows=Lead.objects.filter(pk=lead.pk), tag=vip)
    archive_entry(entry=vip)
    for number in range(TAGS_AT_MOST):
        put_tag(
            rows=Lead.objects.filter(pk=lead.pk),
            tag=Tag.objects.create(company=company, name=f"t{number}"),
        )
    path = f"/api/v1/leads/{lead.pk}/"
    has = api.get(path).json()["tags"]

    assert api.patch(path, {"tags": has}).json()["tags"] == has
    assert api.patch(path, {"tags": [*has, "One more"]}).json() == {
        "tags": ["Enter at most 20 tags."]
    }
    assert api.patch(f"/api/v1/leads/{other.pk}/", {"tags": ["VIP"]}).status_code == 400
    assert api.patch(path, {"tags": ["VIP"]}).json()["tags"] == tags_of(lead) == ["VIP"]
    assert api.patch(path, {"tags": []}).json()["tags"] == []
    assert api.patch(path, {"tags": ["VIP"]}).json() == {
        "tags": ["The tag “VIP” was archived. Choose another one."]
    }


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("VIP", "Enter a list, in square brackets"),
        ([1], "Enter a string."),
        ([""], "Enter a string that is not empty."),
        (["x" * 61], "60 characters at most"),
        ([f"Tag {n}" for n in range(21)], "Enter at most 20 tags."),
        (["Old"], "The tag “Old” was archived."),
        (["VIP, Old"], "Enter a name without a comma"),
        (["a\x00b"], "Null characters are not allowed."),
    ],
)
def test_tags_that_make_no_sense_are_refused_and_nothing_is_written(
    company: Company, tags: Any, message: str
) -> None:
    Tag.objects.create(company=company, name="Old", archived_at="2026-01-01T00:00Z")

    answer = caller(company).post("/api/v1/leads/", {"first_name": "Ada", "tags": tags})

    assert answer.status_code == 400
    assert message in answer.content.decode()
    assert (Lead.objects.count(), Tag.objects.count()) == (0, 1)


def test_saving_a_lead_without_tags_asks_for_them_once_at_most(
    company: Company,
) -> None:
    api = caller(company)
    # Notes the use of the key.
    lead = api.post("/api/v1/leads/", {"first_name": "Ada"}).json()["id"]

    with CaptureQueriesContext(connection) as changed:
        api.patch(f"/api/v1/leads/{lead}/", {"title": "Buyer"})

    with CaptureQueriesContext(connection) as asked:
        api.post("/api/v1/leads/", {"first_name": "Ada"})

    assert not [query["sql"] for query in asked if "tag" in query["sql"]]
    # For the response.
    assert len([query["sql"] for query in changed if "tag" in query["sql"]]) == 1


def test_an_import_tags_new_and_known_leads_and_its_undo_takes_them_off(
    sales: Membership, vip: Tag
) -> None:
    Tag.objects.create(company=sales.company, name="Renewal")
    known = make_lead(sales.company, email="ada@example.com")
    add_links(Lead, sales.company.pk, [(known.pk, vip)])

    checked = upload(
        sales,
        "First name,E-mail,Tags\nAda,ada@example.com,VIP; renewal\nGrace,grace@example.com,vip\nJoan,j@example.com,New",
    )
    done = run(checked, sales)

    assert checked.planned["cell:2:tag_unknown"] == 1
    assert (done.done["new"], done.done["update"]) == (2, 1)
    assert sorted(tags_of(known)) == ["Renewal", "VIP"]
    assert tags_of(Lead.objects.get(first_name="Grace")) == ["VIP"]

    assert lead_imports.undo(lead_import=done, actor=sales.user)
    work_on(done)

    assert tags_of(known) == ["VIP"]
    assert not Lead.objects.filter(first_name="Grace").exists()


def test_an_undo_takes_off_a_tag_that_has_another_name_by_then_and_no_other_of_its_old_name(
    sales: Membership, vip: Tag
) -> None:
    known = make_lead(sales.company, email="ada@example.com")
    done = run(
        upload(sales, "First name,E-mail,Tags\nAda,ada@example.com,VIP\n"), sales
    )
    vip.name = "Key account"
    change_entry(entry=vip, fields=["name"])
    later = Tag.objects.create(company=sales.company, name="VIP")
    put_tag(rows=Lead.objects.filter(pk=known.pk), tag=later)

    lead_imports.undo(lead_import=done, actor=sales.user)
    work_on(done)

    assert tags_of(known) == ["VIP"]
    assert done.rows.get().undo == RowUndo.PUT_BACK


def test_an_undo_keeps_a_tag_that_somebody_took_off_and_put_on_again(
    sales: Membership, vip: Tag
) -> None:
    known = make_lead(sales.company, email="ada@example.com")
    done = run(
        upload(sales, "First name,E-mail,Tags\nAda,ada@example.com,VIP\n"), sales
    )
    row = Lead.objects.filter(pk=known.pk)
    take_tag(rows=row, tag=vip)
    put_tag(rows=row, tag=vip)

    lead_imports.undo(lead_import=done, actor=sales.user)
    work_on(done)

    assert tags_of(known) == ["VIP"]
    assert done.rows.get().undo == RowUndo.KEPT


def test_a_lead_that_somebody_tagged_stays_when_its_import_is_undone(
    sales: Membership, client: Client, vip: Tag
) -> None:
    done = run(upload(sales, "First name\nAda\nGrace\n"), sales)
    ada = Lead.objects.get(first_name="Ada")
    Lead.objects.update(created_at="2026-03-01T00:00Z", updated_at="2026-03-01T00:00Z")
    client.post(f"/leads/{ada.pk}/tags/", {"add": vip.pk})

    assert lead_imports.undo(lead_import=done, actor=sales.user)
    work_on(done)

    assert list(Lead.objects.all()) == [ada]


@pytest.mark.django_db(transaction=True)
def test_two_scripts_make_one_tag_at_once(company: Company) -> None:
    api = [caller(company) for _ in range(2)]
    answers: list[Any] = []

    in_threads(
        2,
        lambda at: answers.append(
            api[at].post("/api/v1/leads/", {"first_name": "Ada", "tags": ["VIP"]})
        ),
    )

    assert [answer.status_code for answer in answers] == [201, 201]
    assert Tag.objects.count() == 1
