"""All leads that match a list: the question about them, a few at once, many in the background, and their pages."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from capi.models import ConversionEvent
from crm.jobs import rounds
from crm.models import (
    AuditEntry,
    BulkChange,
    BulkSelection,
    Company,
    CrmEvent,
    CustomField,
    Lead,
    LeadStatus,
    Membership,
    Tag,
)
from crm.models.roles import Role
from crm.models.tag import add_links
from crm.services import bulk_changes
from crm.services.custom_fields import add_field, set_archived
from crm.services.searches import remember_search
from tests.conftest import join, make_deal, make_lead, make_note, make_task

pytestmark = pytest.mark.django_db

NEW = reverse("bulk_change_new")


@pytest.fixture
def client(client_as: Callable[[Membership], Client], sales: Membership) -> Client:
    return client_as(sales)


@pytest.fixture
def qualified(company: Company) -> LeadStatus:
    return LeadStatus.objects.for_company(company).get(name="Qualified")


@pytest.fixture
def _in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm.views.bulk_changes.AT_ONCE", 2)
    monkeypatch.setattr(bulk_changes, "CHUNK", 2)


def address(change: str, to: object = "", **filters: object) -> str:
    query = "&".join(
        f"{name}={value}"
        for name, value in {**filters, "change": change, "to": to}.items()
    )
    return f"{NEW}?{query}"


def confirmed(page: Any) -> dict[str, str]:
    """What the question's form posts."""
    return {name: str(value) for name, value in page.context["inputs"].items()}


def ask_and_confirm(client: Client, asked: str) -> Any:
    return client.post(asked, confirmed(client.get(asked)), follow=True)


def test_the_bar_leads_to_the_question_with_all_filters_of_the_list(
    client: Client, sales: Membership, qualified: LeadStatus
) -> None:
    for number in range(30):
        make_lead(
            sales.company,
            last_name="Moss",
            source="Fair",
            email=f"m{number}@example.com",
        )
    make_lead(sales.company, last_name="Moss", source="Website")
    make_lead(sales.company, last_name="Reed", source="Fair")
    search = remember_search(sales, "moss")
    page = client.get(
        reverse("leads"),
        {"source": "Fair", "search": search, "sort": "name", "view": "7"},
    )
    body = page.content.decode()
    assert "Select all 30 that match" in body
    assert page.context["matching"] == f"source=Fair&search={search}&sort=name"

    form = {
        "all": "1",
        "filters": page.context["matching"],
        "status": qualified.pk,
        "lead": [1],
    }
    asked = client.post("/leads/status/", form)
    by_htmx = client.post("/leads/status/", form, headers={"HX-Request": "true"})

    assert (
        asked.url
        == by_htmx.headers["HX-Redirect"]
        == f"{NEW}?source=Fair&search={search}&sort=name"
        + (f"&change=status&to={qualified.pk}")
    )
    question = client.get(asked.url).content.decode()
    assert "Set the status of 30 leads to Qualified?" in question
    assert "filtered by search, source" in question
    assert "Moss" not in asked.url
    assert not CrmEvent.objects.filter(kind="lead_qualified").exists()


def test_the_bar_offers_all_only_where_there_are_more_pages(
    client: Client, company: Company
) -> None:
    make_lead(company)

    assert 'name="all"' not in client.get(reverse("leads")).content.decode()


@pytest.mark.parametrize(
    ("path", "fields", "change"),
    [
        ("/leads/owner/", {"owner": ""}, "change=owner&to="),
        ("/leads/tags/", {"tag": "tag", "tag_change": "add"}, "change=add_tag&to=tag"),
        (
            "/leads/tags/",
            {"tag": "tag", "tag_change": "remove"},
            "change=remove_tag&to=tag",
        ),
        ("/leads/delete/", {}, "change=delete&to="),
    ],
)
def test_each_button_asks_about_all(
    client_as: Any, admin: Membership, path: str, fields: dict[str, str], change: str
) -> None:
    tag = str(Tag.objects.create(company=admin.company, name="VIP").pk)
    lead = make_lead(admin.company)
    posted = {name: tag if value == "tag" else value for name, value in fields.items()}

    answer = client_as(admin).post(
        path, {**posted, "all": "1", "filters": "source=Fair", "lead": [lead.pk]}
    )

    assert answer.url == f"{NEW}?source=Fair&{change.replace('to=tag', f'to={tag}')}"
    lead.refresh_from_db()
    assert (lead.owner, lead.tags.count()) == (None, 0)


