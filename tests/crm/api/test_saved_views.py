"""Saved views through the API: what a key and a member see, what they may change, and the leads of a view."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.middleware.csrf import _get_new_csrf_string
from rest_framework.test import APIClient

from crm.models import AuditEntry, Company, Lead, LeadStatus, Membership, SavedView, Tag
from crm.models.roles import Role
from crm.models.saved_view import SOMEONE_ELSES
from crm.services import saved_views
from crm.services.picklists import delete_entry
from crm.services.tags import put_tag
from tests.conftest import join, make_lead
from tests.crm.api.calling import ADMIN_AND_SALES, ADMIN_ONLY, ALL, call, caller
from tests.crm.api.test_sessions import signed_in
from tests.crm.custom_values import make_field

pytestmark = pytest.mark.django_db

URL = "/api/v1/saved-views/"
LEADS = "/api/v1/leads/"


@pytest.fixture
def script(company: Company) -> APIClient:
    return caller(company, "sales")


@pytest.fixture
def view(company: Company, sales: Membership) -> SavedView:
    """A view shared by a person."""
    query = "source=Fair&sort=-updated"
    return SavedView.objects.create(
        company=company,
        owner=sales.user,
        name="Fair",
        query=query,
        columns="phone custom.plan",
        is_shared=True,
    )


@pytest.fixture
def made(company: Company) -> SavedView:
    """A view made by a key."""
    return SavedView.objects.create(company=company, name="Of a key", is_shared=True)


@pytest.fixture
def private(company: Company, sales: Membership) -> SavedView:
    return SavedView.objects.create(company=company, owner=sales.user, name="Mine")


def member(membership: Membership) -> APIClient:
    client, token = signed_in(membership), _get_new_csrf_string()
    client.cookies["csrftoken"] = token
    client.credentials(HTTP_X_CSRFTOKEN=token)
    return client


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.json()
    return [each["name"] for each in answer.json()["results"]]


def test_a_view_is_read_with_its_filters_sorting_and_columns(
    script: APIClient, sales: Membership, view: SavedView
):
    found = script.get(f"{URL}{view.pk}/").json()

    assert found.pop("created_at")
    assert found == {
        "id": view.pk,
        "list": "leads",
        "name": "Fair",
        "filters": {"source": "Fair"},
        "sort": "-updated",
        "columns": ["phone", "custom.plan"],
        "is_shared": True,
        "owner": sales.user_id,
    }


def test_no_one_takes_a_view_of_someone_else_out_of_their_own_sight(
    company: Company, admin: Membership, sales: Membership, view: SavedView
):
    url = f"{URL}{view.pk}/"

    refused = [
        client.patch(url, {"is_shared": False})
        for client in (caller(company), member(admin))
    ]

    assert [(each.status_code, each.json()) for each in refused] == [
        (400, {"is_shared": [SOMEONE_ELSES]})
    ] * 2
    view.refresh_from_db()
    assert view.is_shared
    assert member(sales).patch(url, {"is_shared": False}).status_code == 200
    view.refresh_from_db()
    assert not view.is_shared


def test_a_key_sees_what_is_shared_and_a_member_their_own_too(
    company: Company,
    script: APIClient,
    admin: Membership,
    sales: Membership,
    view: SavedView,
    private: SavedView,
):
    assert (
        names(script.get(URL)) == names(caller(company, "admin").get(URL)) == ["Fair"]
    )
    assert names(member(admin).get(URL)) == ["Fair"]
    assert names(member(sales).get(URL)) == ["Mine", "Fair"]
    for method in ("GET", "PATCH", "DELETE"):
        for client in (script, member(admin)):
            body = {"name": "Ours"} if method == "PATCH" else None
            assert call(client, method, f"{URL}{private.pk}/", body).status_code == 404
    assert SavedView.objects.filter(name="Mine").exists()


def test_a_view_of_a_key_is_everyones_and_opens_on_the_page(
    company: Company, script: APIClient, sales: Membership, client_as: Any
):
    status = LeadStatus.objects.for_company(company).get(name="Qualified")
    make_lead(company, first_name="Ada", status=status)
    make_lead(company, first_name="Grace")
    filters = {"status": str(status.pk), "created_from": "2026-01-01"}

    answer = script.post(
        URL,
        {
            "name": "Ready",
            "filters": filters,
            "sort": "name",
            "columns": ["phone", "phone"],
        },
    )

    assert answer.status_code == 201, answer.json()
    view = SavedView.objects.get()
    assert (view.owner, view.is_shared, view.columns) == (None, True, "phone")
    assert view.query == f"status={status.pk}&created_from=2026-01-01&sort=name"
    assert (answer.json()["owner"], answer.json()["filters"]) == (None, filters)
    page = client_as(sales).get(f"/leads/?{view.query}&view={view.pk}")
    assert [lead.first_name for lead in page.context["page"].rows] == ["Ada"]
    assert ("Ready", True) in [
        (tab.label, tab.is_current) for tab in page.context["views"].tabs
    ]


def test_a_member_makes_views_of_their_own(sales: Membership):
    client = member(sales)

    own, shared = (
        client.post(URL, {"name": name, "is_shared": name == "B"}).json()
        for name in ("A", "B")
    )

    assert [(each["owner"], each["is_shared"]) for each in (own, shared)] == [
        (sales.user_id, False),
        (sales.user_id, True),
    ]


# method, body, status of a success
WRITES = [
    ("PUT", {"name": "New"}, 200),
    ("PATCH", {"name": "New"}, 200),
    ("DELETE", None, 204),
]


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize(("method", "body", "success"), WRITES)
def test_a_key_changes_views_of_keys_and_an_admins_key_all_that_are_shared(
    company: Company,
    view: SavedView,
    made: SavedView,
    role: str,
    method: str,
    body: Any,
    success: int,
):
    client = caller(company, role)
    refused = 409 if ADMIN_AND_SALES[role] else 403

    of_a_key = call(client, method, f"{URL}{made.pk}/", body)
    of_a_person = call(client, method, f"{URL}{view.pk}/", body)

    assert of_a_key.status_code == (success if ADMIN_AND_SALES[role] else 403)
    assert of_a_person.status_code == (success if ADMIN_ONLY[role] else refused)
    assert (
        SavedView.objects.filter(name="Of a key").exists() is not ADMIN_AND_SALES[role]
    )
    assert SavedView.objects.filter(name="Fair").exists() is not ADMIN_ONLY[role]


@pytest.mark.parametrize("role", Role.values)
def test_every_key_reads_and_who_may_edit_leads_makes(
    company: Company, view: SavedView, role: str
):
    client = caller(company, role)

    answers = [
        client.get(URL),
        client.get(f"{URL}{view.pk}/"),
        client.post(URL, {"name": "New"}),
    ]

    assert ALL[role]
    assert [answer.status_code for answer in answers] == [
        200,
        200,
        201 if ADMIN_AND_SALES[role] else 403,
    ]


def test_a_colleague_changes_no_shared_view_and_an_admin_does(
    company: Company, admin: Membership, view: SavedView, made: SavedView
):
    colleague = member(join(company, Role.SALES, email="colleague@example.com"))

    refused = [
        colleague.patch(f"{URL}{each.pk}/", {"name": "Ours"}) for each in (view, made)
    ]

    assert [answer.status_code for answer in refused] == [409, 409]
    assert refused[0].json() == {
        "detail": "Only the person who made this view can change it, or an admin if it is shared."
    }
    assert member(admin).patch(f"{URL}{view.pk}/", {"name": "Fairs"}).status_code == 200
    view.refresh_from_db()
    assert (view.name, view.query) == ("Fairs", "source=Fair&sort=-updated")


def test_a_change_writes_what_it_names_and_leaves_the_rest(
    script: APIClient, made: SavedView
):
    SavedView.objects.filter(pk=made.pk).update(
        query="type=inbound&sort=name", columns="phone"
    )

    answers = [
        script.patch(f"{URL}{made.pk}/", body).json()
        for body in (
            {"sort": ""},
            {"filters": {"has_email": "True"}},
            {"sort": "-created"},
            {"columns": []},
        )
    ]

    assert [(each["filters"], each["sort"], each["columns"]) for each in answers] == [
        ({"type": "inbound"}, "", ["phone"]),
        ({"has_email": "True"}, "", ["phone"]),
        ({"has_email": "True"}, "-created", ["phone"]),
        ({"has_email": "True"}, "-created", []),
    ]
    made.refresh_from_db()
    assert (made.query, made.columns, made.name) == (
        "has_email=True&sort=-created",
        "",
        "Of a key",
    )


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"name": ""}, {"name": ["Enter a string that is not empty."]}),
        ({"name": "N" * 41}, {"name": ["Enter 40 characters at most."]}),
        ({"filters": {"colour": "red"}}, {"filters": {"colour": ["There is no such filter."]}}),
        ({"filters": {"custom_gone": "yes"}}, {"filters": {"custom_gone": ["There is no such filter."]}}),
        ({"filters": {"sort": "name"}}, {"filters": {"sort": ["There is no such filter."]}}),
        ({"filters": {"has_email": "maybe"}}, {"filters": {"has_email": [
            "Select a valid choice. maybe is not one of the available choices."
        ]}}),
        ({"filters": {"created_from": "soon"}}, {"filters": {"created_from": ["Enter a valid date."]}}),
        ({"filters": {"type": ""}}, {"filters": {"type": ["Enter a string that is not empty."]}}),
        ({"filters": {"created_from": " "}}, {"filters": {"created_from": ["Enter a string that is not empty."]}}),
        ({"filters": {"status": 3}}, {"filters": {"status": ["Enter a string."]}}),
        ({"filters": {"search": "ada"}}, {"filters": {"search": [
            "A view doesn't keep what is searched for: that is personal data."
        ]}}),
        ({"filters": {"custom_plan": "gold"}}, {"filters": {"custom_plan": [
            "A view doesn't keep what is searched for: that is personal data."
        ]}}),
        ({"sort": "password"}, {"sort": [
            "Choose one of: name, status, organisation, owner, source, created, updated. "
            "A - in front of it sorts the other way round."
        ]}),
        ({"columns": ["name"]}, {"columns": [
            "Choose from: organisation, owner, source, created, updated, title, phone, type, custom.plan."
        ]}),
        ({"columns": ["phone"] * 7}, {"columns": ["Enter 6 entries at most."]}),
        ({"is_shared": False}, {"is_shared": ["Only people can have private views. A key's view is always shared."]}),
        ({"owner": 1}, {"owner": ["This field is read-only."]}),
        ({"query": "type=inbound"}, {"query": ["There is no such field."]}),
        ({"company": 1}, {"company": ["There is no such field."]}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_bad_input_is_refused_by_name(
    company: Company, script: APIClient, made: SavedView, method: str, body, errors
):
    make_field(company, "Plan", "text")
    before = list(SavedView.objects.values())

    answer = call(
        script,
        method,
        f"{URL}{made.pk}/" if method == "PATCH" else URL,
        {"name": "New", **body},
    )

    assert (answer.status_code, answer.json()) == (400, errors)
    assert list(SavedView.objects.values()) == before


@pytest.mark.parametrize(
    "filters",
    [[], "type=inbound", 1, None, {"type": None}, {"type": ["inbound"]}, {"type": {}}],
)
def test_filters_of_another_shape_are_refused(script: APIClient, filters: Any):
    answer = script.post(URL, {"name": "New", "filters": filters})

    assert (answer.status_code, list(answer.json())) == (400, ["filters"])


def test_a_name_of_a_filter_may_be_no_text_at_all(script: APIClient):
    for value, message in (
        ('"x"', "There is no such filter."),
        ("1", "Enter a string."),
    ):
        body = f'{{"name": "New", "filters": {{"\\ud800": {value}}}}}'
        answer = script.generic("POST", URL, body, content_type="application/json")

        assert (answer.status_code, answer.json()) == (
            400,
            {"filters": {"?": [message]}},
        )


def test_filters_of_another_company_are_refused(
    script: APIClient, other_company: Company
):
    foreign = LeadStatus.objects.for_company(other_company).first()
    stranger = join(other_company, Role.SALES, email="stranger@example.com")

    answer = script.post(
        URL,
        {
            "name": "New",
            "filters": {"status": str(foreign.pk), "owner": str(stranger.user_id)},
        },
    )

    message = "Select a valid choice. That choice is not one of the available choices."
    assert (answer.status_code, answer.json()) == (
        400,
        {"filters": {"status": [message], "owner": [message]}},
    )
    assert not SavedView.objects.exists()


def test_there_is_one_of_a_name_and_thirty_of_keys(
    script: APIClient, view: SavedView, monkeypatch
):
    # A person has one of this name.
    assert script.post(URL, {"name": "Fair"}).status_code == 201

    second = script.post(URL, {"name": "Fair"})
    monkeypatch.setattr(saved_views, "VIEWS_AT_MOST", 1)
    more = script.post(URL, {"name": "More"})

    assert second.json() == {
        "name": ["An API key of your company has made a view with this name already."]
    }
    assert more.json() == {
        "name": ["Your company's API keys have made 30 views. Delete one first."]
    }
    assert (second.status_code, more.status_code, SavedView.objects.count()) == (
        400,
        400,
        2,
    )


def test_filters_that_are_too_many_are_refused(script: APIClient, monkeypatch):
    monkeypatch.setattr(saved_views, "LONGEST_QUERY", 10)

    answer = script.post(URL, {"name": "New", "filters": {"type": "inbound"}})

    assert answer.json() == {
        "filters": ["Nothing was saved: these are too many filters for one view."]
    }


def test_a_request_that_is_repeated_with_its_key_makes_one_view(script: APIClient):
    first, again = (
        script.post(URL, {"name": "New"}, headers={"Idempotency-Key": "1"})
        for _ in range(2)
    )

    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert SavedView.objects.count() == 1


def test_a_view_that_is_deleted_meanwhile_is_a_404(
    script: APIClient, made: SavedView, monkeypatch
):
    def deleted_before(**changed: Any) -> SavedView:
        SavedView.objects.all().delete()
        return saved_views.save_view(**changed)

    monkeypatch.setattr("crm.api.saved_views.save_view", deleted_before)

    assert script.patch(f"{URL}{made.pk}/", {"name": "New"}).status_code == 404
    assert not SavedView.objects.filter(name="New").exists()


def test_another_companys_views_are_not_found(
    other_company: Company, view: SavedView, made: SavedView
):
    client = caller(other_company, "admin")

    assert names(client.get(URL)) == []
    for each in (view, made):
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            body = {"name": "Theirs"} if method in ("PUT", "PATCH") else None
            assert call(client, method, f"{URL}{each.pk}/", body).status_code == 404
    assert SavedView.objects.filter(name__in=["Fair", "Of a key"]).count() == 2


def test_the_database_has_no_view_that_nobody_sees(company: Company):
    with pytest.raises(IntegrityError), transaction.atomic():
        SavedView.objects.create(company=company, name="Nobody's")


def test_the_views_of_keys_outlive_who_has_left(
    sales: Membership, view: SavedView, made: SavedView
):
    sales.user.delete()

    assert list(SavedView.objects.all()) == [made]


# The leads of a view


def found(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.json()
    return [lead["first_name"] for lead in answer.json()["results"]]


def test_the_leads_of_a_view_are_those_of_its_filters_newest_first(
    company: Company, script: APIClient, view: SavedView, other_company: Company
):
    for name, source in (("Ada", "Fair"), ("Grace", "Web"), ("Joan", "Fair")):
        make_lead(company, first_name=name, source=source, email=f"{name}@example.com")
    make_lead(other_company, first_name="Strange", source="Fair")

    assert found(script.get(LEADS, {"view": view.pk})) == ["Joan", "Ada"]
    assert found(script.get(LEADS, {"view": view.pk, "email": "ada@example.com"})) == [
        "Ada"
    ]
    first = script.get(LEADS, {"view": view.pk, "page_size": 1})
    assert (found(first), found(script.get(first.json()["next"]))) == (
        ["Joan"],
        ["Ada"],
    )


@pytest.mark.parametrize(
    "query",
    [
        "tag={tag}",
        "custom_region=emea",
        "owner={owner}",
        "shared=False",
        "type=outbound",
    ],
)
def test_each_filter_of_a_view_narrows_the_leads(
    company: Company, script: APIClient, sales: Membership, made: SavedView, query: str
):
    make_field(company, "Region", "choice")
    fields = {
        "custom": {"region": "emea"},
        "owner": sales.user,
        "share_with_ad_platforms": False,
        "type": "outbound",
    }
    ada = make_lead(company, **fields)
    make_lead(company, first_name="Grace")
    tag = Tag.objects.create(company=company, name="VIP")
    put_tag(rows=Lead.objects.filter(pk=ada.pk), tag=tag)
    SavedView.objects.filter(pk=made.pk).update(
        query=query.format(tag=tag.pk, owner=sales.user_id)
    )

    assert found(script.get(LEADS, {"view": made.pk})) == ["Ada"]


def test_a_day_of_a_view_is_one_of_the_company(
    company: Company, script: APIClient, made: SavedView
):
    Company.objects.filter(pk=company.pk).update(time_zone="Pacific/Auckland")
    lead = make_lead(company)
    # The 12th, over there.
    Lead.objects.filter(pk=lead.pk).update(created_at="2026-03-11T12:30:00Z")
    SavedView.objects.filter(pk=made.pk).update(query="created_from=2026-03-12")

    assert found(script.get(LEADS, {"view": made.pk})) == ["Ada"]
    SavedView.objects.filter(pk=made.pk).update(query="created_until=2026-03-11")
    assert found(script.get(LEADS, {"view": made.pk})) == []


def test_a_view_that_is_not_seen_matches_nothing(
    company: Company,
    other_company: Company,
    script: APIClient,
    view: SavedView,
    private: SavedView,
):
    make_lead(company, source="Fair")
    make_lead(other_company, source="Fair")

    assert found(script.get(LEADS, {"view": private.pk})) == []
    assert found(script.get(LEADS, {"view": 10**15})) == []
    assert found(caller(other_company).get(LEADS, {"view": view.pk})) == []
    for bad in ("", "x", "0", "-1", "1.5", "9" * 30):
        assert script.get(LEADS, {"view": bad}).status_code == 400, bad


def test_a_view_whose_filter_no_longer_works_says_so_and_shows_no_lead(
    company: Company, script: APIClient, made: SavedView
):
    status = LeadStatus.objects.create(
        company=company, name="Hot", meaning="working", position=9
    )
    make_lead(company)
    SavedView.objects.filter(pk=made.pk).update(query=f"status={status.pk}")
    delete_entry(entry=status, move_to=None)

    answer = script.get(LEADS, {"view": made.pk})

    assert (answer.status_code, answer.json()) == (
        400,
        {
            "view": [
                "A filter of this view no longer works: Status. Change the view, or choose another."
            ]
        },
    )


def test_who_reads_views_on_from_page_to_page_is_on_record(
    sales: Membership, view: SavedView, private: SavedView
):
    client = member(sales)

    first = client.get(URL, {"page_size": 1})
    client.get(first.json()["next"])

    assert AuditEntry.objects.get(action="export").details == {
        "what": "saved views through the API"
    }


# At once


def test_a_change_of_the_sorting_keeps_the_filters_that_another_request_saves_at_once(
    company: Company, monkeypatch: pytest.MonkeyPatch
):
    view = SavedView.objects.create(
        company=company, name="Fairs", query="has_email=True", is_shared=True
    )
    hold = type(Company.objects).hold

    def hold_late(companies, pk):
        hold(companies, pk)
        SavedView.objects.filter(query="has_email=True").update(query="has_email=False")

    monkeypatch.setattr(type(Company.objects), "hold", hold_late)

    answer = caller(company).patch(f"{URL}{view.pk}/", {"sort": "name"})

    assert (answer.status_code, answer.json()["filters"]) == (
        200,
        {"has_email": "False"},
    )
    view.refresh_from_db()
    assert view.query == "has_email=False&sort=name"


def test_no_source_of_a_person_who_is_erased_meanwhile_is_saved(company: Company):
    view = SavedView(
        company=company, name="Friends", query="source=A+friend+of+Bob", is_shared=True
    )

    with pytest.raises(saved_views.ViewRefused, match="a filter no longer works"):
        saved_views.save_view(view=view)

    assert not SavedView.objects.exists()


@pytest.mark.parametrize("day", ["01/02/2026", "1 Feb 2026", "2026-02-30"])
def test_a_day_that_is_no_iso_date_is_refused(company: Company, day: str):
    answer = caller(company).post(
        URL, {"name": "Since", "filters": {"created_from": day}}
    )

    assert (answer.status_code, answer.json()) == (
        400,
        {"filters": {"created_from": ["Enter a valid date."]}},
    )
