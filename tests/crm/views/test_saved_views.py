"""Saved views: what they keep, who sees and who changes them; and the columns of the list."""

import pytest

from crm.models import FieldSubject, LeadSource, LeadStatus, Membership, SavedView
from crm.models.roles import Role
from crm.models.saved_view import SOMEONE_ELSES
from crm.services import saved_views
from crm.services.custom_fields import delete_field
from crm.services.erasure import erase_lead
from crm.services.picklists import delete_entry
from tests.conftest import join, make_deal, make_lead
from tests.crm.custom_values import make_field

pytestmark = pytest.mark.django_db


def tabs(response):
    return [(tab.label, tab.is_current) for tab in response.context["views"].tabs]


def headings(response):
    return [column.label for column, _, _ in response.context["columns"]]


@pytest.fixture
def view(company, sales):
    return SavedView.objects.create(
        company=company, owner=sales.user, name="Fair", query="source=Fair&sort=name"
    )


def test_a_view_keeps_filters_and_sorting_but_not_what_was_searched_for(
    client_as, sales, company
):
    status = LeadStatus.objects.for_company(company).first()
    make_lead(company)
    client = client_as(sales)
    search = client.post("/leads/", {"search": "ada@example.com"}).url.partition("=")[2]
    address = f"/views/leads/new/?status={status.pk}&sort=-updated&search={search}&after=3&junk=1"

    response = client.post(address, {"name": "My new ones"}, follow=True)

    view = SavedView.objects.get()
    assert (view.query, view.is_shared, view.owner) == (
        f"status={status.pk}&sort=-updated",
        False,
        sales.user,
    )
    assert response.redirect_chain == [
        (f"/leads/?status={status.pk}&sort=-updated&view={view.pk}", 302)
    ]
    assert tabs(response) == [
        ("My leads", False),
        ("All leads", False),
        ("My new ones", True),
    ]


def test_my_leads_and_all_leads_are_the_first_tabs(client_as, sales, company):
    make_lead(company, first_name="Ada", owner=sales.user)
    make_lead(company, first_name="Grace")
    client = client_as(sales)

    mine = client.get(f"/leads/?owner={sales.user_id}")

    assert tabs(mine) == [("My leads", True), ("All leads", False)]
    assert [lead.first_name for lead in mine.context["page"].rows] == ["Ada"]
    assert tabs(client.get("/leads/")) == [("My leads", False), ("All leads", True)]


def test_only_shared_views_are_seen_by_others_and_only_the_owner_or_an_admin_changes_them(
    client_as, company, admin, sales, view
):
    colleague = join(company, Role.SALES, email="colleague@example.com")
    address = f"/views/{view.pk}/"

    assert client_as(admin).get(address).status_code == 404
    assert client_as(colleague).get(address).status_code == 404
    client_as(sales).post(address, {"name": "Fair", "is_shared": "on"})

    assert ("Fair", False) in tabs(client_as(colleague).get("/leads/"))
    for way in ("", "filters/", "delete/"):
        assert (
            client_as(colleague).post(address + way, {"name": "Mine now"}).status_code
            == 404
        )
    assert (
        client_as(admin).post(address, {"name": "Fairs", "is_shared": "on"}).status_code
        == 302
    )
    view.refresh_from_db()
    assert (view.name, view.owner) == ("Fairs", sales.user)
    assert (
        SOMEONE_ELSES
        in client_as(admin).post(address, {"name": "Hidden"}).content.decode()
    )
    view.refresh_from_db()
    assert (view.name, view.is_shared) == ("Fairs", True)
    client_as(admin).post(address + "delete/")
    assert not SavedView.objects.exists()


def test_a_view_of_a_key_is_an_admins_to_change_and_stays_shared(
    client_as, company, admin, sales
):
    view = SavedView.objects.create(company=company, name="Of a key", is_shared=True)
    address = f"/views/{view.pk}/"

    assert (
        client_as(sales).post(address, {"name": "Mine", "is_shared": "on"}).status_code
        == 404
    )
    refused = client_as(admin).post(address, {"name": "Hidden"})
    assert "Only people can have private views." in refused.content.decode()
    assert (
        client_as(admin).post(address, {"name": "Ours", "is_shared": "on"}).status_code
        == 302
    )

    view.refresh_from_db()
    assert (view.name, view.owner, view.is_shared) == ("Ours", None, True)


def test_who_may_no_longer_edit_leads_changes_no_view_of_their_own(
    client_as, sales, view
):
    Membership.objects.filter(pk=sales.pk).update(role=Role.OPS)

    response = client_as(sales).post(
        f"/views/leads/columns/?view={view.pk}", {"column_1": "phone"}
    )

    view.refresh_from_db()
    assert (response.status_code, view.columns) == (404, "")
    page = client_as(sales).get(f"/leads/?view={view.pk}")
    assert page.context["columns_form"] is None
    assert "Edit this view" not in page.content.decode()


