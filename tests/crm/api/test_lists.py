"""The lists of the API have the filters and orders of their pages, and page by page no row is lost."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from crm.lists.registry import LISTS
from crm.models import Company, Deal, Lead, LeadStatus, Membership, Tag, Task
from crm.services.tags import set_tags
from tests.conftest import make_deal, make_lead, make_task
from tests.crm.api.calling import caller
from tests.crm.custom_values import make_field

pytestmark = pytest.mark.django_db

ORDERS = [
    (part, minus + key)
    for part, keys in {
        "leads": (
            "name",
            "status",
            "organisation",
            "owner",
            "source",
            "created",
            "updated",
        ),
        "deals": (
            "deal",
            "stage",
            "lead",
            "owner",
            "close",
            "amount",
            "created",
            "updated",
        ),
        "tasks": ("due", "done", "created", "updated"),
    }.items()
    for key in keys
    for minus in ("", "-")
]


@pytest.fixture
def ada(company: Company, sales: Membership) -> Lead:
    lead = make_lead(
        company,
        first_name="Ada",
        source="Fair",
        owner=sales.user,
        email="ada@example.com",
    )
    set_tags(row=lead, tags=[Tag.objects.create(company=company, name="VIP")])
    make_lead(
        company,
        first_name="Grace",
        email="",
        share_with_ad_platforms=False,
        type="partner",
    )
    return lead


def ids(company: Company, part: str, **asked: Any) -> list[int]:
    answer = caller(company).get(f"/api/v1/{part}/", asked)
    assert answer.status_code == 200, answer.json()
    return [row["id"] for row in answer.json()["results"]]


@pytest.mark.parametrize(
    "asked",
    [
        {"owner": "{owner}"}, {"source": "Fair"}, {"tag": "{tag}"}, {"type": "inbound"}, {"has_source": "true"},
        {"has_email": "true"}, {"has_email": "True"}, {"shared": "true"}, {"search": "ad"}, {"search": "ada example"},
        {"source": "Fair", "search": "ada"},
    ],
)  # fmt: skip
def test_leads_are_filtered_as_on_their_page(
    company: Company, ada: Lead, asked: dict[str, str]
) -> None:
    known = {"owner": ada.owner_id, "tag": Tag.objects.get().pk}

    found = ids(
        company,
        "leads",
        **{name: value.format(**known) for name, value in asked.items()},
    )

    assert found == [ada.pk]


def test_leads_are_filtered_by_status_and_no_owner(company: Company, ada: Lead) -> None:
    other = LeadStatus.objects.for_company(company).exclude(pk=ada.status_id).first()
    assert other is not None

    assert len(ids(company, "leads", status=ada.status_id)) == 2
    assert ids(company, "leads", status=other.pk) == []
    assert ada.pk not in ids(company, "leads", owner="null")


@pytest.mark.parametrize("part", ["leads", "deals", "tasks"])
def test_what_changed_since_a_moment_is_found(
    company: Company, sales: Membership, part: str
) -> None:
    lead = make_lead(company)
    rows = {
        "leads": lead,
        "deals": make_deal(lead),
        "tasks": make_task(sales, lead=lead),
    }
    row = rows[part]
    noon = datetime(2027, 3, 1, 12, 0, tzinfo=ZoneInfo(company.time_zone))
    type(row).objects.filter(pk=row.pk).update(updated_at=noon)

    def found(**asked: str) -> bool:
        return row.pk in ids(company, part, **asked)

    later = (noon + timedelta(seconds=1)).isoformat()
    assert found(updated_from="2027-03-01", updated_until="2027-03-01")
    assert found(updated_from=noon.isoformat(), updated_until=later)
    assert not found(updated_from=later)
    assert not found(updated_until=noon.isoformat())
    assert not found(updated_from="2027-03-02")


@pytest.mark.parametrize(
    "value",
    ["2027-03-01T12:00:00", "yesterday", "2027-13-01T12:00:00Z", "2027-03-01T", ""],
)
def test_a_moment_needs_its_offset(company: Company, value: str) -> None:
    answer = caller(company).get("/api/v1/leads/", {"updated_from": value})

    assert answer.status_code == 400
    assert list(answer.json()) == ["updated_from"]


def test_custom_fields_filter_and_one_that_is_not_in_use_is_refused(
    company: Company, ada: Lead
) -> None:
    field = make_field(company, "Seats", "number")
    Lead.objects.filter(pk=ada.pk).update(custom={field.key: "12"})

    assert ids(company, "leads", **{f"custom_{field.key}__from": "10"}) == [ada.pk]
    assert ids(company, "leads", **{f"custom_{field.key}__from": "20"}) == []
    answer = caller(company).get("/api/v1/leads/", {"custom_nothing": "1"})
    assert answer.json() == {"custom_nothing": ["There is no such filter."]}


@pytest.mark.parametrize(
    ("part", "asked"),
    [
        ("leads", {"status": "0"}), ("leads", {"source": "Nowhere"}), ("leads", {"has_email": "maybe"}),
        ("leads", {"tag": ""}), ("leads", {"search": ""}), ("leads", {"search": "x" * 101}),
        ("leads", {"ordering": "phone"}), ("leads", {"ordering": ""}), ("deals", {"stage": "x"}),
        ("deals", {"currency": "XXX"}), ("tasks", {"search": "call"}), ("organisations", {"ordering": "leads"}),
        ("organisations", {"search": ""}),
    ],
)  # fmt: skip
def test_what_filters_nothing_is_refused(
    company: Company, part: str, asked: dict[str, str]
) -> None:
    make_lead(company)

    answer = caller(company).get(f"/api/v1/{part}/", asked)

    assert answer.status_code == 400
    assert list(answer.json()) == list(asked)


def test_deals_are_filtered_as_on_their_page(company: Company, ada: Lead) -> None:
    dated = make_deal(
        ada,
        title="Dated",
        amount="100",
        currency="CHF",
        expected_close=timezone.localdate(),
    )
    plain = make_deal(make_lead(company), title="Plain")

    for asked in (
        {"dated": "yes"},
        {"currency": "CHF"},
        {"lead_source": "Fair"},
        {"search": "dated"},
        {"lead": ada.pk},
    ):
        assert ids(company, "deals", **asked) == [dated.pk]
    assert ids(company, "deals", meaning="open") == [plain.pk, dated.pk]
    assert ids(company, "deals", meaning="won") == []


def test_organisations_are_searched(company: Company) -> None:
    make_lead(company, organisation="Harbour & Sons")
    make_lead(company, organisation="Kestrel Aviation")

    answer = caller(company).get("/api/v1/organisations/", {"search": "kestrel"})

    assert [row["name"] for row in answer.json()["results"]] == ["Kestrel Aviation"]


@pytest.fixture
def many(company: Company, sales: Membership) -> None:
    statuses = list(LeadStatus.objects.for_company(company))
    for number in range(7):
        lead = make_lead(
            company,
            last_name=f"Byron {number % 2}",
            organisation=f"Org {number % 3}",
            source=f"Fair {number % 2}",
            status=statuses[number % 2],
            owner=[None, sales.user][number % 2],
        )
        close = None if number % 3 else timezone.localdate() + timedelta(days=number)
        amount = None if number % 2 else "12.50"
        make_deal(
            lead,
            title=f"Deal {number % 2}",
            expected_close=close,
            amount=amount,
            owner=lead.owner,
        )
        make_task(sales, lead=lead, done_at=timezone.now() if number % 2 else None)


@pytest.mark.parametrize(("part", "ordering"), ORDERS)
def test_each_order_leads_to_each_row_once_and_back_again(
    company: Company, many: None, part: str, ordering: str
) -> None:
    client, pages = caller(company), []
    address = f"/api/v1/{part}/?ordering={ordering}&page_size=3"
    while address:
        answer = client.get(address).json()
        pages.append([row["id"] for row in answer["results"]])
        address, previous = answer["next"], answer["previous"]

    assert [len(page) for page in pages] == [3, 3, 1]
    assert len({pk for page in pages for pk in page}) == 7
    back = client.get(previous).json()
    assert [row["id"] for row in back["results"]] == pages[1]
    assert [
        row["id"] for row in client.get(back["previous"]).json()["results"]
    ] == pages[0]


def test_the_orders_of_the_registry_are_all_tested() -> None:
    known = {
        part: {key for each, key in ORDERS if each == part and not key.startswith("-")}
        for part in LISTS
    }

    assert known == {
        part: {*each.sortable, *(each.orders or {})} for part, each in LISTS.items()
    }


def test_a_row_that_is_changed_or_deleted_meanwhile_does_not_stop_a_client(
    company: Company, many: None
) -> None:
    client = caller(company)
    first = client.get("/api/v1/leads/?ordering=updated&page_size=2").json()
    last = first["results"][-1]["id"]
    expected = [row["id"] for row in client.get(first["next"]).json()["results"]]

    Lead.objects.filter(pk=last).update(updated_at=timezone.now() + timedelta(days=1))
    after_change = [row["id"] for row in client.get(first["next"]).json()["results"]]
    Deal.objects.all().delete()
    Task.objects.all().delete()
    Lead.objects.filter(pk=last).delete()
    after_deletion = [row["id"] for row in client.get(first["next"]).json()["results"]]

    assert (after_change, after_deletion) == (expected, expected)


def test_a_cursor_shows_no_name_and_works_for_its_own_order_and_company_alone(
    company: Company, other_company: Company, many: None
) -> None:
    make_lead(other_company)
    following = (
        caller(company).get("/api/v1/leads/?ordering=name&page_size=2").json()["next"]
    )

    assert "Byron" not in following
    assert (
        caller(company)
        .get(following.replace("ordering=name", "ordering=-name"))
        .status_code
        == 404
    )
    assert (
        caller(company).get(following.replace("ordering=name&", "")).status_code == 404
    )
    assert caller(other_company).get(following).status_code == 404


def test_a_cursor_at_a_status_that_was_deleted_does_not_begin_the_list_again(
    company: Company,
) -> None:
    statuses = LeadStatus.objects.for_company(company).order_by("position", "pk")
    first, gone, last = statuses[:3]
    for status in (first, gone, last):
        make_lead(company, status=status)
    client = caller(company)
    page = client.get("/api/v1/leads/?ordering=status&page_size=2").json()
    Lead.objects.filter(status=gone).update(status=last)
    gone.delete()

    answer = client.get(page["next"])

    assert answer.status_code == 404
    assert "Start again at the first" in answer.json()["detail"]
