"""The list of leads: filters, searches and saved views find in the database the rows that Python finds."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.api.filters import filtered, list_filter
from crm.lists.leads import LEADS
from crm.models import Company, FunnelStep, Lead, Membership, SavedView
from crm.models.address_problems import (
    DISPOSABLE_DOMAINS,
    ROLES,
    AddressProblem,
    meant_address,
)
from crm.search.conditions import parts_of, phone_digits
from crm.search.folding import search_text
from crm.services.saved_views import save_view
from tests.conftest import make_lead
from tests.crm.drawn_leads import SOURCES, ZONE, Known, known_of, leads, reached, store
from tests.size import sized

pytestmark = [pytest.mark.django_db, pytest.mark.sized]

ENDS = ("from", "until")
SEARCHES = (
    "",
    "",
    "",
    "zoe",
    "mul",
    "jo",
    "0%",
    "a_b",
    "example",
    "20 555",
    "σίσ",
    "3m zoë",
)


@st.composite
def questions(
    draw: st.DrawFn, known: Known
) -> tuple[list[dict[str, Any]], dict[str, str], str]:
    """Leads, some of the filters as in the URL of the list, and a search. Most filters match one of the leads."""
    made = draw(st.lists(leads(known), min_size=1, max_size=6))
    one = draw(st.sampled_from(made))
    of_one = {
        "status": one["status_id"],
        "owner": one["owner_id"] or "null",
        "source": one["source"] or SOURCES[0],
        "tag": min(one["tags"], default=known.tags[0]),
        "type": one["type"],
        "reached": draw(st.sampled_from(FunnelStep.values)),
        "has_source": bool(one["source"]),
        "has_email": bool(one["email"]),
        "address_problem": draw(st.sampled_from(AddressProblem.values)),
        "shared": one["share_with_ad_platforms"],
        **{
            f"{field}_{end}": near(draw, one[f"{field}_at"])
            for field in ("created", "updated")
            for end in ENDS
        },
    }
    other = {
        "status": draw(st.sampled_from(known.statuses)),
        "source": draw(st.sampled_from(SOURCES)),
        "shared": True,
    }
    values = draw(st.sampled_from((of_one, of_one, {**of_one, **other})))
    chosen = draw(st.sets(st.sampled_from(sorted(values)), max_size=3))
    asked = {name: str(values[name]) for name in sorted(chosen)}
    return (
        [{**lead, "reached": reached(lead, known)} for lead in made],
        asked,
        draw(st.sampled_from(SEARCHES)),
    )


def near(draw: st.DrawFn, moment: datetime) -> date:
    return moment.astimezone(ZONE).date() + timedelta(
        days=draw(st.sampled_from((0, 0, 0, -1, 1)))
    )


def is_found(lead: Mapping[str, Any], asked: Mapping[str, str], text: str) -> bool:
    """The same question, answered without a database."""
    days = {
        field: lead[f"{field}_at"].astimezone(ZONE).date().isoformat()
        for field in ("created", "updated")
    }
    answers = {
        "status": lambda value: lead["status_id"] == int(value),
        "owner": lambda value: (
            lead["owner_id"] == (None if value == "null" else int(value))
        ),
        "source": lambda value: lead["source"] == value,
        "tag": lambda value: int(value) in lead["tags"],
        "type": lambda value: lead["type"] == value,
        "reached": lambda value: value in lead["reached"],
        "has_source": lambda value: bool(lead["source"]) == (value == "True"),
        "has_email": lambda value: bool(lead["email"]) == (value == "True"),
        "address_problem": lambda value: has_problem(lead["email"], value),
        "shared": lambda value: lead["share_with_ad_platforms"] == (value == "True"),
        **{
            f"{field}_from": lambda value, field=field: days[field] >= value
            for field in days
        },
        **{
            f"{field}_until": lambda value, field=field: days[field] <= value
            for field in days
        },
    }
    return all(answers[name](value) for name, value in asked.items()) and says(
        lead, text
    )


def has_problem(address: str, problem: str) -> bool:
    local, _, domain = address.lower().rpartition("@")
    return {
        AddressProblem.TYPO: bool(meant_address(address)),
        AddressProblem.ROLE: (local or domain) in ROLES,
        AddressProblem.DISPOSABLE: domain in DISPOSABLE_DOMAINS,
    }[AddressProblem(problem)]


def says(lead: Mapping[str, Any], text: str) -> bool:
    said = search_text(
        *(lead[name] for name in ("first_name", "last_name", "email", "organisation")),
        "",
        lead["phone"],
    )
    digits = phone_digits(text)
    return all(part in said for part in parts_of(text)) or bool(
        digits and digits in said
    )


@pytest.fixture
def known(company: Company, sales: Membership, admin: Membership) -> Known:
    return known_of(company, sales, admin)


@pytest.mark.timeout(600)
def test_filters_searches_and_views_find_what_python_finds(
    company: Company, other_company: Company, sales: Membership, known: Known
) -> None:
    make_lead(other_company, first_name="Zoë", source="Web")
    others = list(Lead.objects.for_company(company).values_list("pk", flat=True))

    @settings(max_examples=sized(150, small=30), database=None)
    @given(questions(known))
    def agree(question: tuple[list[dict[str, Any]], dict[str, str], str]) -> None:
        made, asked, text = question
        own = Lead.objects.for_company(company).exclude(pk__in=others)
        own.delete()
        SavedView.objects.all().delete()
        pks = store(company, made)
        save_view(
            view=SavedView(
                company=company, owner=sales.user, name="View", query=urlencode(asked)
            )
        )

        found = filtered(list_filter(LEADS, sales, {**asked, "search": text}, own))
        by_view = filtered(
            list_filter(LEADS, sales, SavedView.objects.get().filters, own)
        )

        expected = [
            pk
            for pk, lead in zip(pks, made, strict=True)
            if is_found(lead, asked, text)
        ]
        assert sorted(found.values_list("pk", flat=True)) == expected
        of_view = [
            pk for pk, lead in zip(pks, made, strict=True) if is_found(lead, asked, "")
        ]
        assert sorted(by_view.values_list("pk", flat=True)) == of_view

    agree()