def test_a_view_whose_filters_were_changed_can_take_them_over(
    client_as, sales, company, view
):
    make_lead(company, source="Fair")
    client = client_as(sales)

    changed = client.get(f"/leads/?source=Fair&type=inbound&view={view.pk}")
    client.post(f"/views/{view.pk}/filters/?source=Fair&type=inbound&view={view.pk}")

    assert "Save filters" in changed.content.decode()
    view.refresh_from_db()
    assert view.query == "source=Fair&type=inbound"


def test_a_filter_keeps_the_view_in_the_address(client_as, sales, view):
    response = client_as(sales).post("/leads/", {"source": "Fair", "view": view.pk})

    assert response.url == f"/leads/?source=Fair&view={view.pk}"


def test_a_second_view_of_a_name_is_refused_with_a_sentence(client_as, sales, view):
    response = client_as(sales).post("/views/leads/new/", {"name": "Fair"})

    assert "You have a view with this name already." in response.content.decode()
    assert SavedView.objects.count() == 1


def test_filters_that_are_too_many_for_a_view_are_refused_with_a_sentence(
    client_as, sales, view, monkeypatch
):
    monkeypatch.setattr(saved_views, "LONGEST_QUERY", 30)
    query = "type=inbound&created_from=2027-01-01"

    for way in ("leads/new/", f"{view.pk}/filters/"):
        response = client_as(sales).post(
            f"/views/{way}?{query}", {"name": "Too long"}, follow=True
        )
        assert response.redirect_chain == [(f"/leads/?{query}", 302)]
        assert "these are too many filters for one view" in response.content.decode()
    assert SavedView.objects.get().query == view.query


@pytest.mark.parametrize(
    "query", ["status=999999&type=inbound", "custom_gone=yes&type=inbound"]
)
def test_a_filter_that_no_longer_works_is_not_left_out_of_a_view_without_a_word(
    client_as, sales, view, query
):
    for way in ("leads/new/", f"{view.pk}/filters/"):
        response = client_as(sales).post(
            f"/views/{way}?{query}", {"name": "More leads"}, follow=True
        )
        assert "Clear it first." in response.content.decode()
    assert SavedView.objects.get().query == view.query


@pytest.mark.parametrize("gone", ["status", "source", "custom"])
def test_a_view_of_what_was_deleted_shows_no_lead_and_says_why(
    client_as, sales, company, gone
):
    status = LeadStatus.objects.create(
        company=company, name="Hot", meaning="working", position=9
    )
    source = LeadSource.objects.create(company=company, name="Webinar")
    field = make_field(company, "Region", "choice")
    make_lead(company, source="Fair")
    address = {
        "status": f"status={status.pk}",
        "source": "source=Webinar",
        "custom": "custom_region=emea",
    }[gone]
    client = client_as(sales)
    client.post(f"/views/leads/new/?{address}", {"name": "Mine"})

    {
        "status": lambda: delete_entry(entry=status, move_to=None),
        "source": lambda: delete_entry(entry=source, move_to=None),
        "custom": lambda: delete_field(field=field),
    }[gone]()
    view = SavedView.objects.get()
    response = client.get(f"/leads/?{view.query}&view={view.pk}")

    assert list(response.context["page"]) == []
    assert "A filter no longer works" in response.content.decode()
    assert "Save filters" not in response.content.decode()


def test_there_is_a_limit_to_the_views_of_a_member(client_as, sales, view, monkeypatch):
    monkeypatch.setattr(saved_views, "VIEWS_AT_MOST", 1)

    response = client_as(sales).post("/views/leads/new/", {"name": "One more"})

    assert "Delete one that you no longer need first." in response.content.decode()
    assert SavedView.objects.count() == 1


def test_a_view_that_was_deleted_in_the_meantime_does_not_come_back(view):
    SavedView.objects.all().delete()
    view.name = "Fairs"

    with pytest.raises(saved_views.ViewRefused, match="deleted in the meantime"):
        saved_views.save_view(view=view)
    with pytest.raises(saved_views.ViewGone):
        saved_views.save_view(view=view, fields=["query"])

    assert not SavedView.objects.exists()


def test_columns_are_chosen_and_ordered_by_each_member(
    client_as, sales, admin, company
):
    make_lead(company, title="Countess")
    client = client_as(sales)

    client.post(
        "/views/leads/columns/",
        {"column_1": "updated", "column_2": "title", "column_3": "updated"},
    )

    assert headings(client.get("/leads/")) == [
        "Name",
        "Status",
        "Last activity",
        "Job title",
    ]
    assert "Countess" in client.get("/leads/").content.decode()
    assert headings(client_as(admin).get("/leads/"))[2:] == [
        "Organisation",
        "Owner",
        "Source",
        "Created",
    ]


