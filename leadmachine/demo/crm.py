"""Leads and deals as a sales team would have left them after three months.

They are saved in the usual way, which creates their CRM events. Then everything is moved back in time.
"""

import random
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from decimal import Decimal
from itertools import cycle, islice
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from crm.models import (
    Company,
    CrmEvent,
    CrmEventKind,
    Deal,
    DealPerson,
    Lead,
    LeadMeaning,
    LeadStatus,
    LostReason,
    OrganisationDetails,
    OrganisationSize,
    Pipeline,
    SavedView,
    Stage,
    StageMeaning,
    Task,
    TaskKind,
    User,
)
from crm.models.company import DEFAULT_TYPES
from crm.models.organisation import organisation_key
from crm.models.roles import Role
from crm.models.tracking.origin import acting_as
from crm.selectors.organisations import organisation_of
from leadmachine.demo import people

DAYS = 94  # a little more than LinkedIn accepts, so that some events have expired
STATUSES = ("New",) * 8 + ("Contacted",) * 6 + ("Qualified",) * 8 + ("Unqualified",) * 2
# The share of deals and leads without a task: My day shows deals without a next task.
TASK_FREE = 0.3
UNTOUCHED = timedelta(days=5)
DUE_IN_DAYS = (-3, -1, 0, 0, 2, 3, 5, 7, 9, 12, 16, 21)
CLOSE_IN_DAYS = (45, 60, 90, 150, 240)  # after the deal was added
STAGES = ("Discovery", "Proposal", "Negotiation", "Won", "Won", "Lost")


def fill(
    company: Company, now: datetime, dice: random.Random, *, leads: int, deals: int
) -> None:
    """Create this many leads and deals for the company, which must not have any rules yet."""
    seller = people.member(company, Role.SALES)
    renewals = _renewals(company)
    reasons = _lost_reasons(company)
    with acting_as(seller):
        created = _leads(company, seller, dice, leads)
        # Only leads that may be sent to LinkedIn, so that any deal moved on the board is sent at once.
        qualified = [
            lead
            for lead in created
            if lead.status.name == "Qualified" and _may_be_sent(lead)
        ]
        stages = {stage.name: stage for stage in Stage.objects.usual_of(company)}
        made = [_deal(lead, stages, dice) for lead in islice(cycle(qualified), deals)]
        for at, deal in enumerate(made):
            if deal.stage.meaning == StageMeaning.LOST:
                deal.lost_reason = reasons[at % len(reasons)]
            elif deal.title == "Annual renewal" and deal.stage.is_open:
                deal.stage = renewals[at % 2]
        Deal.objects.bulk_create(made)
        # The oldest may be too old to be sent, which depends on the weekday.
        middle = len(qualified) // 2
        _qualify_again(qualified[middle : middle + 2])
    _move_back(company, now, dice)


def _renewals(company: Company) -> list[Stage]:
    """The stages of a second pipeline."""
    pipeline = Pipeline.objects.create(company=company, name="Renewals")
    return Stage.objects.bulk_create(
        Stage(
            company=company,
            pipeline=pipeline,
            name=name,
            meaning=meaning,
            chance=chance,
            position=at,
        )
        for at, (name, meaning, chance) in enumerate(people.RENEWALS, start=1)
    )


def _lost_reasons(company: Company) -> list[LostReason]:
    return LostReason.objects.bulk_create(
        LostReason(company=company, name=name, position=at)
        for at, name in enumerate(people.LOST_REASONS, start=1)
    )


def _leads(
    company: Company, owner: User, dice: random.Random, count: int
) -> list[Lead]:
    statuses = {
        status.name: status for status in LeadStatus.objects.for_company(company)
    }
    leads = [
        _lead(company, owner, person, statuses, dice)
        for person in people.demo_people(count, dice)
    ]
    for lead in leads[::20]:
        lead.email = ""
    for lead in leads[7::25]:
        lead.share_with_ad_platforms = False
    for lead, twin in zip(leads[13::40], leads[14::40], strict=False):
        _make_alike(lead, twin)
    return Lead.objects.bulk_create(leads)


