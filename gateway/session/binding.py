"""Binds sessions to where they were proven (`session.bind`): a cookie that turns up elsewhere opens nothing there.

What is compared is the address and the User-Agent of the last proof, which the session's record has. The session itself
goes on where it belongs: whoever has a copy of the cookie could else sign its owner out.
"""

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import ip_address, ip_network

from gateway.config.sections.session import Bind
from gateway.model import IPAddress, Principal, SessionRecord
from gateway.session.cookie import Visit

Client = IPAddress | None
"""Where a request comes from, None where nobody said."""
Elsewhere = Callable[[Principal, Client, tuple[str, ...]], Awaitable[None]]
"""Of whose session was used, from where, and what differs from where it was proven."""
LONGEST_AGENT = 300
"""Characters of a User-Agent that records keep."""
_MINOR = re.compile(r"(?<=\d)[._]\d[\w.]*")
_DIGITS = re.compile(r"[\d._]+")


class SessionBinding:
    """Says what of a request is not as it was at the last proof. `country_of` is an address' country ("" = unknown)."""

    def __init__(self, config: Bind, country_of: Callable[[IPAddress], str]) -> None:
        self._config, self._country_of = config, country_of
        self._compared = lru_cache(maxsize=8192)(self._compare)
        self.on_elsewhere: Elsewhere | None = None
        """Called when a cookie is used where its session does not belong."""

    async def checked(self, visit: Visit, client: Client, agent: str) -> Visit:
        """Return the visit, or one of nobody where its session does not belong."""
        if visit.principal is None:
            return visit
        differs = self.differs(visit.principal.session, client, agent)
        if not differs:
            return visit
        if self.on_elsewhere is not None:
            await self.on_elsewhere(visit.principal, client, differs)
        return Visit("", None)

    def differs(self, record: SessionRecord, client: Client, agent: str) -> tuple[str, ...]:
        """Return the names of what differs, of `network`, `country`, `user_agent`; () where the session belongs."""
        return self._compared(record.ip, record.user_agent, client, agent[:LONGEST_AGENT])

    def _compare(self, ip: str, before: str, client: Client, agent: str) -> tuple[str, ...]:
        config, found = self._config, []
        try:
            began = ip_address(ip)
        except ValueError:
            began = None
        if config.network and not self._same_network(began, client):
            found.append("network")
        if config.country and not self._same_country(began, client):
            found.append("country")
        if config.user_agent and _kind(before, config.user_agent) != _kind(agent, config.user_agent):
            found.append("user_agent")
        return tuple(found)

    def _same_network(self, began: IPAddress | None, client: Client) -> bool:
        """Addresses of two families, and those that can't be read, are not in one network."""
        if began is None or client is None or began.version != client.version:
            return False
        prefix = self._config.network if began.version == 4 else self._config.network6
        return client in ip_network(f"{began}{prefix}", strict=False)

    def _same_country(self, began: IPAddress | None, client: Client) -> bool:
        if began is None or client is None:
            return False
        return began == client or self._country_of(began) == self._country_of(client)


def _kind(agent: str, how: str) -> str:
    """The User-Agent with main versions only ("major"), or without any ("browser")."""
    return (_MINOR if how == "major" else _DIGITS).sub("", agent)
