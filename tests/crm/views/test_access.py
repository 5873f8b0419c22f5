"""Who gets to see and do what: signed in, of this company, with this role."""

import pytest
from django.test import Client

from crm.models import (
    ApiKey,
    Company,
    CrmEvent,
    Deal,
    Lead,
    LeadStatus,
    Membership,
    Stage,
    User,
)
from crm.models.roles import Role
from tests.conftest import client_of, join, make_deal, make_lead

pytestmark = pytest.mark.django_db

PAGES = ["/leads/", "/leads/new/", "/deals/", "/deals/new/", "/company/"]


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_a_page_without_signing_in(path, company):
    response = Client().get(path)

    assert response.url == f"/login/?next={path}"


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("admin", [200, 200, 200, 200, 200]),
        ("sales", [200, 200, 200, 200, 403]),
        ("ops", [200, 403, 200, 403, 403]),
    ],
)
def test_each_role_sees_its_pages(client_as, company, role, expected):
    client = client_as(join(company, Role(role)))

    assert [client.get(path).status_code for path in PAGES] == expected


@pytest.mark.parametrize(
    ("role", "labels"),
    [
        (
            "admin",
            [
                "My day",
                "Dashboard",
                "Leads",
                "Deals",
                "Organisations",
                "Background jobs",
                "Recent Events",
                "LinkedIn",
                "Company",
            ],
        ),
        (
            "sales",
            [
                "My day",
                "Dashboard",
                "Leads",
                "Deals",
                "Organisations",
                "Background jobs",
            ],
        ),
        (
            "ops",
            [
                "Dashboard",
                "Leads",
                "Deals",
                "Organisations",
                "Background jobs",
                "Recent Events",
                "LinkedIn",
            ],
        ),
    ],
)
def test_the_navigation_offers_only_what_the_role_may_see(
    client_as, company, role, labels
):
    response = client_as(join(company, Role(role))).get("/leads/")

    assert [item.label for item in response.context["nav"]] == labels
    assert [item.label for item in response.context["nav"] if item.current] == ["Leads"]


def test_a_refusal_says_why_and_whom_to_ask(client_as, ops):
    response = client_as(ops).get("/leads/new/")

    assert (
        "Your role at Northwind BV is Ops, which doesn&#x27;t include this. "
        "Ask an admin to do it, or to give you another role."
        in response.content.decode()
    )


def test_ops_read_but_change_nothing(client_as, ops, company):
    lead = make_lead(company)
    deal = make_deal(lead)
    client = client_as(ops)

    pages = (
        client.get("/leads/").content.decode()
        + client.get(f"/leads/{lead.pk}/").content.decode()
    )
    answers = [
        client.post(path).status_code
        for path in (
            "/leads/new/",
            "/leads/status/",
            f"/leads/{lead.pk}/edit/",
            f"/leads/{lead.pk}/status/",
            f"/leads/{lead.pk}/delete/",
            f"/deals/new/?lead={lead.pk}",
            f"/deals/{deal.pk}/edit/",
            f"/deals/{deal.pk}/move/",
            f"/deals/{deal.pk}/delete/",
        )
    ]

    assert answers == [403] * 9
    assert "/edit/" not in pages
    assert "/status/" not in pages