def test_the_question_has_the_conversions_and_their_rules(
    client: Client, company: Company, token: Any, make_rule: Any, qualified: LeadStatus
) -> None:
    make_rule("lead_qualified", name="Qualified once")
    make_rule(
        "lead_qualified", "104020", name="Qualified each time", frequency="every_time"
    )
    for number in range(3):
        make_lead(company, email=f"{number}@example.com" if number else "")
    make_lead(company, status=qualified, email="has@example.com")
    asked = address("status", qualified.pk)
    before = ConversionEvent.objects.count()

    page = client.get(asked)

    body = " ".join(page.content.decode().split())
    assert "6 conversions under 2 rules" in body
    assert "1 of them is Qualified already" in body
    assert "Set the status of 4 leads to Qualified and send 6" in body
    assert ConversionEvent.objects.count() == before

    done = client.post(asked, confirmed(page), follow=True)
    assert "3 leads are now Qualified." in done.content.decode()
    assert ConversionEvent.objects.count() - before == 6


def test_a_few_are_changed_at_once_and_can_be_undone(
    client: Client, company: Company, qualified: LeadStatus
) -> None:
    ada, bea = (
        make_lead(company, source="Fair"),
        make_lead(company, source="Fair", email="bea@example.com"),
    )
    other = make_lead(company, source="Website", email="other@example.com")

    done = ask_and_confirm(client, address("status", qualified.pk, source="Fair"))

    assert done.redirect_chain[-1][0] == "/leads/?source=Fair"
    assert "2 leads are now Qualified." in done.content.decode()
    assert "Undo" in done.content.decode()
    assert set(Lead.objects.filter(status=qualified)) == {ada, bea}
    assert not Lead.objects.filter(pk=other.pk, status=qualified).exists()
    entry = AuditEntry.objects.get(action="bulk_change")
    assert entry.details == {
        "change": "status",
        "leads": 2,
        "to": qualified.pk,
        "filters": ["source"],
    }
    assert not BulkChange.objects.exists()


@pytest.mark.parametrize("kind", ["owner", "add_tag", "remove_tag"])
def test_owner_and_tags_of_all_that_match(
    client: Client, sales: Membership, kind: str
) -> None:
    tag = Tag.objects.create(company=sales.company, name="VIP")
    tagged = make_lead(sales.company, source="Fair")
    add_links(Lead, sales.company.pk, [(tagged.pk, tag)])
    make_lead(sales.company, source="Fair", email="bea@example.com")
    make_lead(sales.company, source="Website", email="other@example.com")
    to = sales.user_id if kind == "owner" else tag.pk

    done = ask_and_confirm(client, address(kind, to, source="Fair")).content.decode()

    said = {
        "owner": "2 leads now belong to Sales Jansen.",
        "add_tag": "1 lead now has the tag VIP.",
        "remove_tag": "1 lead no longer has the tag VIP.",
    }
    assert said[kind] in done
    assert Lead.objects.filter(owner=sales.user).count() == (
        2 if kind == "owner" else 0
    )
    assert (
        Lead.objects.filter(tags=tag).count()
        == {"owner": 1, "add_tag": 2, "remove_tag": 0}[kind]
    )


def test_a_deletion_names_what_goes_along(client_as: Any, admin: Membership) -> None:
    client, company = client_as(admin), admin.company
    lead, other = (
        make_lead(company, source="Fair"),
        make_lead(company, source="Website"),
    )
    deal = make_deal(lead)
    make_task(admin, deal=deal)
    make_task(admin, lead=lead)
    make_note(admin, deal)
    make_note(admin, lead)
    make_deal(other)
    asked = address("delete", source="Fair")

    page = client.get(asked)

    found = page.context["belongings"]
    assert (found.deals, found.tasks, found.notes, found.files, found.merged) == (
        1,
        2,
        2,
        0,
        0,
    )
    assert "Delete 1 lead?" in page.content.decode()
    assert Lead.objects.count() == 2
    assert (
        "1 lead was deleted."
        in client.post(asked, confirmed(page), follow=True).content.decode()
    )
    assert list(Lead.objects.all()) == [other]


