"""Which of the languages offered a browser wants most: Accept-Language (RFC 9110 §12.5.4) by lookup (RFC 4647 §3.4)."""

from collections.abc import Iterator, Sequence

_MOST = 20
"""Ranges that are looked at; a header may hold thousands."""


def preferred(accept_language: str, offered: Sequence[str]) -> str | None:
    """A tag of `offered`, or None if none of them is wanted."""
    known = {tag.casefold(): tag for tag in offered}
    ranges = sorted(_ranges(accept_language), key=lambda one: -one[1])
    for wanted, _quality in ranges:
        for tag in _shorter_and_shorter(wanted):
            if tag in known:
                return known[tag]
    return None


def _ranges(header: str) -> Iterator[tuple[str, float]]:
    """Language ranges and how much each is wanted; what is refused (q=0) or unreadable is left out."""
    for part in header.split(",")[:_MOST]:
        tag, _, parameter = part.strip().casefold().partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            quality = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if 0 < quality <= 1:
            yield tag.strip(), quality


def _shorter_and_shorter(tag: str) -> Iterator[str]:
    """zh-Hant-TW, zh-Hant, zh. A single letter goes together with what follows it."""
    parts = tag.split("-")
    while parts:
        yield "-".join(parts)
        parts.pop()
        if parts and len(parts[-1]) == 1:
            parts.pop()