def test_an_unknown_column_changes_nothing(client_as, sales):
    response = client_as(sales).post(
        "/views/leads/columns/", {"column_1": "password"}, follow=True
    )

    assert "Nothing was changed." in response.content.decode()
    assert headings(response)[2:] == ["Organisation", "Owner", "Source", "Created"]


def test_a_view_has_columns_of_its_own(client_as, sales, admin, company, view):
    make_lead(company, source="Fair")
    SavedView.objects.update(is_shared=True)

    client_as(sales).post(
        f"/views/leads/columns/?view={view.pk}", {"column_1": "phone"}
    )

    assert headings(client_as(admin).get(f"/leads/?view={view.pk}")) == [
        "Name",
        "Status",
        "Phone",
    ]
    assert headings(client_as(sales).get("/leads/"))[2:] == [
        "Organisation",
        "Owner",
        "Source",
        "Created",
    ]


def test_deals_have_columns_of_their_own_choice(client_as, sales, admin, company):
    field = make_field(company, "Plan", subject=FieldSubject.DEAL)
    lead = make_lead(company, first_name="Ada", source="Fair")
    make_deal(lead, custom={field.key: "Gold"})
    client = client_as(sales)
    client.post("/views/leads/columns/", {"column_1": "phone"})

    page = client.post(
        "/views/deals/columns/",
        {"column_1": "lead_source", "column_2": f"custom.{field.key}", "column_3": "amount"},
        follow=True,
    )  # fmt: skip

    assert page.redirect_chain == [("/deals/list/", 302)]
    assert headings(page) == ["Deal", "Stage", "Source of the lead", "Plan", "Amount"]
    assert "Gold" in page.content.decode()
    assert headings(client.get("/leads/")) == ["Name", "Status", "Phone"]
    assert headings(client_as(admin).get("/deals/list/"))[2:] == [
        "Lead",
        "Owner",
        "Close",
        "Amount",
    ]


def test_a_view_of_deals_keeps_its_columns_and_no_other_list_changes_them(
    client_as, sales, company
):
    make_deal(make_lead(company))
    client = client_as(sales)
    client.post("/views/deals/columns/", {"column_1": "created"})
    client.post("/views/deals/new/?sort=-amount", {"name": "Large"})
    view = SavedView.objects.get()

    client.post("/views/deals/columns/", {"column_1": "owner"})
    refused = client.post(
        f"/views/leads/columns/?view={view.pk}", {"column_1": "phone"}
    )

    assert refused.status_code == 404
    assert headings(client.get(f"/deals/list/?view={view.pk}"))[2:] == ["Created"]
    assert headings(client.get("/deals/list/"))[2:] == ["Owner"]


def test_columns_that_a_version_before_stored_are_still_shown(
    client_as, sales, company
):
    make_lead(company)
    Membership.objects.filter(pk=sales.pk).update(lead_columns="phone title")
    client = client_as(sales)

    before = headings(client.get("/leads/"))
    client.post("/views/leads/columns/", {"column_1": "type"})

    assert before == ["Name", "Status", "Phone", "Job title"]
    sales.refresh_from_db()
    assert (sales.lead_columns, sales.list_columns) == ("type", {"leads": ["type"]})


def test_deals_have_views_of_their_own(client_as, sales, company):
    deal = make_deal(make_lead(company), title="Swiss", currency="CHF")
    make_deal(make_lead(company), title="Other", currency="EUR")
    client = client_as(sales)

    response = client.post(
        "/views/deals/new/?currency=CHF&sort=-amount", {"name": "Swiss"}, follow=True
    )

    view = SavedView.objects.get()
    assert (view.list, view.query) == ("deals", "currency=CHF&sort=-amount")
    assert response.redirect_chain == [
        (f"/deals/list/?currency=CHF&sort=-amount&view={view.pk}", 302)
    ]
    assert tabs(response) == [
        ("My deals", False),
        ("All deals", False),
        ("Swiss", True),
    ]
    assert list(response.context["page"]) == [deal]
    assert tabs(client.get("/leads/")) == [("My leads", False), ("All leads", True)]
    # The name is free there.
    assert client.post("/views/leads/new/", {"name": "Swiss"}).status_code == 302
    assert client.post(f"/views/{view.pk}/delete/")["Location"] == "/deals/list/"


@pytest.mark.parametrize("key", ["tasks", "organisations", "nothing"])
def test_a_list_without_tabs_has_no_views(client_as, sales, key):
    client = client_as(sales)

    assert client.get(f"/views/{key}/new/").status_code == 404
    assert client.post(f"/views/{key}/columns/").status_code == 404


def test_an_erased_source_is_removed_from_views_of_deals_too(client_as, sales, company):
    lead = make_lead(company, source="Neighbour of Ada")
    client = client_as(sales)
    client.post("/views/deals/new/?lead_source=Neighbour+of+Ada", {"name": "Hers"})

    erase_lead(lead=lead, user=None)

    assert "Ada" not in SavedView.objects.get().query