@pytest.mark.usefixtures("_in_the_background")
def test_many_are_changed_by_a_worker_whose_progress_is_shown(
    client: Client, sales: Membership, qualified: LeadStatus
) -> None:
    for number in range(5):
        make_lead(sales.company, email=f"{number}@example.com")

    done = ask_and_confirm(client, address("status", qualified.pk))

    asked = BulkChange.objects.get()
    assert done.redirect_chain[-1][0] == asked.get_absolute_url()
    body = done.content.decode()
    assert "Set the status of 5 leads to Qualified" in body
    assert "You can leave this page" in body
    assert 'http-equiv="refresh"' in body
    assert not Lead.objects.filter(status=qualified).exists()
    bulk_changes.advance(asked.pk)
    part = client.get(
        asked.get_absolute_url(), headers={"HX-Request": "true"}
    ).content.decode()
    assert "<html" not in part
    assert 'value="2"' in part
    rounds.work_through(lambda: True)
    ended = client.get(asked.get_absolute_url()).content.decode()
    assert "Finished" in ended
    assert "http-equiv" not in ended
    assert "data-live" not in ended
    listed = client.get(reverse("bulk_changes")).content.decode()
    assert "Set the status of 5 leads to Qualified" in listed
    assert "5 of 5" in listed


@pytest.mark.usefixtures("_in_the_background")
def test_a_question_that_is_answered_twice_changes_once(
    client: Client, company: Company, qualified: LeadStatus
) -> None:
    for number in range(5):
        make_lead(company, email=f"{number}@example.com")
    asked = address("status", qualified.pk)
    answer = confirmed(client.get(asked))

    first, second = client.post(asked, answer), client.post(asked, answer, follow=True)

    assert first.url == second.redirect_chain[-1][0]
    assert "It was saved once." in second.content.decode()
    assert BulkChange.objects.count() == 1


@pytest.mark.usefixtures("_in_the_background")
@pytest.mark.parametrize("count", [2, 4])
def test_leads_that_match_since_are_asked_about_again(
    client: Client, company: Company, qualified: LeadStatus, count: int
) -> None:
    """Both for a few at once and for many in the background."""
    for number in range(count):
        make_lead(company, source="Fair", email=f"{number}@example.com")
    late = make_lead(company, source="Website")
    asked = address("status", qualified.pk, source="Fair")
    answer = confirmed(client.get(asked))

    Lead.objects.filter(pk=late.pk).update(source="Fair")
    again = client.post(asked, answer, follow=True)

    assert "numbers or rules may be different now" in again.content.decode()
    assert (
        f"Set the status of {count + 1} leads to Qualified?" in again.content.decode()
    )
    assert not CrmEvent.objects.filter(kind="lead_qualified").exists()
    assert not BulkChange.objects.exists()


def test_leads_that_were_added_since_are_left_out(
    client: Client, company: Company, qualified: LeadStatus
) -> None:
    make_lead(company)
    asked = address("status", qualified.pk)
    answer = confirmed(client.get(asked))
    added = make_lead(company, email="added@example.com")

    done = client.post(asked, answer, follow=True)

    assert "1 lead is now Qualified." in done.content.decode()
    added.refresh_from_db()
    assert added.status.name == "New"


def test_a_rule_that_was_added_since_is_asked_about_again(
    client: Client, company: Company, token: Any, make_rule: Any, qualified: LeadStatus
) -> None:
    make_lead(company)
    asked = address("status", qualified.pk)
    answer = confirmed(client.get(asked))
    make_rule("lead_qualified")

    again = client.post(asked, answer, follow=True)

    assert "1 conversion under" in again.content.decode()
    assert not CrmEvent.objects.filter(kind="lead_qualified").exists()


@pytest.mark.parametrize("change", ["status", "delete"])
def test_leads_that_come_to_match_after_the_question_are_not_swapped_in(
    client_as: Any, admin: Membership, qualified: LeadStatus, change: str
) -> None:
    client = client_as(admin)
    shown, other = (
        make_lead(admin.company, source="Fair"),
        make_lead(admin.company, email="other@example.com"),
    )
    asked = address(change, qualified.pk if change == "status" else "", source="Fair")
    page = client.get(asked)
    for lead, source in ((shown, "Website"), (other, "Fair")):
        lead.source = source
        lead.save()

    answer = client.post(asked, confirmed(page), follow=True)

    assert (
        "none of these leads is as it was when you were asked."
        in answer.content.decode()
    )
    assert Lead.objects.exclude(status=qualified).count() == 2


