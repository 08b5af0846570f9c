"""Who is attacked, and from where: failed sign-ins of the last day as the audit log has them, user by user.

A lock says that somebody guesses; operators need to know at whom, how often, from which networks and since when.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.rate_limits import network_of
from gateway.stores.protocols.audit import AuditSearch, Failures

EVENTS = ("password_failed", "code_failed")
WINDOW = 86400.0
"""Seconds that are looked at."""
LEAST = 10
"""Failures from which on a user counts as attacked: as many as close the account to strangers for ten minutes."""
MOST = 50
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Attack:
    """What was tried on one user (or on a name that no user has, as a fingerprint). Times are Unix seconds.

    `networks` are those with the most failures, with how many; `others` is how many further addresses there are.
    """

    username: str
    count: int
    networks: tuple[tuple[str, int], ...]
    others: int
    since: float
    last: float

    @property
    def origins(self) -> list[str]:
        """The networks as the log has them, such as "198.51.100.7 (62)"."""
        return [f"{network} ({count})" for network, count in self.networks]


class Attacks:
    """Reads the audit log. Methods raise StoreUnavailable."""

    def __init__(self, search: AuditSearch, clock: Clock) -> None:
        self._search, self._clock = search, clock

    async def now(self) -> Sequence[Attack]:
        """Return users with many failures, the most first."""
        found = await self._search.failures(EVENTS, self._clock() - WINDOW, least=LEAST, most=MOST)
        return [_attack(one) for one in found]

    async def on(self, username: str) -> Attack | None:
        """Return what was tried on one user, None if nothing failed."""
        since = self._clock() - WINDOW
        found = await self._search.failures(EVENTS, since, least=1, most=1, username=username)
        return _attack(found[0]) if found else None


def _attack(found: Failures) -> Attack:
    networks: Counter[str] = Counter()
    for ip, count in found.addresses:
        networks[_network(ip)] += count
    shown = tuple(networks.most_common(_SHOWN))
    listed = sum(1 for ip, _ in found.addresses if _network(ip) in dict(shown))
    return Attack(
        username=found.username,
        count=found.count,
        networks=shown,
        others=found.address_count - listed,
        since=found.first,
        last=found.last,
    )


def _network(ip: str) -> str:
    try:
        return network_of(ip)
    except ValueError:  # a unix socket, or the command line
        return ip or "-"
