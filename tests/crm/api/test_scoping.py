import pytest

from crm.models import Company, Deal, Lead
from crm.models.roles import Role
from tests.conftest import join, make_deal, make_lead
from tests.crm.api.calling import call, caller


@pytest.fixture(params=["northwind", "contoso"])
def ours(request, company, other_company):
    return Company.objects.get(slug=request.param)


@pytest.fixture
def theirs(ours):
    return Company.objects.exclude(pk=ours.pk).get()


@pytest.fixture
def their_lead(theirs):
    return make_lead(theirs, first_name="Canary")


@pytest.fixture
def their_deal(their_lead):
    return make_deal(their_lead, title="Canary deal")


def test_a_list_shows_the_companys_own_alone(ours, their_deal):
    own = make_deal(make_lead(ours))
    client = caller(ours)

    leads, deals = (
        client.get("/api/v1/leads/").json(),
        client.get("/api/v1/deals/").json(),
    )

    assert [row["id"] for row in leads["results"]] == [own.lead_id]
    assert [row["id"] for row in deals["results"]] == [own.pk]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("kind", ["leads", "deals"])
def test_the_neighbours_row_is_not_found_and_stays_as_it_is(
    ours, their_lead, their_deal, kind, method
):
    own = make_lead(ours)
    row = their_lead if kind == "leads" else their_deal
    body = (
        {"first_name": "Mallory"}
        if kind == "leads"
        else {"title": "Mallory", "lead": own.pk}
    )

    answer = call(
        caller(ours),
        method,
        f"/api/v1/{kind}/{row.pk}/",
        body if method in ("PUT", "PATCH") else None,
    )

    assert answer.status_code == 404
    assert "Canary" not in answer.text
    assert Lead.objects.filter(pk=their_lead.pk, first_name="Canary").exists()
    assert Deal.objects.filter(pk=their_deal.pk, title="Canary deal").exists()


def test_a_lead_takes_no_status_and_no_owner_of_the_neighbours(ours, theirs):
    client = caller(ours)
    stranger = join(theirs, Role.SALES).user

    answer = client.post(
        "/api/v1/leads/",
        {
            "first_name": "Ada",
            "status": theirs.leadstatus_set.first().pk,
            "owner": stranger.pk,
        },
    )

    assert answer.status_code == 400
    assert answer.json() == {
        "status": ["Choose one of your company's statuses."],
        "owner": ["Choose one of your colleagues."],
    }
    assert not Lead.objects.exists()


def test_a_deal_takes_no_lead_no_stage_and_no_owner_of_the_neighbours(
    ours, theirs, their_lead
):
    client = caller(ours)
    stranger = join(theirs, Role.SALES).user

    answer = client.post(
        "/api/v1/deals/",
        {
            "title": "Ten",
            "lead": their_lead.pk,
            "stage": theirs.stage_set.first().pk,
            "owner": stranger.pk,
        },
    )

    assert answer.status_code == 400
    assert answer.json() == {
        "lead": ["Choose one of your company's leads."],
        "stage": ["Choose one of your company's stages."],
        "owner": ["Choose one of your colleagues."],
    }
    assert not Deal.objects.exists()


def test_a_change_takes_none_of_them_either(ours, theirs, their_lead):
    own = make_deal(make_lead(ours))

    answer = caller(ours).patch(f"/api/v1/deals/{own.pk}/", {"lead": their_lead.pk})

    assert answer.status_code == 400
    assert answer.json() == {"lead": ["Choose one of your company's leads."]}
    own.refresh_from_db()
    assert own.lead.company == ours


@pytest.mark.parametrize(
    "row_id", ["abc", "0", "-1", "9" * 30, "9" * 5000, "%00", "1%0A"]
)
def test_an_id_that_cannot_be_one_is_not_found(company, row_id):
    answer = caller(company).get(f"/api/v1/leads/{row_id}/")

    assert answer.status_code == 404


@pytest.mark.parametrize(
    "value", [True, 1.5, "abc", [], {}, "\x00", 1e300, None, -1, 0, 10**30, "9" * 2000]
)
def test_a_related_id_that_cannot_be_one_is_refused(company, value):
    answer = caller(company).post(
        "/api/v1/leads/", {"first_name": "Ada", "status": value}, format="json"
    )

    assert answer.status_code == 400
    assert list(answer.json()) == ["status"]
    assert not Lead.objects.exists()
