"""The funnel: each of its numbers is true, and is the number of leads behind its link."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from django.db import connection
from django.db.models import Sum
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.api.filters import filtered, list_filter
from crm.forms.funnels import FunnelFilter
from crm.lists.deals import DEALS
from crm.lists.leads import LEADS
from crm.models import Company, Deal, FunnelStep, Lead, LeadStatus, Membership, Stage
from crm.models.lead import PERSONAL
from crm.selectors import funnels
from crm.selectors.funnels import CREATED, Funnel, SumOfDeals, funnel_of
from crm.services.lead_merges import merge_leads
from tests.conftest import make_deal, make_lead
from tests.crm.drawn_leads import (
    FIRST,
    LAST,
    SOURCES,
    ZONE,
    Known,
    known_of,
    leads,
    reached,
    store,
)
from tests.size import sized

pytestmark = pytest.mark.django_db


def as_request(membership: Membership) -> SimpleNamespace:
    return SimpleNamespace(membership=membership)


def funnel(membership: Membership, query: str = "") -> Funnel:
    own = Lead.objects.for_company(membership.company).current()
    asked = FunnelFilter(QueryDict(query), queryset=own, request=as_request(membership))
    return funnel_of(membership.company, asked.qs, asked.asked)


def figures(group: funnels.FunnelGroup) -> list[int]:
    return [step.count for step in group.steps]


def counts(groups: Sequence[funnels.FunnelGroup]) -> dict[str, list[int]]:
    return {group.label: figures(group) for group in groups}


@st.composite
def questions(
    draw: st.DrawFn, known: Known
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Leads, and the parameters of a request for their funnel."""
    made = draw(st.lists(leads(known), min_size=1, max_size=6))
    asked = {
        "since": draw(st.dates(FIRST, LAST)),
        "until": draw(st.dates(FIRST, LAST)),
        "source": draw(st.sampled_from(SOURCES)),
        "owner": draw(st.sampled_from(known.owners)) or "null",
    }
    chosen = draw(st.sets(st.sampled_from(("until", "source", "owner"))))
    return made, {name: str(asked[name]) for name in ("since", *sorted(chosen))}


def is_in(lead: dict[str, Any], asked: dict[str, str]) -> bool:
    day = lead["created_at"].astimezone(ZONE).date().isoformat()
    return (
        asked["since"] <= day <= asked.get("until", "9999")
        and asked.get("source", lead["source"]) == lead["source"]
        and asked.get("owner", str(lead["owner_id"] or "null"))
        == str(lead["owner_id"] or "null")
    )


def sums(inside: Sequence[dict[str, Any]]) -> dict[tuple[str, str], Decimal]:
    """The amounts of the deals of these leads, and those of the won ones, by currency."""
    found: Counter[tuple[str, str]] = Counter()
    for meaning, amount, currency in (
        deal for lead in inside for deal in lead["deals"]
    ):
        for step in (FunnelStep.DEAL, *([FunnelStep.WON] if meaning == "won" else [])):
            found[step, currency] += Decimal(amount or 0)  # type: ignore[assignment]
    return {key: amount for key, amount in found.items() if amount}  # type: ignore[misc]


@pytest.mark.sized
@pytest.mark.timeout(600)
def test_each_number_is_true_and_that_of_the_leads_behind_its_link(
    company: Company, sales: Membership, admin: Membership
) -> None:
    known = known_of(company, sales, admin)
    others = list(Lead.objects.for_company(company).values_list("pk", flat=True))
    Lead.objects.filter(pk__in=others).update(
        created_at=datetime(2020, 1, 1, tzinfo=ZONE)
    )

    deals, request = Deal.objects.for_company(company), as_request(sales)

    @settings(max_examples=sized(100, small=8), database=None)
    @given(questions(known))
    def agree(question: tuple[list[dict[str, Any]], dict[str, str]]) -> None:
        made, asked = question
        Lead.objects.for_company(company).exclude(pk__in=others).delete()
        store(company, made)

        with timezone.override(ZONE):
            found = funnel(sales, urlencode(asked))

        inside = [lead for lead in made if is_in(lead, asked)]
        steps = [
            sum(step in reached(lead, known) for lead in inside) for step in FunnelStep
        ]
        assert figures(found.total) == [len(inside), *steps]
        assert {
            key: amount for key, amount in found.total.sums.items() if amount
        } == sums(inside)
        for groups, name in ((found.sources, "source"), (found.owners, "owner_id")):
            expected = Counter(lead[name] for lead in inside).values()
            assert sorted(group.leads[CREATED] for group in groups) == sorted(expected)
        for group in (found.total, *found.sources, *found.owners):
            for each in group.steps:
                for found_sum in each.sums:
                    behind_sum = DEALS.filtered(
                        dict(parse_qsl(found_sum.query)), request=request, rows=deals
                    )
                    with timezone.override(ZONE):
                        assert (
                            behind_sum.qs.aggregate(Sum("amount"))["amount__sum"]
                            == found_sum.amount
                        )
                    assert behind_sum.is_valid()
                behind = list_filter(LEADS, sales, dict(parse_qsl(each.query)))
                assert (filtered(behind).count(), behind.broken) == (each.count, {}), (
                    group.label,
                    each.label,
                )

    agree()


