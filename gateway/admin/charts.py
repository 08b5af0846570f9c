"""Bar charts as plain numbers for an SVG in a template. Pure; the template also shows the numbers as a table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 180, 44, 24
NARROW = 320
"""The width that fits a phone, with letters of the same size."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart. `kind` picks the colour; `hint` is what hovering tells."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    hint: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as its template draws it. `series`: name -> one value for each label. `ticks` are position and label
    along the bottom.
    """

    labels: tuple[str, ...]
    series: dict[str, tuple[int, ...]]
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    top: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    base: int = HEIGHT - BOTTOM
    narrow: "Chart | None" = None
    """The same for a phone."""

    @property
    def empty(self) -> bool:
        return not any(any(values) for values in self.series.values())


def bar_chart(labels: Sequence[str], series: dict[str, Sequence[int]], ticks: int = 6) -> Chart:
    """Bars of all series side by side at each label."""
    return replace(_drawn(labels, series, ticks, WIDTH), narrow=_drawn(labels, series, ticks // 2, NARROW))


def _drawn(labels: Sequence[str], series: dict[str, Sequence[int]], ticks: int, wide: int) -> Chart:
    top = _round_up(max((max(values, default=0) for values in series.values()), default=0))
    slot = (wide - LEFT) / max(len(labels), 1)
    width = slot * 0.8 / max(len(series), 1)
    base = HEIGHT - BOTTOM
    bars = []
    for place, (kind, values) in enumerate(series.items()):
        for index, value in enumerate(values):
            height = round((base - 8) * value / top, 1)
            x = round(LEFT + index * slot + slot * 0.1 + place * width, 1)
            if value:
                bars.append(
                    Bar(
                        x=x,
                        y=base - height,
                        width=round(width, 1),
                        height=height,
                        kind=kind,
                        hint=f"{labels[index]}: {value}",
                    )
                )
    every = max(1, len(labels) // ticks)
    marks = [(round(LEFT + (i + 0.5) * slot, 1), label) for i, label in enumerate(labels) if i % every == 0]
    kept = {kind: tuple(values) for kind, values in series.items()}
    return Chart(labels=tuple(labels), series=kept, bars=tuple(bars), ticks=tuple(marks), top=top, width=wide)


def _round_up(value: int) -> int:
    """The next 1, 2 or 5 with zeros, so that the scale reads well."""
    size = 1
    while True:
        for step in (1, 2, 5):
            if value <= step * size:
                return step * size
        size *= 10