def _make_alike(lead: Lead, twin: Lead) -> None:
    """Make the second lead the same person as the first, entered by someone else."""
    twin.first_name, twin.last_name = f"{lead.first_name[0]}.", lead.last_name
    twin.organisation, twin.phone, twin.title = lead.organisation, lead.phone, ""


def _lead(
    company: Company,
    owner: User,
    person: people.DemoPerson,
    statuses: dict[str, LeadStatus],
    dice: random.Random,
) -> Lead:
    return Lead(
        company=company,
        first_name=person.first_name,
        last_name=person.last_name,
        email=person.email,
        phone=f"+31 20 555 {dice.randrange(10_000):04}",
        organisation=person.organisation,
        title=dice.choice(people.TITLES),
        source=dice.choice(people.SOURCES),
        type=dice.choice(DEFAULT_TYPES)[1],
        status=statuses[dice.choice(STATUSES)],
        owner=owner,
    )


def _may_be_sent(lead: Lead) -> bool:
    return bool(lead.email) and lead.share_with_ad_platforms


def _qualify_again(leads: list[Lead]) -> None:
    """Qualify the leads a second time, so that a rule that counts each lead once has something to skip."""
    rows = Lead.objects.filter(pk__in=[lead.pk for lead in leads])
    qualified = leads[0].status
    rows.update(
        status=LeadStatus.objects.first_for(qualified.company, LeadMeaning.WORKING)
    )
    rows.update(status=qualified)


def _deal(lead: Lead, stages: dict[str, Stage], dice: random.Random) -> Deal:
    return Deal(
        company=lead.company,
        lead=lead,
        title=dice.choice(people.DEAL_TITLES),
        amount=Decimal(dice.randrange(6, 200) * 250),
        currency=dice.choice(("EUR", "EUR", "EUR", "GBP", "USD")),
        stage=stages[dice.choice(STAGES)],
        owner=lead.owner,
    )


def _move_back(company: Company, now: datetime, dice: random.Random) -> None:
    events = list(CrmEvent.objects.for_company(company).order_by("pk"))
    leads = list(Lead.objects.for_company(company).order_by("pk"))
    created = dict(
        zip(
            [lead.pk for lead in leads],
            _creation_times(len(leads), now, dice),
            strict=True,
        )
    )
    last: dict[tuple[int | None, int | None], datetime] = {}
    for event in events:
        assert event.lead_id is not None
        before = last.get((event.lead_id, event.deal_id)) or last.get(
            (event.lead_id, None)
        )
        if event.kind == CrmEventKind.LEAD_CREATED:
            event.occurred_at = created[event.lead_id]
        else:
            assert before is not None
            event.occurred_at = _later(before, now, dice)
        last[event.lead_id, event.deal_id] = event.occurred_at
    _rewrite_in_order(company, events)
    _date_rows(company, created, last)


def _creation_times(
    count: int, now: datetime, dice: random.Random
) -> Iterator[datetime]:
    """Times at which leads come in, oldest first: rarely at a weekend, and the last one five minutes ago."""
    times = [now - timedelta(days=dice.uniform(0.04, DAYS)) for _ in range(count - 1)]
    weekdays = [
        time - timedelta(days=2) if time.weekday() > 4 else time for time in times
    ]
    yield from sorted(weekdays)
    yield now - timedelta(minutes=5)


def _later(time: datetime, now: datetime, dice: random.Random) -> datetime:
    latest = min(time + timedelta(days=12), now - timedelta(minutes=2))
    return time + (latest - time) * dice.uniform(0.05, 1)


def _rewrite_in_order(company: Company, events: list[CrmEvent]) -> None:
    """Insert the CRM events again in the order of their new times, so that ids follow time as in a real log."""
    CrmEvent.objects.for_company(company).delete()
    events.sort(key=lambda event: event.occurred_at)
    for event in events:
        event.pk = None
    CrmEvent.objects.bulk_create(events)


