"""Decides whether a browser may be sent to an address that an app names: only to one that is registered. Pure.

RFC 9700 §2.1: exact comparison, no patterns, no normalising. The one exception is the port of a native app's loopback
address, which the app's machine picks when it starts to listen (RFC 8252 §7.3).
"""

import re
from collections.abc import Sequence

_LOOPBACK = re.compile(
    r"(?P<host>http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::(?P<port>[1-9][0-9]{0,4}))?(?P<rest>/.*)?"
)


def is_registered(registered: Sequence[str], asked: str, *, native: bool) -> bool:
    """`native` apps are those without a secret."""
    return asked in registered or (native and any(_differ_by_port(known, asked) for known in registered))


def _differ_by_port(known: str, asked: str) -> bool:
    ours, theirs = _LOOPBACK.fullmatch(known), _LOOPBACK.fullmatch(asked)
    if ours is None or theirs is None or int(theirs["port"] or 80) > 65535:
        return False
    return ours["host"] == theirs["host"] and ours["rest"] == theirs["rest"]
