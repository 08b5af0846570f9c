"""The id of a request (X-Request-Id), by which lines of our log, the app's and a proxy's before us belong
together.
"""

import re
from collections.abc import Iterable
from random import getrandbits

HEADER = "X-Request-Id"
_NAME = re.compile(r"[A-Za-z0-9._:=+/@-]{1,128}")


def fresh() -> str:
    """Make an id. It tells requests apart and guards nothing, so it need not be hard to guess."""
    return f"{getrandbits(64):016x}"


def given(values: Iterable[str], *, trusted: bool) -> str:
    """Return the id that a trusted proxy gave the request, or "": what others send could fake a line of the log."""
    names = list(values) if trusted else []
    return names[0] if len(names) == 1 and _NAME.fullmatch(names[0]) else ""