def _date_rows(
    company: Company,
    created: dict[int, datetime],
    last: dict[tuple[int | None, int | None], datetime],
) -> None:
    leads = list(Lead.objects.for_company(company))
    for lead in leads:
        lead.created_at, lead.updated_at = created[lead.pk], last[lead.pk, None]
    Lead.objects.bulk_update(leads, ["created_at", "updated_at"])
    deals = list(Deal.objects.for_company(company))
    deal_created = dict(
        CrmEvent.objects.for_company(company)
        .filter(kind=CrmEventKind.DEAL_CREATED)
        .values_list("deal_id", "occurred_at")
    )
    for deal in deals:
        deal.created_at, deal.updated_at = (
            deal_created[deal.pk],
            last[deal.lead_id, deal.pk],
        )
        deal.expected_close = (
            deal.created_at + timedelta(days=CLOSE_IN_DAYS[deal.pk % 5])
        ).date()
    Deal.objects.bulk_update(deals, ["created_at", "updated_at", "expected_close"])


def add_people(company: Company) -> None:
    """Add a colleague of the lead to every fourth open deal, and a second one to some, from its organisation."""
    salesperson = people.member(company, Role.SALES)
    leads = Lead.objects.for_company(company)
    DealPerson.objects.bulk_create(
        DealPerson(company=company, deal=deal, lead=colleague, added_by=salesperson)
        for deal in Deal.objects.for_company(company)
        .open()
        .select_related("lead")
        .order_by("pk")[::4]
        for colleague in leads.of_organisation(deal.lead.organisation)
        .exclude(pk=deal.lead_id)
        .order_by("pk")[:2]
    )


def add_details(company: Company) -> None:
    """Add the details of most organisations that leads name. Their last word says what they do."""
    owner = people.member(company, Role.SALES)
    sizes = cycle(OrganisationSize.values)
    for name in people.ORGANISATIONS[:20]:
        if organisation_of(company, name, has_deals=False):
            domain = people.domain_of(name)
            OrganisationDetails.objects.create(
                company=company,
                key=organisation_key(name),
                domain=domain,
                website=f"https://{domain}/",
                owner=owner,
                industry=name.split()[-1],
                size=next(sizes),
            )


def add_tasks(company: Company, now: datetime, dice: random.Random) -> None:
    """Add tasks to most of the open deals and some of the leads: a few late, a few for today, the others to come.

    Each new lead that is older than a few days gets a task that is done, so My day shows only the latest as untouched.
    """
    owner = people.member(company, Role.SALES)
    today = now.astimezone(ZoneInfo(company.time_zone)).date()
    deals = Deal.objects.for_company(company).open().order_by("pk")
    leads = (
        Lead.objects.for_company(company)
        .filter(status__name="Contacted")
        .order_by("pk")[: len(deals)]
    )
    for row in (*deals, *leads):
        if dice.random() < TASK_FREE:
            continue
        kind, title = dice.choice(people.TASK_TITLES)
        Task.objects.create(
            company=company,
            owner=owner,
            title=title,
            kind=kind,
            due_on=today + timedelta(days=dice.choice(DUE_IN_DAYS)),
            due_time=time(dice.randrange(9, 17)) if kind != TaskKind.TASK else None,
            deal=row if isinstance(row, Deal) else None,
            lead=row if isinstance(row, Lead) else None,
        )
    waited = Lead.objects.for_company(company).filter(
        status__name="New", created_at__lt=now - UNTOUCHED
    )
    Task.objects.bulk_create(
        Task(
            company=company,
            owner=owner,
            title="Say hello",
            lead=lead,
            due_on=lead.created_at.date() + timedelta(days=1),
            done_at=lead.created_at + timedelta(hours=20),
        )
        for lead in waited
    )


def add_view(company: Company) -> None:
    """Add a view that the admin shares with everyone."""
    qualified = LeadStatus.objects.first_for(company, LeadMeaning.QUALIFIED)
    query = urlencode({"status": qualified.pk, "sort": "-updated"})
    SavedView.objects.create(
        company=company,
        owner=people.member(company, Role.ADMIN),
        name="Qualified",
        query=query,
        columns="organisation owner updated",
        is_shared=True,
    )
