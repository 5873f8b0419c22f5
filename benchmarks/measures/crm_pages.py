"""The pages of the CRM with half a million leads, compared with the same pages with a thousand, and with `icontains`.

With a thousand leads, three pages are nearly empty: My day has 20 rows instead of 64, the board of one owner 25 cards
instead of 125, and that of a common name 3. Rendering them takes longer than the queries. So these are also compared
with a company of ten thousand leads, where they are as full.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from typing import Final
from unittest import mock

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext

from benchmarks.report import Figure
from crm.models import Lead, LeadStatus, Membership, Stage
from crm.models.lead import LeadQuerySet
from crm.models.roles import Role
from crm.services.searches import remember_search
from leadmachine.workers import ignore_what_stays

COMPANIES = 20
FEW = 1_000  # leads of a small company, as make_crm creates it
ENOUGH = 10_000  # leads, deals, tasks and notes that fill these pages
FILLED = ("my_day", "board_of_owner", "board_search_ada")
REQUESTS = 40
WARM_UP = 5
SORTS = (
    "name",
    "-name",
    "status",
    "organisation",
    "owner",
    "source",
    "created",
    "-updated",
)
FILTERS = (
    "status={status}", "owner={owner}", "owner=null", "source=Webinar", "type=partner", "has_email=False",
    "shared=False", "created_from=2026-11-01", "created_until=2025-02-01", "updated_from=2026-11-01",
    "status={status}&owner={owner}&sort=name",
)  # fmt: skip
# Common, rare and absent texts of 3 to 20 characters; then shorter ones, several words and a phone number.
SEARCHES = (
    "ada", "example", "carlos.4999", "kestrel aviation 997", "qzx", "nobody-of-this-name", "a", "xq", "ada bakker",
    "+31 20 155 0142",
)  # fmt: skip
DEALS: Final = (
    "", "?sort=deal", "?sort=lead", "?sort=-lead", "?sort=owner", "?sort=stage", "?sort=-close",
    "?sort=amount", "?owner={owner}", "?owner=null", "?meaning=won", "?stage={stage}", "?dated=no", "?currency=CHF",
    "?close_until=2026-12-31",
)  # fmt: skip
SEARCHES_OF_DEALS: Final = ("ada", "licences", "qzx", "example")
NO_BRACES = str.maketrans("", "", "{}")
COLUMNS = ("first_name", "last_name", "email", "organisation", "title", "phone")


def pages(*, leads: int) -> Iterator[Figure]:
    """Measure each page at p95 with this many leads, with 1,000, and, for a search, with `icontains`."""
    settings.ALLOWED_HOSTS = ["*"]
    settings.HTTPS = False
    sizes = {
        "leads": leads,
        "deals": leads // 5,
        "tasks": leads,
        "notes": leads,
        "duplicates": leads // 10,
    }
    options = {**sizes, "companies": COMPANIES, "history": True}
    call_command(
        "make_crm", name="CRM pages", anyway=True, stdout=StringIO(), **options
    )
    enough = {
        **dict.fromkeys(("leads", "deals", "tasks", "notes"), ENOUGH),
        "companies": 1,
        "history": True,
    }
    call_command(
        "make_crm", name="Full pages", anyway=True, stdout=StringIO(), **enough
    )
    large, small = (_member(f"CRM pages {number}", Role.SALES) for number in (1, 2))
    full = _member("Full pages 1", Role.SALES)
    ignore_what_stays()  # a web worker would not have created half a million leads
    for name, url_of in {**_pages(), **_deals()}.items():
        yield _next_to_small(name, large, small, url_of, f"{leads:,} leads and {FEW:,}")
        if name in FILLED:
            yield _next_to_small(
                f"{name}_as_full",
                large,
                full,
                url_of,
                f"{leads:,} leads and {ENOUGH:,}",
            )
    admins = (_member(f"CRM pages {number}", Role.ADMIN) for number in (1, 2))
    yield _next_to_small(
        "dashboard",
        *admins,
        lambda member: "/dashboard/",
        f"{leads:,} leads and {FEW:,}",
    )
    for text in SEARCHES:
        url = _search_of_leads(large, text)
        (ours,) = _times_in_turn([(large, lambda member, url=url: url)])
        (plain,) = _plain_times(large, url)
        yield _figure(
            f"crm_search_{text.replace(' ', '_')}_p95_ms",
            ours,
            plain,
            f"{leads:,} leads; the same page by icontains",
        )


def _next_to_small(
    name: str, large: Membership, small: Membership, url_of: "UrlOf", sizes: str
) -> Figure:
    many, few = _times_in_turn([(large, url_of), (small, url_of)])
    queries = f"{_queries(large, url_of)} queries, {_queries(small, url_of)} with fewer"
    return _figure(f"crm_{name}_p95_ms", many, few, f"{sizes}; {queries}")


UrlOf = Callable[[Membership], str]


def _pages() -> dict[str, UrlOf]:
    urls: dict[str, UrlOf] = {
        "list": lambda member: "/leads/",
        "list_middle": lambda member: f"/leads/?after={_middle(member)}",
        "lead": lambda member: f"/leads/{_middle(member)}/",
        "organisations": lambda member: "/organisations/",
        "organisations_of_owner": lambda member: (
            f"/organisations/?owner={member.user_id}"
        ),
        "organisations_of_industry": lambda member: (
            "/organisations/?industry=Industry+3"
        ),
        "organisations_of_size": lambda member: "/organisations/?size=51-200",
        "organisation": lambda member: (
            Lead.objects.get(pk=_middle(member)).organisation_url
        ),
        "board": lambda member: "/deals/",
        "board_of_owner": lambda member: f"/deals/?owner={member.user_id}",
        "my_day": lambda member: "/my-day/",
        "tasks": lambda member: "/tasks/",
        "tasks_done": lambda member: "/tasks/?done=1",
        "duplicates": lambda member: "/leads/duplicates/",
        "forecast": lambda member: "/deals/forecast/",
        "forecast_of_owner": lambda member: f"/deals/forecast/?owner={member.user_id}",
        "funnel": lambda member: "/deals/funnel/",
        "funnel_of_a_year": lambda member: "/deals/funnel/?period=last_12_months",
    }
    for sort in SORTS:
        urls[f"sort_{sort}"] = lambda member, sort=sort: f"/leads/?sort={sort}"  # type: ignore[misc]
    for query in FILTERS:
        urls[f"filter_{query.replace('=', '_').translate(NO_BRACES)}"] = (
            lambda member, query=query: (  # type: ignore[misc]
                "/leads/?" + query.format(status=_status(member), owner=member.user_id)
            )
        )
    for text in SEARCHES:
        urls[f"leads_search_{text.replace(' ', '_')}"] = lambda member, text=text: (
            _search_of_leads(member, text)
        )  # type: ignore[misc]
    return urls


def _search_of_leads(member: Membership, text: str) -> str:
    return f"/leads/?search={remember_search(member, text)}"


def _deals() -> dict[str, UrlOf]:
    urls: dict[str, UrlOf] = {}
    for query in DEALS:
        name = query.replace("=", "_").replace("?", "_").translate(NO_BRACES)
        urls[f"deals{name}"] = lambda member, query=query: (  # type: ignore[misc]
            "/deals/list/" + query.format(owner=member.user_id, stage=_stage(member))
        )
    for text in SEARCHES_OF_DEALS:
        for name, path in (("deals", "/deals/list/"), ("board", "/deals/")):
            urls[f"{name}_search_{text}"] = lambda member, path=path, text=text: (  # type: ignore[misc]
                f"{path}?search={remember_search(member, text)}"
            )
    return urls


def _member(company: str, role: Role) -> Membership:
    found: Membership = Membership.objects.filter(
        company__name=company, role=role
    ).order_by("pk")[0]
    return found


def _stage(member: Membership) -> int:
    return (
        Stage.objects.for_company(member.company)
        .order_by("position")
        .values_list("pk", flat=True)[0]
    )


def _middle(member: Membership) -> int:
    leads = (
        Lead.objects.for_company(member.company)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    return leads[leads.count() // 2]


def _status(member: Membership) -> int:
    return (
        LeadStatus.objects.for_company(member.company)
        .order_by("position")
        .values_list("pk", flat=True)[1]
    )


def _plain_search(leads: LeadQuerySet, text: str) -> LeadQuerySet:
    """The search as it is usually written: every word in one of the columns."""
    for word in text.split():
        leads = leads.filter(
            Q(*((f"{column}__icontains", word) for column in COLUMNS), _connector=Q.OR)
        )
    return leads


def _client(member: Membership) -> Client:
    client = Client()
    client.force_login(member.user, backend=settings.AUTHENTICATION_BACKENDS[0])
    return client


def _times_in_turn(pages: Sequence[tuple[Membership, UrlOf]]) -> list[list[float]]:
    """The times of each page's requests in milliseconds. The pages take turns, so that other load slows all of them.

    Garbage is collected in between. In a web worker one request in some 25 waits 15 ms for it, for any company.
    """
    clients = [(_client(member), url_of(member)) for member, url_of in pages]
    times: list[list[float]] = [[] for _ in pages]
    for _ in range(REQUESTS + WARM_UP):
        for (client, url), own in zip(clients, times, strict=True):
            gc.collect()
            started = time.perf_counter()
            response = client.get(url)
            own.append((time.perf_counter() - started) * 1000)
            assert response.status_code == 200, url
    return [own[WARM_UP:] for own in times]


def _plain_times(member: Membership, url: str) -> list[list[float]]:
    with mock.patch.object(LeadQuerySet, "search", _plain_search):
        return _times_in_turn([(member, lambda member: url)])


def _queries(member: Membership, url_of: UrlOf) -> int:
    client, url = _client(member), url_of(member)
    client.get(url)
    with CaptureQueriesContext(connection) as queries:
        client.get(url)
    return len(queries)


def _figure(
    measure: str, ours: list[float], baseline: list[float], detail: str
) -> Figure:
    many, few = (statistics.quantiles(times, n=20)[-1] for times in (ours, baseline))
    return Figure(
        measure,
        round(many, 2),
        round(few, 2),
        round(many / few, 3),
        "ms",
        f"server time p95, {detail}",
    )