def test_a_deal_that_was_added_after_the_question_keeps_its_lead(
    client_as: Any, admin: Membership
) -> None:
    client = client_as(admin)
    kept, _ = (
        make_lead(admin.company, source="Fair", email=f"{name}@example.com")
        for name in ("a", "b")
    )
    page = client.get(address("delete", source="Fair"))
    make_deal(kept)

    answer = client.post(address("delete", source="Fair"), confirmed(page), follow=True)

    assert list(Lead.objects.values_list("pk", flat=True)) == [kept.pk]
    assert "1 lead was deleted." in answer.content.decode()
    assert (
        "Not changed: 1 lead, changed or removed by others meanwhile."
        in answer.content.decode()
    )


@pytest.mark.parametrize(
    "asked_at",
    [
        "",
        "soon",
        "2026-11-01T10:00:00",
        "2026-11-01T10:00:00+00:00",
        "2999-01-01T00:00Z",
    ],
)
def test_an_answer_to_a_question_of_another_day_is_asked_again(
    client: Client, company: Company, qualified: LeadStatus, asked_at: str
) -> None:
    make_lead(company)
    asked = address("status", qualified.pk)

    answer = client.post(asked, {**confirmed(client.get(asked)), "asked_at": asked_at})

    assert answer.url == asked
    assert not CrmEvent.objects.filter(kind="lead_qualified").exists()


def test_what_was_never_asked_is_asked_first(
    client: Client, company: Company, qualified: LeadStatus
) -> None:
    make_lead(company)
    asked = address("status", qualified.pk)

    answer = client.post(asked)

    assert answer.url == asked
    assert not CrmEvent.objects.filter(kind="lead_qualified").exists()


@pytest.mark.parametrize("query", ["status=999999", "search=gone", "custom_gone=1"])
def test_a_filter_that_no_longer_works_changes_nothing_instead_of_everything(
    client: Client, company: Company, qualified: LeadStatus, query: str
) -> None:
    make_lead(company)
    asked = f"{NEW}?{query}&change=status&to={qualified.pk}"

    for answer in (
        client.get(asked, follow=True),
        client.post(asked, {"count": 9}, follow=True),
    ):
        assert "a filter of this list no longer works" in answer.content.decode()
    assert not CrmEvent.objects.filter(kind="lead_qualified").exists()


def test_a_custom_field_that_is_archived_after_the_question_changes_nothing(
    client: Client, company: Company, qualified: LeadStatus
) -> None:
    field = add_field(
        field=CustomField(company=company, subject="lead", name="VIP", type="yes_no")
    )
    make_lead(company, custom={field.key: True})
    make_lead(company, email="other@example.com")
    asked = address("status", qualified.pk, **{f"custom_{field.key}": "yes"})
    answer = confirmed(client.get(asked))
    set_archived(field=field, archived=True)

    done = client.post(asked, answer, follow=True)

    assert "a filter of this list no longer works" in done.content.decode()
    assert not CrmEvent.objects.filter(kind="lead_qualified").exists()


def test_nothing_that_matches_is_said(
    client: Client, company: Company, qualified: LeadStatus
) -> None:
    answer = client.get(address("status", qualified.pk), follow=True)

    assert "No lead matches these filters now." in answer.content.decode()


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("nonsense", ""),
        ("status", ""),
        ("status", "x"),
        ("add_tag", "1"),
        ("owner", "9" * 30),
    ],
)
def test_a_change_that_is_none_is_not_found(
    client: Client, company: Company, change: str, to: str
) -> None:
    make_lead(company)

    assert client.get(address(change, to)).status_code == 404
    assert client.post(address(change, to), {"count": 1}).status_code == 404


def test_another_companys_status_owner_and_tag_are_not_found(
    client: Client, company: Company, other_company: Company
) -> None:
    make_lead(company)
    status = LeadStatus.objects.for_company(other_company).get(name="Qualified")
    owner = join(other_company, Role.SALES, email="x@example.com").user
    tag = Tag.objects.create(company=other_company, name="Theirs")

    for change, to in (
        ("status", status.pk),
        ("owner", owner.pk),
        ("add_tag", tag.pk),
        ("remove_tag", tag.pk),
    ):
        assert client.get(address(change, to)).status_code == 404


