"""How many connections each client address has open, so that one of them can't take what is there for all (rule 7)."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address

from gateway.config.schema import HttpLimits, Network
from gateway.model import IPAddress
from gateway.request.forwarded import is_trusted

_IPV6_HOST_BITS = 64
"""A network of one customer (RFC 6177): a client has all addresses in it."""


class ConnectionShares:
    """Counts the open connections of one worker by address. Trusted proxies and unix sockets carry many clients."""

    def __init__(self, limits: HttpLimits, trusted: Sequence[Network]) -> None:
        share = limits.connections_per_address
        self._most = max(1, limits.connections // 4) if share is None else share
        self._trusted = trusted
        self._open: dict[int, int] = {}
        self._key = lru_cache(maxsize=4096)(self._work_out_key)

    def admit(self, address: IPAddress | None) -> bool:
        """Count a new connection; False if its address has more than its share. Each one also leaves, by `left`."""
        key = self._key(address)
        if key is None:
            return True
        count = self._open[key] = self._open.get(key, 0) + 1
        return count <= self._most

    def left(self, address: IPAddress | None) -> None:
        """A connection that was counted is gone."""
        key = self._key(address)
        if key is not None:
            count = self._open.get(key, 0) - 1
            if count > 0:
                self._open[key] = count
            else:
                self._open.pop(key, None)

    def _work_out_key(self, address: IPAddress | None) -> int | None:
        if address is None or is_trusted(address, self._trusted):
            return None
        # An IPv4 client of a socket that listens on both families looks like ::ffff:192.0.2.1 (RFC 4291 §2.5.5.2). It
        # must not share a key with all others of that prefix.
        if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
            return -(int(address) >> _IPV6_HOST_BITS) - 1  # below zero: never an IPv4 address
        return int(getattr(address, "ipv4_mapped", None) or address)
