"""The funnel: of the leads created in a period, how many were qualified, have a deal, and have won one."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Max, Min, Sum

from crm.models import Company, FunnelStep, StageMeaning, User
from crm.models.funnel import LeadKeys, leads_with_deals, qualified_leads
from crm.models.lead import LeadQuerySet
from crm.selectors.charts import FunnelChart, funnel_chart

CREATED: Final = ""
LABELS: Final = {CREATED: "Created", **dict(FunnelStep.choices)}
GROUPS_AT_MOST: Final = 20


@dataclass(frozen=True)
class SumOfDeals:
    """The sum of the deals in one currency. `query` finds them in the list of all deals; "" if no filter does."""

    currency: str
    amount: Decimal
    query: str


@dataclass(frozen=True)
class StepNumbers:
    """How many leads have reached a step, and the sums of their deals, that in the company's currency first.

    `query` finds these leads in their list; "" if no filter does.
    """

    label: str
    query: str
    count: int
    before: int | None  # those who reached the step before
    sums: Sequence[SumOfDeals]

    @property
    def percent(self) -> float | None:
        return 100 * self.count / self.before if self.before else None


@dataclass
class FunnelGroup:
    """The leads of a source, of an owner, or of all: how many have come to each step, and the sums of their deals.

    `filters` find them in the list of leads; None if no filters do. `sums` are by step and currency: there is no sum of
    two currencies.
    """

    label: str
    filters: Mapping[str, str] | None
    currency: str
    leads: Counter[str] = field(default_factory=Counter)
    sums: defaultdict[tuple[str, str], Decimal] = field(
        default_factory=lambda: defaultdict(Decimal)
    )

    def add(self, other: "FunnelGroup") -> None:
        self.leads += other.leads
        for key, amount in other.sums.items():
            self.sums[key] += amount

    @property
    def steps(self) -> list[StepNumbers]:
        counts = [self.leads[step] for step in LABELS]
        return [
            self._numbers(step, before)
            for step, before in zip(LABELS, [None, *counts], strict=False)
        ]

    @property
    def won(self) -> StepNumbers:
        return self.steps[-1]

    @property
    def won_percent(self) -> float | None:
        """Of all leads of the group."""
        created = self.leads[CREATED]
        return 100 * self.leads[FunnelStep.WON] / created if created else None

    def _numbers(self, step: str, before: int | None) -> StepNumbers:
        query = self._query(self.filters, {"reached": step} if step else {})
        amounts = [
            (currency, amount)
            for (of, currency), amount in self.sums.items()
            if of == step and amount
        ]
        amounts.sort(key=lambda each: (each[0] != self.currency, each[0]))
        sums = [
            SumOfDeals(currency, amount, self._deals(step, currency))
            for currency, amount in amounts
        ]
        return StepNumbers(LABELS[step], query, self.leads[step], before, sums)

    def _deals(self, step: str, currency: str) -> str:
        of_leads = None
        if self.filters is not None:
            of_leads = {f"lead_{name}": value for name, value in self.filters.items()}
        won = {"meaning": str(StageMeaning.WON)} if step == FunnelStep.WON else {}
        return self._query(of_leads, {**won, "currency": currency})

    @staticmethod
    def _query(filters: Mapping[str, str] | None, more: Mapping[str, str]) -> str:
        return "" if filters is None else urlencode({**filters, **more})


@dataclass(frozen=True)
class Funnel:
    total: FunnelGroup
    sources: Sequence[FunnelGroup]
    owners: Sequence[FunnelGroup]
    chart: FunnelChart

    @property
    def is_empty(self) -> bool:
        return not self.total.leads[CREATED]


def funnel_of(
    company: Company, leads: LeadQuerySet, asked: Mapping[str, str]
) -> Funnel:
    """The funnel of these of the company's leads, in four queries.

    `asked` are the filters that find them in their list.
    """
    total = FunnelGroup("All", asked, company.currency)
    sources = _Groups(asked, company.currency)
    owners = _Groups(asked, company.currency)

    def groups(source: str, owner: int | None) -> Iterable[FunnelGroup]:
        by_source = {"source": source} if source else {"has_source": "False"}
        yield total
        yield sources.of(source, source or "No source", by_source)
        yield owners.of(owner, "No owner", {"owner": str(owner or "null")})

    keys = _keys(leads)
    for source, owner, *counts in _counts(company, leads, keys):
        for group in groups(source, owner):
            group.leads.update(dict(zip(LABELS, counts, strict=True)))
    for source, owner, meaning, currency, amount in _sums(leads, keys):
        for group in groups(source, owner):
            group.sums[FunnelStep.DEAL, currency] += amount
            if meaning == StageMeaning.WON:
                group.sums[FunnelStep.WON, currency] += amount
    owners.name(
        {
            pk: str(user)
            for pk, user in User.objects.in_bulk(
                [pk for pk in owners.by_key if pk]
            ).items()
        }
    )
    chart = funnel_chart([(step.label, step.count) for step in total.steps])
    return Funnel(total, sources.most(), owners.most(), chart)


def _keys(leads: LeadQuerySet) -> LeadKeys:
    """The leads' smallest and largest key. Grouped: otherwise PostgreSQL looks for them from both ends of all keys."""
    found = leads.order_by().values_list("company").annotate(Min("pk"), Max("pk"))
    return next((LeadKeys(first, last) for _, first, last in found), LeadKeys(0, 0))


