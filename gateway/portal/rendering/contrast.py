"""Brand colours made readable: WCAG 2.2 contrast (1.4.3, 1.4.11), computed once when the gateway starts.

Pure arithmetic on "#rrggbb" strings. It must not know about pages or CSS.
"""

from collections.abc import Sequence

BLACK, WHITE = "#000000", "#ffffff"
TEXT, SHAPE = 4.5, 3.0
"""Smallest contrast of text (WCAG 1.4.3 AA) and of the edges of controls (1.4.11)."""


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _linear(channel: int) -> float:
    share = channel / 255
    # WCAG prints 0.03928; sRGB says 0.04045. No 8-bit value lies between the two.
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def luminance(color: str) -> float:
    red, green, blue = map(_linear, _channels(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def text_on(background: str) -> str:
    """Black or white, whichever reads better. The better one never falls below 4.58."""
    return max((WHITE, BLACK), key=lambda text: contrast(text, background))


def mix(color: str, towards: str, share: float) -> str:
    """Return `color` (as #rrggbb), moved towards another by `share`, between 0 and 1."""
    pairs = zip(_channels(color), _channels(towards), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def readable(color: str, backgrounds: Sequence[str], minimum: float = TEXT) -> str:
    """Return the shade nearest to `color` that reads on all of `backgrounds`, which are all light or all dark.

    `minimum` is the contrast ratio that is wanted (WCAG 2.2 §1.4.3).
    """
    pole = text_on(backgrounds[0])
    shades = (mix(color, pole, step / 50) for step in range(50))
    good = (shade for shade in shades if min(contrast(shade, back) for back in backgrounds) >= minimum)
    return next(good, pole)
