"""`python -m benchmarks [--only NAME …] [--quick]`: every measure beside its baseline."""

import argparse
from collections.abc import Callable, Iterator

from benchmarks import report, world


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure LeadMachine beside the usual recipe, in one run.")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="drain, companies, saves")
    parser.add_argument("--quick", action="store_true", help="a tenth of the events: to see that it runs")
    options = parser.parse_args()
    world.start()
    figures = []
    print(f"{report.machine()}\n{'measure':<28}{'ours':>12}{'baseline':>13}{'ratio':>11}  unit")
    for name, measure in _measures(0.1 if options.quick else 1).items():
        if not options.only or name in options.only:
            for figure in measure():
                report.show(figure)
                figures.append(figure)
    if not options.quick:
        report.write(figures)


def _measures(scale: float) -> dict[str, Callable[[], Iterator[report.Figure]]]:
    from benchmarks.measures import drain, saves

    events = int(100_000 * scale)
    return {
        "saves": saves.status_change,
        "drain": lambda: drain.one_company(events=events, baseline_events=int(3_000 * scale) + 300, rounds=2),
        "companies": lambda: drain.many_companies(events=events),
    }


if __name__ == "__main__":
    main()
