"""The name of a request, so that its lines in our log, in the app's and in a proxy's before us can be put together."""

import re
from collections.abc import Iterable
from random import getrandbits

HEADER = "X-Request-Id"
_NAME = re.compile(r"[A-Za-z0-9._:=+/@-]{1,128}")


def fresh() -> str:
    """A new one. It tells requests apart and guards nothing, so it need not be hard to guess."""
    return f"{getrandbits(64):016x}"


def given(values: Iterable[str], *, trusted: bool) -> str:
    """The name that a trusted proxy gave the request, or empty: what others send could fake a line of the log."""
    names = list(values) if trusted else []
    return names[0] if len(names) == 1 and _NAME.fullmatch(names[0]) else ""