# One statement, which reads each of the indexes of leads, CRM events and deals once. With the ORM's conditions,
# PostgreSQL would look up the events and the deals of each lead.
COUNTS: Final = """
WITH leads (id, source, owner) AS ({leads}), qualified (lead) AS ({qualified}), dealt (lead, is_won) AS ({dealt})
SELECT source, owner, count(*), count(coalesce(qualified.lead, dealt.lead)), count(dealt.lead), coalesce(sum(is_won), 0)
FROM leads LEFT JOIN qualified ON qualified.lead = leads.id LEFT JOIN dealt ON dealt.lead = leads.id
GROUP BY source, owner
"""


def _counts(
    company: Company, leads: LeadQuerySet, keys: LeadKeys
) -> Sequence[tuple[Any, ...]]:
    """Source and owner of the leads, and how many have come to each step."""
    parts = {
        "leads": leads.order_by().values("pk", "source", "owner"),
        "qualified": qualified_leads(company, keys),
        "dealt": leads_with_deals(company, keys),
    }
    try:
        compiled = {name: part.query.sql_with_params() for name, part in parts.items()}
    except EmptyResultSet:  # the filters find nothing
        return []
    statement = COUNTS.format(**{name: sql for name, (sql, _) in compiled.items()})
    with connection.cursor() as cursor:
        cursor.execute(
            statement, [value for _, params in compiled.values() for value in params]
        )
        return list(cursor.fetchall())


def _sums(
    leads: LeadQuerySet, keys: LeadKeys
) -> Iterable[tuple[str, int | None, str, str, Decimal]]:
    """Source and owner of the leads, meaning and currency of their deals, and the sum of these."""
    deals = leads.filter(
        deals__amount__isnull=False, **keys.among("deals__lead")
    ).order_by()
    groups = deals.values_list(
        "source", "owner", "deals__stage__meaning", "deals__currency"
    )
    return groups.annotate(Sum("deals__amount"))


class _Groups:
    """A group for each source or owner, added when it is first asked for."""

    def __init__(self, asked: Mapping[str, str], currency: str) -> None:
        self.asked, self.currency = asked, currency
        self.by_key: dict[str | int | None, FunnelGroup] = {}

    def of(
        self, key: str | int | None, label: str, filters: Mapping[str, str]
    ) -> FunnelGroup:
        if key not in self.by_key:
            self.by_key[key] = FunnelGroup(
                label, {**self.asked, **filters}, self.currency
            )
        return self.by_key[key]

    def name(self, labels: Mapping[int, str]) -> None:
        for key, label in labels.items():
            self.by_key[key].label = label

    def most(self) -> list[FunnelGroup]:
        """The groups with the most leads, in order, and one group of all the others, which no filter finds."""
        groups = sorted(
            self.by_key.values(),
            key=lambda group: (-group.leads[CREATED], group.label.casefold()),
        )
        shown, rest = groups[:GROUPS_AT_MOST], groups[GROUPS_AT_MOST:]
        if rest:
            others = FunnelGroup(f"{len(rest):,} more", None, self.currency)
            for group in rest:
                others.add(group)
            shown.append(others)
        return shown
