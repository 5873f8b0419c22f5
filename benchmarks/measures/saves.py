"""The duration of a save: with a rule, without one, and without LeadMachine's tracking."""

import statistics
import time
import uuid
from collections.abc import Callable, Iterator

from django.db import models, transaction

from benchmarks import people
from benchmarks.naive.tasks import send
from benchmarks.report import Figure
from crm.models import Lead, LeadStatus
from crm.models.tracking.origin import acting_as

LEADS = 600
WARM_UP = 50


def status_change() -> Iterator[Figure]:
    """Qualify leads by `Lead.save()` inside `atomic()`: medians of alternating saves, in milliseconds."""
    ways = {"plain": _plain, "unmapped": _ours, "mapped": _ours, "recipe": _recipe}
    leads = {name: _qualifying(name, mapped=name == "mapped") for name in ways}
    samples: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(LEADS):
        for name, way in ways.items():
            started = time.perf_counter()
            way(leads[name][number])
            samples[name].append((time.perf_counter() - started) * 1000)
    median = {
        name: statistics.median(values[WARM_UP:]) for name, values in samples.items()
    }
    yield _cost(
        "save_mapped_vs_baseline",
        median["mapped"],
        median["recipe"],
        "the recipe: plain save and delay()",
    )
    yield _cost(
        "save_mapped_vs_plain",
        median["mapped"],
        median["plain"],
        "plain: no tracking, inside atomic()",
    )
    yield _cost(
        "save_unmapped_vs_plain",
        median["unmapped"],
        median["plain"],
        "plain: no tracking, inside atomic()",
    )


def _qualifying(name: str, *, mapped: bool) -> list[Lead]:
    """Return new leads of a new company, with the qualified status not saved yet."""
    company = people.connected_company(
        f"saves-{name}", crm_event="lead_qualified", mapped=mapped
    )
    people.waiting_events(company, LEADS)
    qualified = LeadStatus.objects.get(company=company, meaning="qualified")
    leads = list(company.leads.all())
    for lead in leads:
        lead.status = qualified
    return leads


def _plain(lead: Lead) -> None:
    with transaction.atomic():
        models.Model.save_base(lead, using="default", force_update=True)


def _ours(lead: Lead) -> None:
    with transaction.atomic():
        lead.save()


def _person(lead: Lead) -> None:
    """Save as a person does in the browser, so that the change can be undone."""
    with acting_as(None, action=uuid.uuid4()):
        _ours(lead)


def _recipe(lead: Lead) -> None:
    with transaction.atomic():
        models.Model.save_base(lead, using="default", force_update=True)
    send.delay(lead.pk, "lead_qualified")


WAYS: dict[str, Callable[[Lead], None]] = {
    "ours": _ours,
    "person": _person,
    "recipe": _recipe,
}


def _cost(measure: str, ours: float, baseline: float, detail: str) -> Figure:
    """Return a cost: the ratio is ours divided by the baseline."""
    return Figure(
        measure,
        round(ours, 3),
        round(baseline, 3),
        round(ours / baseline, 3),
        "ms",
        detail,
    )
