"""Leads with deals, drawn by Hypothesis, for tests that compare what a query finds with what Python finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from crm.models import (
    Company,
    Deal,
    Lead,
    LeadMeaning,
    LeadStatus,
    Membership,
    Stage,
    StageMeaning,
    Tag,
)
from crm.models.tag import add_links
from tests.conftest import make_lead

ZONE = ZoneInfo("Europe/Amsterdam")  # whose clocks change twice in these days
FIRST, LAST = date(2026, 3, 27), date(2026, 10, 28)
SOURCES = ("Web", "web", "null", "Trade fair", "a&b=c", "“Met”")
TYPES = ("inbound", "outbound", "partner")
NAMES = ("Zoë", "Müller", "O'Brien", "100%", "a_b", "Jo", "ΣΊΣΥΦΟΣ", "")
PHONES = ("", "+31 (20) 555-01 42", "0031 20 5550142", "n/a")
ADDRESSES = (
    "",
    "zoe@example.com",
    "Mueller@Example.com",
    "zoe@Gmial.com",
    "Info@example.com",
)


@dataclass(frozen=True)
class Known:
    """The values that leads can have and be filtered by."""

    statuses: list[int]
    owners: list[int | None]
    tags: list[int]
    qualified: set[int]  # those of the statuses that mean it


def moments() -> st.SearchStrategy[datetime]:
    """Moments around the start of a day, where filters begin or end."""
    days = st.dates(FIRST, LAST)
    seconds = st.sampled_from((-1, 0, 3 * 3600))
    starts = days.map(
        lambda day: datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC)
    )
    return st.builds(
        lambda start, second: start + timedelta(seconds=second), starts, seconds
    )


def deals() -> st.SearchStrategy[tuple[str, str | None, str]]:
    """The meaning of a deal's stage, its amount and its currency."""
    amounts, currencies = (
        st.sampled_from((None, "0.50", "100.00")),
        st.sampled_from(("EUR", "CHF")),
    )
    return st.tuples(st.sampled_from(StageMeaning.values), amounts, currencies)


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
            "deals": st.lists(deals(), max_size=2),
            "owner_id": st.sampled_from(known.owners),
            "share_with_ad_platforms": st.booleans(),
            "tags": st.sets(st.sampled_from(known.tags)),
            "created_at": moments(),
            "updated_at": moments(),
        }
    )


def reached(lead: Mapping[str, Any], known: Known) -> set[str]:
    """The steps of the funnel that the lead has reached."""
    is_qualified = bool(known.qualified & {lead["first_status_id"], lead["status_id"]})
    meanings = [meaning for meaning, _, _ in lead["deals"]]
    steps = {
        "qualified": is_qualified or bool(meanings),
        "deal": bool(meanings),
        "won": "won" in meanings,
    }
    return {name for name, is_there in steps.items() if is_there}


def known_of(company: Company, *owners: Membership) -> Known:
    """The values that the company's leads can have. Gives the company tags, a time zone, and a lead of each source."""
    company.time_zone = str(ZONE)
    company.save()
    tags = [
        Tag.objects.create(company=company, name=name, position=at).pk
        for at, name in enumerate(("VIP", "Fair"))
    ]
    for source in SOURCES:  # each on a lead that only a filter by source finds
        make_lead(company, source=source, first_name="Nobody")
    statuses = LeadStatus.objects.for_company(company)
    qualified = statuses.filter(meaning=LeadMeaning.QUALIFIED).values_list(
        "pk", flat=True
    )
    users = [None, *(owner.user_id for owner in owners)]
    return Known(
        list(statuses.values_list("pk", flat=True)), users, tags, set(qualified)
    )


def store(company: Company, made: Sequence[Mapping[str, Any]]) -> list[int]:
    """Write leads with these values, and return their keys."""
    columns = {field.attname for field in Lead._meta.concrete_fields}
    own = [
        {name: value for name, value in values.items() if name in columns}
        for values in made
    ]
    first = [
        {**each, "status_id": values["first_status_id"]}
        for each, values in zip(own, made, strict=True)
    ]
    rows = Lead.objects.bulk_create(Lead(company=company, **values) for values in first)
    # The insert has set these to the current time.
    for row, values in zip(rows, own, strict=True):
        row.created_at, row.updated_at, row.status_id = (
            values[name] for name in ("created_at", "updated_at", "status_id")
        )
    Lead.objects.bulk_update(rows, ["created_at", "updated_at", "status_id"])
    stages = {stage.meaning: stage for stage in Stage.objects.for_company(company)}
    Deal.objects.bulk_create(
        Deal(
            company=company,
            lead=row,
            title="Seats",
            stage=stages[meaning],
            amount=amount,
            currency=currency,
        )
        for row, values in zip(rows, made, strict=True)
        for meaning, amount, currency in values["deals"]
    )
    by_pk = Tag.objects.in_bulk()
    add_links(
        Lead,
        company.pk,
        [
            (row.pk, by_pk[pk])
            for row, each in zip(rows, made, strict=True)
            for pk in each["tags"]
        ],
    )
    return [row.pk for row in rows]
