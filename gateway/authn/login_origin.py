"""Where somebody comes from who signs in, as factors, limits and the audit log need to know it."""

from dataclasses import dataclass

from gateway.authn.factors.base import Attempt
from gateway.model import IPAddress, Principal
from gateway.rate_limits import network_of


@dataclass(frozen=True, slots=True)
class LoginOrigin:
    """Where an attempt comes from: address, browser, host and language."""

    address: IPAddress
    user_agent: str
    host: str
    cookies: str = ""
    """The Cookie header, for the one that says which device this is."""
    origin: str = ""
    """What the browser calls the origin of our page; security keys sign it."""
    lang: str = "en"
    """The language of the page, which messages sent meanwhile share."""
    keep: bool = False
    """Whether who signs in wants to stay signed in in this browser."""

    @property
    def ip(self) -> str:
        return str(self.address)

    @property
    def network(self) -> str:
        """Return what address budgets count: the address, or the /64 of an IPv6 one."""
        return network_of(self.ip)

    def attempt(self, principal: Principal) -> Attempt:
        """Return what a factor must know of somebody who proves it from here."""
        return Attempt(
            user=principal.user,
            sid=principal.session.sid,
            ip=self.ip,
            host=self.host,
            origin=self.origin,
            lang=self.lang,
        )
