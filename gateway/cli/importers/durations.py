"""How long something lasts, as Go programs and Authelia write it."""

import re

from gateway.cli.importers.findings import Values

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 30 * 86400, "y": 365 * 86400}
_WORDS = {"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w", "month": "M", "year": "y"}
_PART = re.compile(r"(\d+)\s*([A-Za-z]*)")
_OUR_IDLE = 3600


def seconds_of(text: object) -> int | None:
    """ "1h", "1 hour", "1h30m", 3600. None for anything else."""
    parts = _PART.findall(str(text))
    if not parts or _PART.sub("", str(text)).strip(" ,and"):
        return None
    total = 0
    for number, unit in parts:
        short = _WORDS.get(unit.lower().removesuffix("s"), unit)
        if short not in _SECONDS:
            return None
        total += int(number) * _SECONDS[short]
    return total


def times_of_session(text: object) -> Values:
    """Our time-outs for sessions that ended after `text` whatever their use; {} if it says no time span."""
    seconds = seconds_of(text)
    if not seconds:
        return {}
    return {"idle_timeout": f"{min(seconds, _OUR_IDLE)}s", "absolute_timeout": f"{seconds}s"}