def test_only_admins_delete(client_as, sales, company):
    lead = make_lead(company)
    deal = make_deal(lead)
    client = client_as(sales)

    answers = [
        client.post(f"/leads/{lead.pk}/delete/"),
        client.post(f"/deals/{deal.pk}/delete/"),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert (Lead.objects.count(), Deal.objects.count()) == (1, 1)


def test_rows_of_another_company_are_not_found_and_not_touched(
    client_as, admin, company, other_company
):
    lead = make_lead(other_company)
    deal = make_deal(lead)
    own_lead = make_lead(company)
    own_deal = make_deal(own_lead)
    status = LeadStatus.objects.for_company(other_company).get(name="Qualified")
    stage = Stage.objects.for_company(other_company).get(name="Won")
    own_status = LeadStatus.objects.for_company(company).get(name="Qualified")
    own_stage = Stage.objects.for_company(company).get(name="Won")
    key, text = ApiKey.objects.issue(company=other_company, role="sales", name="Theirs")
    client = client_as(admin)

    answers = [
        client.get(f"/leads/{lead.pk}/"),
        client.post(f"/leads/{lead.pk}/edit/"),
        client.post(f"/leads/{lead.pk}/delete/"),
        client.post(f"/leads/{lead.pk}/status/", {"status": own_status.pk}),
        client.post(f"/leads/{own_lead.pk}/status/", {"status": status.pk}),
        client.post("/leads/status/", {"lead": [own_lead.pk], "status": status.pk}),
        client.get(f"/deals/new/?lead={lead.pk}"),
        client.get(f"/deals/{deal.pk}/"),
        client.post(f"/deals/{deal.pk}/edit/"),
        client.post(f"/deals/{deal.pk}/delete/"),
        client.post(f"/deals/{deal.pk}/move/", {"stage": own_stage.pk}),
        client.post(f"/deals/{own_deal.pk}/move/", {"stage": stage.pk}),
        client.post(f"/company/api-keys/{key.pk}/revoke/"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 13
    assert set(CrmEvent.objects.values_list("kind", flat=True)) == {
        "lead_created",
        "deal_created",
    }
    assert ApiKey.objects.find(text) == key


def test_lists_show_the_own_company_only(client_as, admin, company, other_company):
    make_deal(make_lead(company, first_name="Ours"), title="Our deal")
    make_deal(make_lead(other_company, first_name="Theirs"), title="Their deal")
    client = client_as(admin)

    text = "".join(client.get(path).content.decode() for path in PAGES)

    assert "Our deal" in text
    assert "Their" not in text


def test_whoever_belongs_to_no_company_is_told_so(db):
    client = client_of(User.objects.create(username="new@example.com"))

    response = client.get("/leads/")

    assert response.status_code == 403
    assert "You aren't in a company yet" in response.content.decode()


def test_a_member_of_two_companies_works_in_one_and_can_switch(
    client_as, sales, company, other_company
):
    Membership.objects.create(company=other_company, user=sales.user, role="ops")
    make_lead(company, first_name="Ours")
    make_lead(other_company, first_name="Theirs")
    client = client_as(sales)

    assert [lead.name for lead in client.get("/leads/").context["page"]] == ["Ours"]
    client.post("/switch-company/", {"company": other_company.pk})
    response = client.get("/leads/")

    assert [lead.name for lead in response.context["page"]] == ["Theirs"]
    assert client.get("/leads/new/").status_code == 403


@pytest.mark.parametrize("target", ["", "nonsense", "\x00"])
def test_switching_to_a_company_that_one_is_not_in_changes_nothing(
    client_as, sales, target
):
    stranger = Company.objects.create(name="Stranger", slug="stranger")
    client = client_as(sales)

    client.post("/switch-company/", {"company": target or stranger.pk})

    assert client.get("/leads/").context["membership"] == sales


def test_what_only_a_post_may_do_is_not_done_by_a_link(client_as, admin, company):
    lead = make_lead(company)
    deal = make_deal(lead)
    client = client_as(admin)
    paths = [
        "/theme/",
        "/switch-company/",
        "/logout/",
        "/leads/status/",
        f"/leads/{lead.pk}/status/",
    ]

    answers = [
        client.get(path)
        for path in [*paths, f"/deals/{deal.pk}/move/", "/company/lists/tags/1/move/"]
    ]

    pages = [
        "/",
        "/",
        "/",
        "/leads/",
        f"/leads/{lead.pk}/",
        f"/deals/{deal.pk}/",
        "/company/lists/tags/1/",
    ]
    assert [(answer.status_code, answer.url) for answer in answers] == [
        (302, page) for page in pages
    ]


def test_another_method_than_a_form_s_is_answered_with_a_page(client_as, admin):
    client = Client(enforce_csrf_checks=True)

    answer = client.put("/leads/status/")

    assert answer.status_code == 405