def test_only_an_admin_deletes(client: Client, company: Company) -> None:
    lead = make_lead(company)

    answers = [
        client.get(address("delete")),
        client.post(address("delete"), {"count": 1}),
        client.post("/leads/delete/", {"lead": [lead.pk], "confirmed": "1"}),
        client.post("/leads/delete/", {"all": "1"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert Lead.objects.count() == 1
    assert (
        reverse("lead_bulk_delete") not in client.get(reverse("leads")).content.decode()
    )


@pytest.mark.usefixtures("_in_the_background")
def test_one_that_is_cancelled_says_so_and_stays_listed(
    client: Client, sales: Membership, qualified: LeadStatus
) -> None:
    for number in range(5):
        make_lead(sales.company, email=f"{number}@example.com")
    ask_and_confirm(client, address("status", qualified.pk))
    asked = BulkChange.objects.get()
    bulk_changes.advance(asked.pk)

    page = client.post(
        reverse("bulk_change_cancel", args=[asked.pk]), follow=True
    ).content.decode()
    rounds.work_through(lambda: True)

    assert "Leads that were changed by then stay as they are now." in page
    assert Lead.objects.filter(status=qualified).count() == 2
    assert "Cancelled" in client.get(reverse("bulk_changes")).content.decode()
    assert not BulkSelection.objects.exists()


def test_the_pages_show_what_has_been_deleted_since_and_why_something_stopped(
    client: Client, company: Company, sales: Membership
) -> None:
    rows = [
        ("status", 10**9),
        ("owner", 10**9),
        ("owner", None),
        ("add_tag", 10**9),
        ("remove_tag", 10**9),
    ]
    for kind, target in rows:
        BulkChange.objects.create(
            company=company, made_by=sales.user, kind=kind, target=target, state="failed", problem="It was too late.",
            row_count=1204, reached=3, done={"changed": 1, "refused": 2}, refusals={"It is locked.": 2},
            finished_at=Now(),
        )  # fmt: skip

    page = client.get(reverse("bulk_changes")).content.decode()

    for title in (
        "Set the status of 1,204 leads to a deleted status",
        "Set the owner of 1,204 leads to a deleted account",
        "Set the owner of 1,204 leads to no one",
        "Add the tag (deleted) to 1,204 leads",
        "Remove the tag (deleted) from 1,204 leads",
    ):
        assert title in page
    one = client.get(
        BulkChange.objects.latest("pk").get_absolute_url()
    ).content.decode()
    assert "It was too late." in one
    assert "Failed</dt>" in one
    assert "Why changes failed" in one
    assert "It is locked." in one


def test_the_list_takes_as_many_queries_for_many_as_for_one(
    client: Client,
    company: Company,
    sales: Membership,
    django_assert_max_num_queries: Any,
) -> None:
    status = LeadStatus.objects.for_company(company).first()
    for number in range(30):
        BulkChange.objects.create(
            company=company, made_by=sales.user, kind="status" if number % 2 else "owner",
            target=status.pk if number % 2 and status else sales.user_id, state="done", row_count=1,
        )  # fmt: skip

    with django_assert_max_num_queries(12):
        client.get(reverse("bulk_changes"))


def test_the_empty_list_says_what_appears_there(client: Client) -> None:
    page = " ".join(client.get(reverse("bulk_changes")).content.decode().split())

    assert (
        "Changes of more than 100 leads appear here, and all that scripts make." in page
    )


def test_those_of_another_company_are_not_found(
    client: Client, other_company: Company, company: Company
) -> None:
    theirs = BulkChange.objects.create(
        company=other_company, kind="delete", row_count=1
    )

    assert client.get(theirs.get_absolute_url()).status_code == 404
    assert (
        client.post(reverse("bulk_change_cancel", args=[theirs.pk])).status_code == 404
    )
    assert client.get(reverse("bulk_changes")).context["changes"] == []
    theirs.refresh_from_db()
    assert theirs.state == "waiting"


def test_an_erased_or_merged_lead_is_not_among_those_that_match(
    client: Client, company: Company, qualified: LeadStatus
) -> None:
    kept = make_lead(company)
    make_lead(company, email="gone@example.com", merged_into=kept)
    empty = {"first_name": "", "email": "", "share_with_ad_platforms": False}
    make_lead(company, erased_at=kept.created_at + timedelta(seconds=1), **empty)

    assert (
        "Set the status of 1 lead to Qualified?"
        in client.get(address("status", qualified.pk)).content.decode()
    )
