"""Horizontal bars as SVG text, in groups; drawn by hand, so that the plot needs no library."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, LABELS, RIGHT = 760, 210, 70
BAR, GAP, TITLE = 18, 6, 30
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#57606a}.title{font-weight:600}"
    ".bar{fill:#8c959f}.ours{fill:#2f5bea}.target{stroke:#cf222e;stroke-dasharray:4 3}"
    "@media(prefers-color-scheme:dark){text{fill:#c9d1d9}}"
)

Group = tuple[str, Mapping[str, float], float | None]
"""Title, figure of each server, and the target that a dashed line marks."""


def bars(groups: Sequence[Group], ours: str) -> str:
    """`ours` is how the names begin that are drawn in colour."""
    parts: list[str] = []
    top = 8
    for title, figures, target in groups:
        part, top = _group(title, figures, target, top, ours)
        parts += part
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img">'
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _group(
    title: str, figures: Mapping[str, float], target: float | None, top: int, ours: str
) -> tuple[list[str], int]:
    scale = (WIDTH - LABELS - RIGHT) / max([*figures.values(), target or 0, 1e-9])
    parts = [f'<text class="title" x="0" y="{top + 16}">{escape(title)}</text>']
    first = top = top + TITLE
    for name, value in figures.items():
        kind = "bar ours" if name.startswith(ours) else "bar"
        length = max(1.0, value * scale)
        parts += [
            f'<text x="{LABELS - 8}" y="{top + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{LABELS}" y="{top}" width="{length:.1f}" height="{BAR}"/>',
            f'<text x="{LABELS + length + 6:.1f}" y="{top + 14}">{value:.2f}</text>',
        ]
        top += BAR + GAP
    if target is not None:
        x = LABELS + target * scale
        parts.append(f'<line class="target" x1="{x:.1f}" y1="{first - 4}" x2="{x:.1f}" y2="{top}"/>')
    return parts, top + GAP