def test_what_was_erased_or_merged_is_not_in_it(company, other_company, sales):
    kept, gone, erased = (make_lead(company) for _ in range(3))
    make_lead(other_company)
    for lead in (gone, erased):
        make_deal(lead)
    merge_leads(kept=kept, gone=gone)
    Lead.objects.filter(pk=erased.pk).update(
        erased_at=timezone.now(),
        share_with_ad_platforms=False,
        **dict.fromkeys(PERSONAL, ""),
    )

    found = funnel(sales).total
    assert figures(found) == [1, 1, 1, 0]
    (of_kept,) = found.steps[2].sums
    behind = DEALS.filtered(dict(parse_qsl(of_kept.query)), request=as_request(sales))
    assert [deal.lead for deal in behind.qs] == [kept]


def test_amounts_in_other_currencies_stand_apart(company, sales):
    lead = make_lead(company, source="Fair")
    make_deal(lead, amount="100")
    make_deal(lead, amount="40", currency="CHF")
    make_deal(lead, amount="7", stage=Stage.objects.usual_of(company).get(name="Won"))

    _, _, deal, won = funnel(sales).total.steps

    assert [(each.currency, each.amount) for each in deal.sums] == [
        ("EUR", 107),
        ("CHF", 40),
    ]
    assert [(each.currency, each.amount) for each in won.sums] == [("EUR", 7)]


def test_each_step_has_its_share_of_the_one_before(company, sales):
    qualified = LeadStatus.objects.for_company(company).get(name="Qualified")
    for at in range(8):
        lead = make_lead(company, **({"status": qualified} if at < 4 else {}))
        if at < 1:
            make_deal(lead)

    found = funnel(sales)

    assert [step.percent for step in found.total.steps] == [None, 50, 25, 0]
    assert found.total.won_percent == 0


def test_the_sources_with_most_leads_come_first_and_the_rest_together(
    company, sales, monkeypatch
):
    monkeypatch.setattr(funnels, "GROUPS_AT_MOST", 2)
    for source in ("Web", "Fair", "Fair", "Fair", "", "", "Post"):
        make_deal(make_lead(company, source=source))

    found = funnel(sales).sources

    assert counts(found) == {
        "Fair": [3, 3, 3, 0],
        "No source": [2, 2, 2, 0],
        "2 more": [2, 2, 2, 0],
    }
    assert found[-1].steps[1].query == ""
    assert found[-1].steps[2].sums == [SumOfDeals("EUR", Decimal(2500), "")]


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("", "2026-02-01", "2026-02-28"),
        ("this_month", "2026-02-01", "2026-02-28"),
        ("last_month", "2026-01-01", "2026-01-31"),
        ("this_quarter", "2026-01-01", "2026-03-31"),
        ("last_quarter", "2025-10-01", "2025-12-31"),
        ("this_year", "2026-01-01", "2026-12-31"),
        ("last_12_months", "2025-03-01", "2026-02-28"),
        ("nonsense", "2026-02-01", "2026-02-28"),
    ],
)
def test_a_period_is_of_whole_months(company, sales, monkeypatch, period, first, last):
    monkeypatch.setattr(timezone, "localdate", lambda: date(2026, 2, 14))

    asked = funnel(sales, f"period={period}").total.filters

    assert asked == {"created_from": first, "created_until": last}


def test_dates_take_precedence_over_a_period(company, sales):
    asked = funnel(sales, "period=last_month&since=2026-01-05").total.filters

    assert asked == {"created_from": "2026-01-05"}


def test_it_takes_as_many_queries_for_much_as_for_little(
    company, sales, admin, client_as
):
    client, taken = client_as(sales), []
    for count in (1, 9):
        for at in range(count):
            lead = make_lead(
                company, source=f"Fair {at}", owner=(sales if at % 2 else admin).user
            )
            make_deal(lead, currency=("EUR", "CHF")[at % 2])
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/deals/funnel/").status_code == 200
        taken.append(len(queries))

    assert taken[0] == taken[1] <= 20, taken
