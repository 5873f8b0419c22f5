"""`python -m benchmarks [--only NAME …] [--quick]`: run the measures and their baselines."""

import argparse
from collections.abc import Callable, Iterator

from benchmarks import report, world


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measure LeadMachine and the usual recipe in one run."
    )
    parser.add_argument(
        "--only", nargs="*", metavar="NAME", help="the names of one or more measures"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a tenth of the events, to check that everything runs",
    )
    options = parser.parse_args()
    world.start()
    print(
        f"{report.machine()}\n{'measure':<28}{'ours':>12}{'baseline':>13}{'ratio':>11}  unit"
    )
    for name, measure in _measures(0.1 if options.quick else 1).items():
        if not options.only or name in options.only:
            for figure in measure():
                report.show(figure)
                if not options.quick:
                    report.write([figure])


def _measures(scale: float) -> dict[str, Callable[[], Iterator[report.Figure]]]:
    from benchmarks.measures import (
        accounts,
        backfill,
        bulk,
        crm_pages,
        drain,
        growth,
        lists,
        memory,
        neighbours,
        pages,
        saves,
        stream,
    )

    events = int(100_000 * scale)
    return {
        "saves": saves.status_change,
        "drain": lambda: drain.one_company(
            events=events, baseline_events=int(1_500 * scale) + 300, rounds=2
        ),
        "companies": lambda: drain.many_companies(events=events),
        "stream": lambda: stream.four_writers(seconds=max(5, int(60 * scale))),
        "latency": lambda: stream.latency(seconds=max(5, int(120 * scale))),
        "grace": lambda: stream.grace_period(seconds=max(5, int(60 * scale))),
        "memory": lambda: memory.of_a_worker(events=int(1_000_000 * scale)),
        "pages": lambda: pages.many_rows(events=int(5_000_000 * scale)),
        "crm_pages": lambda: crm_pages.pages(leads=int(500_000 * scale)),
        "neighbours": lambda: neighbours.list_next_to_flood(leads=int(500_000 * scale)),
        "lane": lambda: pages.claim(events=int(10_000_000 * scale)),
        "growth": lambda: growth.long_log(events=int(1_000_000 * scale)),
        "backfill": lambda: backfill.past(events=events),
        "accounts": lambda: accounts.known_and_unknown(tries=int(200 * scale)),
        "imports": lambda: lists.imports(
            rows=events, baseline_rows=int(3_000 * scale) + 300
        ),
        "export": lambda: lists.export(leads=int(500_000 * scale)),
        "bulk": lambda: bulk.leads(
            count=events, baseline_count=int(3_000 * scale) + 300
        ),
    }


if __name__ == "__main__":
    main()
