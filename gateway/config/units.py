"""Durations ("90s", "5m", "1h30m", "30d") and sizes ("64KiB", "1MB", "unlimited") as people write them."""

import re
from typing import Annotated

from pydantic import BeforeValidator

_DURATION = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = {
    "": 1, "B": 1,
    "kB": 1000, "KB": 1000, "MB": 1000**2, "GB": 1000**3,
    "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3,
}  # fmt: skip
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SIZE_TEXT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_duration(value: object) -> object:
    """Seconds as float from "1h30m", or from a bare number of seconds. Raises ValueError with the accepted form."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < 0:
            raise ValueError("a duration can't be negative")
        return float(value)
    if isinstance(value, str):
        text = value.strip()
        parts = _DURATION_PART.findall(text)
        if parts and "".join(a + b for a, b in parts) == text:
            return sum(float(amount) * _DURATION[unit] for amount, unit in parts)
    raise ValueError('write a duration like "30s", "5m", "1h30m" or "30d"')


def parse_size(value: object) -> object:
    """Bytes as int from "10MiB"; "unlimited" is 0. Raises ValueError with the accepted form."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        if value.strip() == "unlimited":
            return 0
        match = _SIZE_TEXT.fullmatch(value.strip())
        if match and match[2] in _SIZE:
            return int(float(match[1]) * _SIZE[match[2]])
    raise ValueError('write a size like "64KiB", "10MB" or "unlimited"')


Duration = Annotated[float, BeforeValidator(parse_duration)]
"""Seconds."""
Size = Annotated[int, BeforeValidator(parse_size)]
"""Bytes; 0 means unlimited."""
