"""The geometry of charts, which the templates draw as SVG: `_parts/bar_chart.html` and `_parts/funnel_chart.html`.

The former is a stacked bar chart per day or month, the latter the steps of a funnel.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count

WIDTH, HEIGHT = 720, 230
LEFT, RIGHT, TOP, BOTTOM = 44, 16, 10, 26
# A figure of the axis on a phone, and how far the longest may reach to the left.
FIGURE_WIDTH, OUTSIDE = 15, 20
LABELS_AT_MOST = 8
LABEL_WIDTH, COUNT_WIDTH = 170, 110  # left and right of the steps of a funnel
STEP_HEIGHT, STEP_GAP = 40, 16


@dataclass(frozen=True)
class Series:
    """One value per day or month. `tone` (good, wait, bad, plain) is the colour."""

    label: str
    tone: str
    values: Sequence[int]

    @property
    def total(self) -> int:
        return sum(self.values)


@dataclass(frozen=True)
class Bar:
    """One segment of the stack of a day or month, in SVG units."""

    x: str
    y: str
    width: str
    height: str
    tone: str
    title: str


@dataclass(frozen=True)
class Mark:
    """A label on an axis, in SVG units."""

    text: str
    x: str
    y: str


@dataclass(frozen=True)
class BarChart:
    """Everything the template needs. Coordinates are text, so that no locale puts a comma into them."""

    series: Sequence[Series]
    days: Sequence[date]
    bars: Sequence[Bar]
    lines: Sequence[Mark]
    labels: Sequence[Mark]
    is_monthly: bool = False
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT

    @property
    def is_empty(self) -> bool:
        return not self.bars

    @property
    def table(self) -> list[tuple[date, list[int]]]:
        """The same numbers for screen readers: days with the newest first, and months, which are to come, in order."""
        rows = [
            (day, [series.values[at] for series in self.series])
            for at, day in enumerate(self.days)
        ]
        return rows if self.is_monthly else rows[::-1]


def bar_chart(
    days: Sequence[date], series: Sequence[Series], *, is_monthly: bool = False
) -> BarChart:
    """A chart with one stack per day, or per month by its first day. Each series has one value for each."""
    labels = [f"{day:%b %Y}" if is_monthly else f"{day:%-d %b}" for day in days]
    top = _top_of_scale(
        max(
            (
                sum(values)
                for values in zip(*(one.values for one in series), strict=True)
            ),
            default=0,
        )
    )
    left = max(LEFT, FIGURE_WIDTH * len(f"{top:,}") + 8 - OUTSIDE)
    return BarChart(
        series=series,
        days=days,
        bars=list(_bars(labels, series, top, left)),
        lines=[
            Mark(f"{value:,}", str(left - 8), _number(_y(value, top)))
            for value in range(0, top + 1, top // 4)
        ],
        labels=list(_labels(labels, left)),
        is_monthly=is_monthly,
        left=left,
    )


def _bars(
    labels: Sequence[str], series: Sequence[Series], top: int, left: int
) -> Iterator[Bar]:
    slot = (WIDTH - left - RIGHT) / max(len(labels), 1)
    for at, label in enumerate(labels):
        below = 0
        for one in series:
            value = one.values[at]
            if value:
                y, height = (
                    _y(below + value, top),
                    _y(below, top) - _y(below + value, top),
                )
                title = f"{label}: {value:,} {one.label}"
                x = left + slot * (at + 0.18)
                yield Bar(
                    _number(x),
                    _number(y),
                    _number(slot * 0.64),
                    _number(height),
                    one.tone,
                    title,
                )
            below += value


def _labels(labels: Sequence[str], left: int) -> Iterator[Mark]:
    slot = (WIDTH - left - RIGHT) / max(len(labels), 1)
    every = -(-len(labels) // LABELS_AT_MOST) or 1
    for at in range((len(labels) - 1) % every, len(labels), every):
        yield Mark(labels[at], _number(left + slot * (at + 0.5)), str(HEIGHT - 6))


def _top_of_scale(highest: int) -> int:
    """The top of the axis: the smallest four equal, round steps that reach `highest`."""
    sizes = (
        tenths * int(10**power) // 10
        for power in count()
        for tenths in (10, 15, 20, 25, 30, 40, 50, 60, 80)
    )
    return next(4 * size for size in sizes if 4 * size >= highest)


def _y(value: int, top: int) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)


def _number(value: float) -> str:
    return f"{value:.1f}"


@dataclass(frozen=True)
class FunnelBar:
    """A step of a funnel, in SVG units: its bar, and the corners of the shape below it ("" for the last)."""

    label: str
    count: int
    x: str
    y: str
    width: str
    middle: str
    narrowing: str


@dataclass(frozen=True)
class FunnelChart:
    """The steps of a funnel, each as wide as its share of the first one."""

    bars: Sequence[FunnelBar]
    height: int
    width: int = WIDTH
    bar_height: int = STEP_HEIGHT
    label_end: int = LABEL_WIDTH - 16


def funnel_chart(steps: Sequence[tuple[str, int]]) -> FunnelChart:
    """A chart of these steps and their numbers, none of them higher than the one before."""
    most = max((number for _, number in steps), default=0) or 1
    centre, widest = (
        (LABEL_WIDTH + WIDTH - COUNT_WIDTH) / 2,
        WIDTH - LABEL_WIDTH - COUNT_WIDTH,
    )
    widths = [widest * number / most for _, number in steps]
    tops = [at * (STEP_HEIGHT + STEP_GAP) for at in range(len(steps))]
    bars = [
        FunnelBar(
            label,
            number,
            x=_number(centre - width / 2),
            y=_number(top),
            width=_number(width),
            middle=_number(top + STEP_HEIGHT / 2),
            narrowing=" ".join(
                _corners(centre, width, below, top + STEP_HEIGHT)
                for below in widths[at + 1 : at + 2]
            ),
        )
        for at, ((label, number), width, top) in enumerate(
            zip(steps, widths, tops, strict=True)
        )
    ]
    return FunnelChart(bars, tops[-1] + STEP_HEIGHT if tops else 0)


def _corners(centre: float, upper: float, lower: float, top: float) -> str:
    """The corners of the shape that narrows from one bar to the next."""
    sides = (
        (-upper, top),
        (upper, top),
        (lower, top + STEP_GAP),
        (-lower, top + STEP_GAP),
    )
    return " ".join(f"{_number(centre + width / 2)},{_number(y)}" for width, y in sides)
