"""Figures as dots with whiskers on one axis, for the page to draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from suffrage.report.numbers import WithInterval, interval, marked, number


@dataclass(frozen=True)
class PlotRow:
    """A dot and its whisker; positions in percent of the plot's width."""

    label: str
    style: str
    at: float
    low: float | None
    high: float | None
    text: str
    note: str


@dataclass(frozen=True)
class Plot:
    """Dots with whiskers on one axis."""

    rows: Sequence[PlotRow]
    lines: Sequence[tuple[float, str]]  # the floors and the ceiling, through every row
    ticks: Sequence[tuple[float, str]]

    @property
    def start(self) -> str:
        """Where the axis begins."""
        return self.ticks[0][1]


def dot_plot(
    rows: Sequence[tuple[str, str, WithInterval]],
    lines: Sequence[tuple[float, str]],
    digits: int = 2,
) -> Plot:
    """A plot of (label, style, figure) rows, and of (value, style) lines through all of them."""
    edges = [
        edge
        for _, _, figure in rows
        for edge in (figure.value, figure.low, figure.high)
        if edge is not None and math.isfinite(edge)
    ]
    edges += [value for value, _ in lines]
    ticks = axis_ticks(min(edges, default=0.0), max(edges, default=1.0))

    def place(value: float) -> float:
        # 3% of room at either end, so that no dot is cut.
        return round(3 + 94 * (value - ticks[0]) / (ticks[-1] - ticks[0]), 2)

    return Plot(
        rows=[
            PlotRow(
                label=label,
                style=style,
                at=place(figure.value),
                low=None if figure.low is None else place(figure.low),
                high=None if figure.high is None else place(figure.high),
                text=marked(figure, digits),
                note=interval(figure.low, figure.high, digits),
            )
            for label, style, figure in rows
        ],
        lines=[(place(value), style) for value, style in lines],
        ticks=[(place(tick), number(tick)) for tick in ticks],
    )


def axis_ticks(low: float, high: float) -> list[float]:
    """Round numbers from below `low` to above `high`, at most six of them."""
    for step in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        last = max(last, first + 1)
        if last - first <= 5:
            return [round(place * step, 2) for place in range(first, last + 1)]
    return [low, high]
