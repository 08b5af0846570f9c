"""Links that work once, and in the browser that asked for them alone: what sign-in and registration by mail share.

The browser has a secret in a cookie, whose digest is kept beside what the link is for. Looking uses nothing up, so
programs that open the links of mails spoil none.
"""

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256

from gateway.stores.protocols.ledger import Ledger

_LONGEST = 128


class LinkState(Enum):
    """What a link is worth in the browser that shows it."""

    GOOD = "good"
    ELSEWHERE = "elsewhere"
    """It was asked for in another browser, where it may still be good."""
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class FoundLink:
    """What a link was worth, and what it is for: that is empty unless it is good here."""

    state: LinkState
    about: Mapping[str, object] = field(default_factory=dict)


class BoundLinks:
    """Makes links and takes them back. `kind` keeps links for one purpose from being worth anything for another;
    `lifetime` is in seconds.
    """

    def __init__(
        self,
        kind: str,
        ledger: Ledger,
        *,
        lifetime: float,
        token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._kind, self._ledger, self.lifetime, self._token = kind, ledger, lifetime, token

    async def issue(self, browser: str, about: Mapping[str, object]) -> str:
        """Make a token for the browser with this secret, and return it. `about` must be fit for JSON."""
        token = self._token()
        kept = {"browser": _digest(browser), "about": dict(about)}
        await self._ledger.put(self.slot(token), json.dumps(kept).encode(), self.lifetime)
        return token

    async def look(self, token: str, browser: str) -> FoundLink:
        """Return what the link is worth in the browser with this secret; looking uses nothing up."""
        return _judged(await self._ledger.get(self.slot(token)), browser)

    async def take(self, token: str, browser: str) -> FoundLink:
        """Use the link up, if it is good here: of two takers one gets it."""
        seen = await self.look(token, browser)
        if seen.state is not LinkState.GOOD:
            return seen
        return _judged(await self._ledger.take(self.slot(token)), browser)

    def slot(self, token: str) -> str:
        """Return under which key a link is kept; it does not tell the token."""
        return f"{self._kind}:{sha256(token[:_LONGEST].encode(errors='surrogatepass')).hexdigest()}"


def _judged(stored: bytes | None, browser: str) -> FoundLink:
    if stored is None:
        return FoundLink(LinkState.GONE)
    kept = json.loads(stored)
    if not browser or not hmac.compare_digest(kept["browser"], _digest(browser)):
        return FoundLink(LinkState.ELSEWHERE)
    about = kept.get("about")  # links that another version of ours made are over
    return FoundLink(LinkState.GOOD, about) if isinstance(about, dict) else FoundLink(LinkState.GONE)


def _digest(browser: str) -> str:
    return sha256(browser.encode()).hexdigest()
