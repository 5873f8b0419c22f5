"""The figures of a run, as a table and as JSON."""

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results" / "latest.json"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure: our value and the baseline's in `unit`, and their ratio (how many times better ours is)."""

    measure: str
    ours: float
    baseline: float | None
    ratio: float | None
    unit: str
    detail: str


def compared(
    measure: str,
    ours: Sequence[float],
    baseline: Sequence[float],
    unit: str,
    detail: str = "",
) -> Figure:
    """Compare the rates of alternating runs: their medians, and the median of the ratios of each pair of runs."""
    ratios = [mine / theirs for mine, theirs in zip(ours, baseline, strict=True)]
    return Figure(
        measure,
        _short(statistics.median(ours)),
        _short(statistics.median(baseline)),
        _short(statistics.median(ratios)),
        unit,
        detail,
    )


def single(measure: str, value: float, unit: str, detail: str = "") -> Figure:
    """Return a figure without a baseline."""
    return Figure(measure, _short(value), None, None, unit, detail)


def write(figures: Sequence[Figure], *, path: Path = RESULTS) -> None:
    """Write the JSON. Figures of this run replace earlier ones of the same name; others stay."""
    kept = json.loads(path.read_text()) if path.exists() else []
    names = {figure.measure for figure in figures}
    rows = [row for row in kept if row["measure"] not in names] + [
        asdict(figure) for figure in figures
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        json.dumps(sorted(rows, key=lambda row: row["measure"]), indent=1) + "\n"
    )


def show(figure: Figure) -> None:
    """Print one line of the table."""
    baseline = "" if figure.baseline is None else f"{figure.baseline:>12,g}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:>8,g} x"
    print(
        f"{figure.measure:<28}{figure.ours:>12,g}{baseline:>13}{ratio:>11}  {figure.unit:<14}{figure.detail}",
        flush=True,
    )


def machine() -> str:
    """Describe the machine on which the figures were measured."""
    return f"Python {platform.python_version()}, {platform.machine()}"


def _short(value: float) -> float:
    return float(f"{value:.4g}")
