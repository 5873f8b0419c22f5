"""An import of many leads at once, until the last event is accepted."""

import time
from collections.abc import Iterator

from benchmarks import people, world
from benchmarks.naive.models import Log
from benchmarks.naive.pools import pools
from benchmarks.naive.tasks import send
from benchmarks.report import Figure, compared
from crm.models import Lead


def leads(*, count: int, baseline_count: int, rounds: int = 2) -> Iterator[Figure]:
    """`bulk_create` with a rule, without a rule, and the recipe, in turn."""
    ours, plain, recipe = [], [], []
    for turn in range(rounds):
        ours.append(_mapped(f"bulk-mapped-{turn}", count))
        plain.append(_unmapped(f"bulk-unmapped-{turn}", count))
        recipe.append(max(_recipe(baseline_count, *pool) for pool in pools()))
    detail = f"{count:,} leads, to the last acceptance"
    yield compared("bulk_vs_baseline", ours, recipe, "leads/s", detail)
    yield compared(
        "bulk_vs_plain",
        ours,
        plain,
        "leads/s",
        f"{detail}; compared with bulk_create without a rule",
    )


def _mapped(name: str, count: int) -> float:
    with world.linkedin(), world.workers(1):
        company = people.connected_company(name)
        started = time.perf_counter()
        _create(company, count)
        world.wait_for(lambda: people.all_accepted(company))
        return count / (time.perf_counter() - started)


def _unmapped(name: str, count: int) -> float:
    company = people.connected_company(name, mapped=False)
    started = time.perf_counter()
    _create(company, count)
    return count / (time.perf_counter() - started)


def _recipe(count: int, *pool: str) -> float:
    with world.linkedin(), world.workers(1, *pool, NAIVE_PLAIN="1"):
        company = people.connected_company(
            f"bulk-recipe-{time.time_ns()}", mapped=False
        )
        people.ConversionRule.objects.create(
            company=company, crm_event="deal_won", linkedin_id="1", name="recipe"
        )
        Log.objects.all().delete()
        started = time.perf_counter()
        for lead in Lead.objects.bulk_create(people.new_leads(company, count)):
            send.delay(lead.pk, "deal_won")
        world.wait_for(lambda: Log.objects.count() >= count)
        return count / (time.perf_counter() - started)


def _create(company: people.Company, count: int) -> None:
    for start in range(0, count, people.PER_INSERT):
        Lead.objects.bulk_create(
            people.new_leads(company, min(people.PER_INSERT, count - start), start)
        )
