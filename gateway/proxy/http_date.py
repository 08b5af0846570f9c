"""The Date header for answers that come without one (RFC 9110 §6.6.1: a proxy with a clock adds it)."""

import time
from email.utils import formatdate

_made: tuple[int, bytes] = (0, b"")


def http_date() -> bytes:
    """Return the time now as Date writes it (IMF-fixdate, RFC 9110 §5.6.7), made once a second."""
    global _made
    now = int(time.time())
    if _made[0] != now:
        _made = (now, formatdate(now, usegmt=True).encode())
    return _made[1]
