"""Durations ("90s", "5m", "1h30m", "30d") and sizes ("64KiB", "1MB", "unlimited") as people write them."""

import re
from typing import Annotated

from pydantic import BeforeValidator

from gateway.config.sections.base import Words

_DURATION = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = {
    "": 1,
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
_DURATION_PART = re.compile(r"([0-9]+(?:[.][0-9]+)?)(ms|s|m|h|d|w)")
_OUT_OF_MEASURE = 1e16
_SIZE_TEXT = re.compile(r"([0-9]+(?:[.][0-9]+)?)\s*([A-Za-z]*)")


def parse_duration(value: object) -> object:
    """Seconds as float from "1h30m", or from a bare number of seconds. Raises ValueError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < 0:
            raise ValueError("a duration can't be negative")
        return _finite(float(value))
    if isinstance(value, str):
        text = value.strip()
        parts = _DURATION_PART.findall(text)
        if parts and "".join(a + b for a, b in parts) == text:
            return _finite(sum(float(amount) * _DURATION[unit] for amount, unit in parts))
    raise ValueError('write a duration like "30s", "5m", "1h30m" or "30d"')


def parse_size(value: object) -> object:
    """Bytes as int from "10MiB"; "unlimited" is 0. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return int(_finite(value))
    if isinstance(value, str):
        if value.strip() == "unlimited":
            return 0
        match = _SIZE_TEXT.fullmatch(value.strip())
        if match and match[2] in _SIZE:
            return int(_finite(float(match[1]) * _SIZE[match[2]]))
    raise ValueError('write a size like "64KiB", "10MB" or "unlimited"')


def _finite(amount: float) -> float:
    if not amount < _OUT_OF_MEASURE:  # also true for NaN
        raise ValueError("the amount is out of every measure")
    return amount


def show_duration(seconds: float) -> str:
    """The shortest spelling that parse_duration reads back: 5400 -> "1h30m"."""
    left = round(seconds * 1000)
    text = ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        amount, left = divmod(left, size)
        text += f"{amount}{unit}" if amount else ""
    return text or "0s"


def show_size(size: int) -> str:
    """Return the shortest spelling that parse_size reads back as this number of bytes: 32768 -> "32KiB"."""
    if size == 0:
        return "unlimited"
    fitting = [unit for unit in ("GiB", "MiB", "KiB") if size % _SIZE[unit] == 0]
    return f"{size // _SIZE[fitting[0]]}{fitting[0]}" if fitting else f"{size}B"


Duration = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=float | str),
    Words("a duration such as `30s`, `5m`, `1h30m` or `30d`", show_duration),
]
"""Seconds."""
Size = Annotated[
    int,
    BeforeValidator(parse_size, json_schema_input_type=int | str),
    Words("a size such as `64KiB`, `10MB` or `unlimited`", show_size),
]
"""Bytes; 0 means unlimited."""


def parse_kept_size(value: object) -> object:
    """Bytes that may be kept; 0 keeps nothing, and there is no "unlimited". Raises ValueError."""
    if isinstance(value, str) and value.strip() == "unlimited":
        raise ValueError("what is kept has a limit: write a size up to 4MiB, or 0 for none")
    size = parse_size(value)
    if isinstance(size, int) and size > LARGEST_KEPT:
        raise ValueError("write a size up to 4MiB, or 0 for none")
    return size


LARGEST_KEPT = 4 * 1024 * 1024
KeptSize = Annotated[
    int,
    BeforeValidator(parse_kept_size, json_schema_input_type=int | str),
    Words("a size up to `4MiB`, or `0` for none", lambda size: show_size(size) if size else "0"),
]
"""Bytes; 0 means none."""
