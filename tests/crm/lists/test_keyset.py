"""Pages that each continue after a row: none is missing or shown twice, whatever happens in between."""

import pytest

from crm.lists import keyset
from crm.lists.keyset import page_of
from crm.lists.leads import COLUMNS, LEADS
from crm.models import Lead, LeadStatus
from crm.models.key_selection import keys_of
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db

SORTS = [
    minus + column.key for column in COLUMNS if column.order for minus in ("", "-")
] + ["nonsense"]


@pytest.fixture
def leads(company, sales, admin):
    """Seventeen leads with the same few names, statuses and owners."""
    statuses = list(LeadStatus.objects.for_company(company))
    owners = [None, sales.user, admin.user]
    return [
        make_lead(
            company,
            first_name=f"Ada {number % 2}",
            last_name=f"Byron {number % 3}",
            organisation=f"Org {number % 4}",
            source=f"Fair {number % 2}",
            status=statuses[number % len(statuses)],
            owner=owners[number % 3],
        )
        for number in range(17)
    ]


def page(company, sort, **position):
    rows = Lead.objects.for_company(company)
    return page_of(rows, LEADS.order(sort, company), size=5, known=rows, **position)


def all_pages(company, sort):
    found, position = [], {}
    while True:
        here = page(company, sort, **position)
        found.append([lead.pk for lead in here.rows])
        if here.next is None:
            return found
        position = {"after": str(here.next)}


@pytest.mark.parametrize("sort", SORTS)
def test_pages_have_each_row_once_in_order_and_lead_back_again(company, leads, sort):
    pages = all_pages(company, sort)

    assert [len(each) for each in pages] == [5, 5, 5, 2]
    assert sorted(pk for each in pages for pk in each) == sorted(
        lead.pk for lead in leads
    )
    last = page(company, sort, after=str(pages[2][-1]))
    back = page(company, sort, before=str(last.previous))
    assert [lead.pk for lead in back.rows] == pages[2]
    first = page(company, sort, before=str(pages[1][0]))
    assert [lead.pk for lead in first.rows] == pages[0]
    assert first.previous is None


def test_the_orders_are_those_of_the_columns(company, leads, sales, admin):
    def shown(sort):
        return [
            Lead.objects.get(pk=pk) for each in all_pages(company, sort) for pk in each
        ]

    positions = [lead.status.position for lead in shown("status")]
    owners = [str(lead.owner or "") for lead in shown("-owner")]
    names = [(lead.last_name, lead.first_name) for lead in shown("-name")]

    assert positions == sorted(positions)
    assert owners == sorted(owners, reverse=True)
    assert names == sorted(names, reverse=True)


def test_a_row_that_is_added_meanwhile_moves_no_other(company, leads):
    before = all_pages(company, "-created")
    first = page(company, "-created")

    make_lead(company, first_name="New")

    assert [
        lead.pk for lead in page(company, "-created", after=str(first.next)).rows
    ] == before[1]


def test_a_row_that_has_left_the_list_still_marks_its_place_and_one_that_is_gone_leads_to_the_beginning(
    company, other_company, leads
):
    pages = all_pages(company, "name")
    marker = Lead.objects.get(pk=pages[0][-1])
    rows = Lead.objects.for_company(company).exclude(pk=marker.pk)
    known = Lead.objects.for_company(company)

    after = page_of(
        rows, LEADS.order("name", company), size=5, known=known, after=str(marker.pk)
    )
    foreign = page(company, "name", after=str(make_lead(other_company).pk))
    nonsense = [
        page(company, "name", after=text) for text in ("x", "9" * 30, "-1", "0", "²")
    ]

    assert [lead.pk for lead in after.rows] == pages[1]
    assert [[lead.pk for lead in each.rows] for each in [foreign, *nonsense]] == [
        pages[0]
    ] * 6


def test_where_nothing_is_left_the_first_page_is_shown(company, leads):
    pages = all_pages(company, "name")
    Lead.objects.filter(pk__in=pages[3][1:]).delete()
    Lead.objects.filter(pk__in=pages[0][:4]).delete()

    after_the_last = page(company, "name", after=str(pages[3][0]))
    before_the_second = page(company, "name", before=str(pages[0][4]))

    first = [pages[0][4], *pages[1][:4]]
    assert [
        [lead.pk for lead in each.rows] for each in (after_the_last, before_the_second)
    ] == [first] * 2


def test_rows_are_counted_up_to_a_bound(company, leads, monkeypatch):
    assert (page(company, "").count, page(company, "").is_counted) == (17, True)

    monkeypatch.setattr(keyset, "COUNTED_UP_TO", 10)

    assert (page(company, "").counted_up_to, page(company, "").is_counted) == (
        10,
        False,
    )


@pytest.mark.parametrize("sort", SORTS)
def test_the_whole_list_has_the_order_of_its_pages(company, leads, sort):
    whole = LEADS.order(sort, company).whole(Lead.objects.for_company(company))

    assert list(keys_of(whole)) == [
        pk for each in all_pages(company, sort) for pk in each
    ]


@pytest.mark.parametrize("sort", ["status", "-status", "owner", "-owner"])
def test_a_row_that_changes_its_place_while_all_are_read_is_read_once(
    company, leads, sort
):
    order = LEADS.order(sort, company)
    keys = keys_of(order.whole(Lead.objects.for_company(company)))
    first = next(keys)
    group = order.parts()[-1][0]

    Lead.objects.filter(pk=first).update(**_values(group))

    assert first not in list(keys)


def _values(condition):
    return {
        name.removesuffix("__isnull"): None if name.endswith("__isnull") else value
        for name, value in condition.items()
    }
