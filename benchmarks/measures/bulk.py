"""An import: many leads at once, mapped, to the last acceptance."""

import time
from collections.abc import Iterator

from benchmarks import people, world
from benchmarks.naive.models import Log
from benchmarks.naive.tasks import send
from benchmarks.report import Figure, compared
from crm.models import Lead


def leads(*, count: int, baseline_count: int) -> Iterator[Figure]:
    """`bulk_create` with a rule mapped, beside the same without capi, and beside the recipe."""
    with world.linkedin(), world.workers(1):
        mapped = people.connected_company("bulk-mapped")
        started = time.perf_counter()
        _create(mapped, count)
        world.wait_for(lambda: people.all_accepted(mapped))
        ours = count / (time.perf_counter() - started)
    unmapped = people.connected_company("bulk-unmapped", mapped=False)
    started = time.perf_counter()
    _create(unmapped, count)
    plain = count / (time.perf_counter() - started)
    with world.linkedin(), world.workers(1, "--pool", "threads", "--concurrency", "20", NAIVE_PLAIN="1"):
        company = people.connected_company("bulk-recipe", mapped=False)
        people.ConversionRule.objects.create(company=company, crm_event="deal_won", linkedin_id="1", name="recipe")
        Log.objects.all().delete()
        started = time.perf_counter()
        for lead in Lead.objects.bulk_create(people.new_leads(company, baseline_count)):
            send.delay(lead.pk, "deal_won")
        world.wait_for(lambda: Log.objects.count() >= baseline_count)
        recipe = baseline_count / (time.perf_counter() - started)
    detail = f"{count:,} leads, to the last acceptance"
    yield compared("bulk_vs_baseline", [ours], [recipe], "leads/s", detail)
    yield compared("bulk_vs_plain", [ours], [plain], "leads/s", f"{detail}; beside bulk_create without a rule")


def _create(company: people.Company, count: int) -> None:
    for start in range(0, count, people.PER_INSERT):
        Lead.objects.bulk_create(people.new_leads(company, min(people.PER_INSERT, count - start), start))
