"""The list of leads: filters, searches and saved views find in the database the rows that Python finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.api.list_filters import filtered, list_filter
from crm.models import (
    Company,
    Deal,
    FunnelStep,
    Lead,
    LeadMeaning,
    LeadStatus,
    Membership,
    SavedView,
    Stage,
    StageMeaning,
    Tag,
)
from crm.models.search import parts_of, phone_digits, search_text
from crm.models.tag import add_links
from crm.services.saved_views import save_view
from tests.conftest import make_lead
from tests.size import sized

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite, pytest.mark.sized]

ZONE = ZoneInfo("Europe/Amsterdam")  # whose clocks change twice in these days
FIRST, LAST = date(2026, 3, 27), date(2026, 10, 28)
SOURCES = ("Web", "web", "Trade fair", "a&b=c", "“Met”")
TYPES = ("inbound", "outbound", "partner")
NAMES = ("Zoë", "Müller", "O'Brien", "100%", "a_b", "Jo", "ΣΊΣΥΦΟΣ", "")
PHONES = ("", "+31 (20) 555-01 42", "0031 20 5550142", "n/a")
ENDS = ("from", "until")
SEARCHES = ("", "", "", "zoe", "mul", "jo", "0%", "a_b", "example", "20 555", "σίσ", "3m zoë")
ADDRESSES = ("", "zoe@example.com", "Mueller@Example.com")


@dataclass(frozen=True)
class Known:
    """What leads can have, and be filtered by."""

    statuses: list[int]
    owners: list[int | None]
    tags: list[int]
    qualified: set[int]  # of the statuses


def moments() -> st.SearchStrategy[datetime]:
    """Moments around the beginnings of days, where a filter decides."""
    days = st.dates(FIRST, LAST)
    seconds = st.sampled_from((-1, 0, 3 * 3600))
    starts = days.map(lambda day: datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC))
    return st.builds(lambda start, second: start + timedelta(seconds=second), starts, seconds)


def leads(known: Known) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "first_name": st.sampled_from(NAMES),
            "last_name": st.sampled_from(NAMES),
            "email": st.sampled_from(ADDRESSES),
            "phone": st.sampled_from(PHONES),
            "organisation": st.sampled_from(("", "Müller & Söhne AG", "3M")),
            "source": st.sampled_from(("", *SOURCES)),
            "type": st.sampled_from(TYPES),
            "status_id": st.sampled_from(known.statuses),
            "first_status_id": st.sampled_from(known.statuses),
            "deals": st.lists(st.sampled_from(StageMeaning.values), max_size=2),
            "owner_id": st.sampled_from(known.owners),
            "share_with_ad_platforms": st.booleans(),
            "tags": st.sets(st.sampled_from(known.tags)),
            "created_at": moments(),
            "updated_at": moments(),
        }
    )


@st.composite
def questions(draw: st.DrawFn, known: Known) -> tuple[list[dict[str, Any]], dict[str, str], str]:
    """Leads, some of the filters as they stand in the address of the list, and a search. Most ask for one of them."""
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
        "shared": one["share_with_ad_platforms"],
        **{f"{field}_{end}": near(draw, one[f"{field}_at"]) for field in ("created", "updated") for end in ENDS},
    }
    other = {"status": draw(st.sampled_from(known.statuses)), "source": draw(st.sampled_from(SOURCES)), "shared": True}
    values = draw(st.sampled_from((of_one, of_one, {**of_one, **other})))
    chosen = draw(st.sets(st.sampled_from(sorted(values)), max_size=3))
    asked = {name: str(values[name]) for name in sorted(chosen)}
    return [{**lead, "reached": reached(lead, known)} for lead in made], asked, draw(st.sampled_from(SEARCHES))


def reached(lead: Mapping[str, Any], known: Known) -> set[str]:
    """The steps of the funnel that it has come to."""
    is_qualified = bool(known.qualified & {lead["first_status_id"], lead["status_id"]})
    steps = {"qualified": is_qualified or bool(lead["deals"]), "deal": bool(lead["deals"])}
    return {name for name, is_there in {**steps, "won": "won" in lead["deals"]}.items() if is_there}


def near(draw: st.DrawFn, moment: datetime) -> date:
    return moment.astimezone(ZONE).date() + timedelta(days=draw(st.sampled_from((0, 0, 0, -1, 1))))


def is_found(lead: Mapping[str, Any], asked: Mapping[str, str], text: str) -> bool:
    """The same question, answered without a database."""
    days = {field: lead[f"{field}_at"].astimezone(ZONE).date().isoformat() for field in ("created", "updated")}
    answers = {
        "status": lambda value: lead["status_id"] == int(value),
        "owner": lambda value: lead["owner_id"] == (None if value == "null" else int(value)),
        "source": lambda value: lead["source"] == value,
        "tag": lambda value: int(value) in lead["tags"],
        "type": lambda value: lead["type"] == value,
        "reached": lambda value: value in lead["reached"],
        "has_source": lambda value: bool(lead["source"]) == (value == "True"),
        "has_email": lambda value: bool(lead["email"]) == (value == "True"),
        "shared": lambda value: lead["share_with_ad_platforms"] == (value == "True"),
        **{f"{field}_from": lambda value, field=field: days[field] >= value for field in days},
        **{f"{field}_until": lambda value, field=field: days[field] <= value for field in days},
    }
    return all(answers[name](value) for name, value in asked.items()) and says(lead, text)


def says(lead: Mapping[str, Any], text: str) -> bool:
    said = search_text(
        *(lead[name] for name in ("first_name", "last_name", "email", "organisation")), "", lead["phone"]
    )
    digits = phone_digits(text)
    return all(part in said for part in parts_of(text)) or bool(digits and digits in said)


@pytest.fixture
def known(company: Company, sales: Membership, admin: Membership) -> Known:
    company.time_zone = str(ZONE)
    company.save()
    tags = [Tag.objects.create(company=company, name=name, position=at).pk for at, name in enumerate(("VIP", "Fair"))]
    for source in SOURCES:  # of a lead that no filter finds by anything else
        make_lead(company, source=source, first_name="Nobody")
    statuses = LeadStatus.objects.for_company(company)
    qualified = statuses.filter(meaning=LeadMeaning.QUALIFIED).values_list("pk", flat=True)
    owners = [None, sales.user_id, admin.user_id]
    return Known(list(statuses.values_list("pk", flat=True)), owners, tags, set(qualified))


def test_filters_searches_and_views_find_what_python_finds(
    company: Company, other_company: Company, sales: Membership, known: Known
) -> None:
    make_lead(other_company, first_name="Zoë", source="Web")
    others = list(Lead.objects.for_company(company).values_list("pk", flat=True))

    @settings(max_examples=sized(300, small=30), deadline=None, database=None)
    @given(questions(known))
    def agree(question: tuple[list[dict[str, Any]], dict[str, str], str]) -> None:
        made, asked, text = question
        own = Lead.objects.for_company(company).exclude(pk__in=others)
        own.delete()
        SavedView.objects.all().delete()
        pks = store(company, made)
        save_view(view=SavedView(company=company, owner=sales.user, name="View", query=urlencode(asked)))

        found = filtered(sales, list_filter(sales, {**asked, "search": text}, own))
        by_view = filtered(sales, list_filter(sales, SavedView.objects.get().filters, own))

        expected = [pk for pk, lead in zip(pks, made, strict=True) if is_found(lead, asked, text)]
        assert sorted(found.values_list("pk", flat=True)) == expected
        of_view = [pk for pk, lead in zip(pks, made, strict=True) if is_found(lead, asked, "")]
        assert sorted(by_view.values_list("pk", flat=True)) == of_view

    agree()


def store(company: Company, made: Sequence[Mapping[str, Any]]) -> list[int]:
    """Write leads with these values, and return their keys."""
    columns = {field.attname for field in Lead._meta.concrete_fields}
    own = [{name: value for name, value in values.items() if name in columns} for values in made]
    first = [{**each, "status_id": values["first_status_id"]} for each, values in zip(own, made, strict=True)]
    rows = Lead.objects.bulk_create(Lead(company=company, **values) for values in first)
    for row, values in zip(rows, own, strict=True):  # the rows have been given the time of now
        row.created_at, row.updated_at, row.status_id = (
            values[name] for name in ("created_at", "updated_at", "status_id")
        )
    Lead.objects.bulk_update(rows, ["created_at", "updated_at", "status_id"])
    stages = {stage.meaning: stage for stage in Stage.objects.for_company(company)}
    Deal.objects.bulk_create(
        Deal(company=company, lead=row, title="Seats", stage=stages[meaning])
        for row, values in zip(rows, made, strict=True)
        for meaning in values["deals"]
    )
    by_pk = Tag.objects.in_bulk()
    add_links(
        Lead, company.pk, [(row.pk, by_pk[pk]) for row, each in zip(rows, made, strict=True) for pk in each["tags"]]
    )
    return [row.pk for row in rows]
