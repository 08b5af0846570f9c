"""By whom Envoy, our front door, has clients' certificates checked, and which workers believe it.

A connection that is open when the authorities change goes on for a while, with a certificate of one that may have been
withdrawn. So Envoy tells with each certificate a number that grows whenever one is; a worker takes no smaller number
than stood in the private folder when it began.
"""

import re
from pathlib import Path

from gateway.engines.front_place import AUTHORITIES, CheckedBy

_CERTIFICATE = re.compile(r"-----BEGIN [A-Z0-9 ]*CERTIFICATE-----(.*?)-----END", re.DOTALL)


class Authorities:
    """Those of one Envoy, in its private folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / AUTHORITIES
        self._known: frozenset[str] = frozenset()
        self._number = 0

    def take(self, pem: str) -> CheckedBy:
        """Note those that count from now on. Raises OSError."""
        found = frozenset("".join(text.split()) for text in _CERTIFICATE.findall(pem))
        if not self._known <= found:
            self._number += 1
        self._known = found
        new = self._file.with_suffix(".new")
        new.write_text(str(self._number))
        new.replace(self._file)
        return CheckedBy(pem, self._number)


def number_in(folder: Path) -> int:
    """Return the number of the authorities that count now: 0 before Envoy is told of the first. Raises OSError."""
    file = folder / AUTHORITIES
    return int(file.read_text()) if file.exists() else 0
