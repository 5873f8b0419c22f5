"""Organisations as leads name them: the list, its pages, one of them, and what is found as you type."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from crm.models import Lead, Stage, organisation_figures
from crm.selectors import organisations
from crm.selectors.organisations import names_like, organisation_of, organisations_page
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


def named(company, *names):
    return [make_lead(company, organisation=name, email="") for name in names]


def shown(page):
    return [(each.name, each.lead_count) for each in page.rows]


def place(name):
    return str(Lead.objects.filter(organisation=name).earliest("pk").pk)


def all_pages(company, text="", **position):
    found = []
    while True:
        page = organisations_page(company, text, size=2, **position)
        found.append([each.name for each in page.rows])
        if not page.next:
            return found
        position = {"after": str(page.next)}


def test_each_name_is_an_organisation_whatever_its_case_and_called_as_its_first_lead_has_it(
    company, other_company
):
    named(company, "Acme", "ACME ", "acme", "Bach & Co", "", "   ")
    named(other_company, "Acme", "Theirs")

    assert shown(organisations_page(company)) == [("Acme", 3), ("Bach & Co", 1)]


def test_merged_and_erased_leads_do_not_count(company, admin):
    kept, gone, erased, alone = named(company, "Acme", "Acme", "Acme", "Alone")
    merge_leads(kept=kept, gone=gone)
    erase_lead(lead=erased, user=admin.user)
    erase_lead(lead=alone, user=admin.user)

    assert shown(organisations_page(company)) == [("Acme", 1)]
    assert organisation_of(company, "Alone") is None


def test_it_counts_open_deals_by_currency_and_knows_the_last_activity(company):
    first, second = named(company, "Acme", "ACME")
    make_deal(first, amount="1000")
    make_deal(second, amount="250.50")
    make_deal(second, amount="7", currency="CHF")
    make_deal(second, amount=None)
    make_deal(
        second, amount="99", stage=Stage.objects.get(company=company, meaning="won")
    )
    make_deal(*named(company, "Other"), amount="5")
    moment = timezone.now() - timedelta(days=3)
    Lead.objects.filter(pk=first.pk).update(updated_at=moment)
    Lead.objects.filter(pk=second.pk).update(updated_at=moment - timedelta(days=1))

    found = organisation_of(company, "acme")

    assert (found.key, found.name, found.deal_count) == ("acme", "Acme", 4)
    assert found.sums == [("CHF", Decimal(7)), ("EUR", Decimal("1250.50"))]
    assert found.last_activity_at == moment


def test_pages_have_each_organisation_once_by_name_and_lead_back_again(company):
    named(company, "Zürich Re", "Azur", "Ärzte", "bach", "Bach", "Aachen", "李")

    pages = all_pages(company)

    assert pages == [["Aachen", "Azur"], ["Ärzte", "bach"], ["Zürich Re", "李"]]
    last = organisations_page(company, size=2, after=place("Bach"))
    assert (str(last.previous), last.next) == (place("Zürich Re"), None)
    back = organisations_page(company, size=2, before=str(last.previous))
    assert [each.name for each in back.rows] == pages[1]
    first = organisations_page(company, size=2, before=str(back.previous))
    assert ([each.name for each in first.rows], first.previous) == (pages[0], None)


def test_a_page_that_has_nothing_left_is_the_first_one(company):
    named(company, "Acme", "Bach", "Cello")

    beyond = organisations_page(company, size=2, after=place("Cello"))
    before = organisations_page(company, size=2, before=place("Bach"))

    assert (
        [each.name for each in beyond.rows]
        == [each.name for each in before.rows]
        == ["Acme", "Bach"]
    )


def test_a_place_that_is_none_of_the_company_is_the_first_page(company, other_company):
    named(company, "Acme", "Bach", "")
    named(other_company, "Acme")

    for each in ("x", "", "0", "9" * 30, "\0", "²", place("")):
        assert [row.name for row in organisations_page(company, after=each).rows] == [
            "Acme",
            "Bach",
        ], each
    theirs = str(Lead.objects.get(company=other_company).pk)
    assert [row.name for row in organisations_page(company, before=theirs).rows] == [
        "Acme",
        "Bach",
    ]


def test_a_place_is_where_its_lead_has_gone_since(company):
    lead, *_ = named(company, "Acme", "Bach", "Cello")
    Lead.objects.filter(pk=lead.pk).update(organisation="Bach")

    assert [
        row.name for row in organisations_page(company, after=str(lead.pk)).rows
    ] == ["Cello"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("acme", [["Acme GmbH", "Robotics of Ácme"]]), ("gmbh", [["Acme GmbH", "Bär GmbH"]]), ("bar", [["Bär GmbH"]]),
        ("gmbh ac", [["Acme GmbH"]]), ("me", [[]]), ("%", [[]]), ("\u0301", [[]]), ("ada", [[]]),
    ],
)  # fmt: skip
def test_a_search_finds_words_of_the_organisation_and_of_nothing_else(
    company, text, found
):
    named(company, "Bär GmbH", "Acme GmbH", "Robotics of Ácme")

    assert all_pages(company, text) == found


def test_a_search_has_pages_too(company):
    named(company, *(f"Acme {letter}" for letter in "EDCBA"), "Other")

    assert all_pages(company, "acme") == [
        ["Acme A", "Acme B"],
        ["Acme C", "Acme D"],
        ["Acme E"],
    ]
    page = organisations_page(company, "acme", size=2, before=place("Acme C"))
    assert [each.name for each in page.rows] == ["Acme A", "Acme B"]


def test_a_search_for_what_too_many_have_finds_beginnings_and_says_that_it_is_cut(
    company, monkeypatch
):
    monkeypatch.setattr(organisations, "SEARCHED_AT_MOST", 2)
    for name in ("Zoo", "Yak", "Xylo", "Com B", "Com A", "Bar", "Com C"):
        make_lead(company, organisation=name)  # with an address in .com

    assert all_pages(company, "com") == [["Com A", "Com B"], ["Com C"]]
    back = organisations_page(company, "com", size=2, before=place("Com C"))
    assert [each.name for each in back.rows] == ["Com A", "Com B"]
    assert back.is_cut
    assert str(
        organisations_page(company, "com", size=2, before=place("Zoo")).previous
    ) == place("Com B")
    assert not organisations_page(company, "zoo").is_cut
    assert not organisations_page(company).is_cut


def test_the_last_characters_of_all_are_in_the_list_too(company):
    named(company, "\U0010ffff\U0010ffff", "\U0010ffffA", "A")

    assert all_pages(company) == [["A", "\U0010ffffA"], ["\U0010ffff\U0010ffff"]]


def test_what_one_types_finds_beginnings_first_and_then_words(company, other_company):
    named(company, "The Acme", "Acme Ltd", "ACME LTD", "Acm", "Zoo")
    named(other_company, "Acme Theirs")

    assert [name for _, name in names_like(company, "ac")] == [
        "Acm",
        "Acme Ltd",
        "The Acme",
    ]
    assert names_like(company, " ACME  l") == [("acme ltd", "Acme Ltd")]
    assert [name for _, name in names_like(company, "acm", 2)] == ["Acm", "Acme Ltd"]
    assert names_like(company, "acm ") == names_like(company, "acm")
    assert [names_like(company, text) for text in ("", "  ", "qq", "%", "_")] == [
        []
    ] * 5


def test_ten_at_most_are_suggested(company):
    named(company, *(f"Acme {number:02}" for number in range(14)))

    assert [name for _, name in names_like(company, "a")] == [
        f"Acme {number:02}" for number in range(10)
    ]


def test_the_leads_of_a_large_organisation_are_not_counted_to_the_end(
    company, monkeypatch
):
    monkeypatch.setattr(organisation_figures, "COUNTED_UP_TO", 3)
    named(company, *["Large"] * 5, *["Small"] * 3)

    large, small = organisations_page(company).rows

    assert (large.counted_up_to, large.is_counted) == (3, False)
    assert (small.counted_up_to, small.is_counted) == (3, True)


def test_the_open_deals_of_a_large_organisation_are_those_of_its_newest_leads(
    company, monkeypatch
):
    monkeypatch.setattr(organisation_figures, "COUNTED_UP_TO", 3)
    for lead in named(company, *["Large"] * 5, *["Small"] * 3):
        make_deal(lead, amount="0.1")

    large, small = organisations_page(company).rows

    assert (large.deal_count, large.sums) == (3, [("EUR", Decimal("0.3"))])
    assert (small.deal_count, small.sums) == (3, [("EUR", Decimal("0.3"))])
    assert organisation_of(company, "large", has_deals=False).deal_count == 0


def test_a_page_takes_five_queries_however_many_there_are(
    company, django_assert_num_queries
):
    for lead in named(company, *(f"Acme {number}" for number in range(12))):
        make_deal(lead)

    # The keys, their figures, when something happened last, their deals, their details.
    with django_assert_num_queries(5):
        assert len(organisations_page(company).rows) == 12
