"""Binds sessions to a key of their browser (`session.bind.device`; Device Bound Session Credentials, W3C draft).

Once its browser has registered a key, the session's cookie counts only beside a second one, the bound cookie, which
lives for minutes and which only a proof with that key renews. Sessions without a key go on as before; a session with
one never goes back, whatever the configuration says by then. No I/O here.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from cryptography.fernet import InvalidToken, MultiFernet

from gateway.clock import Clock
from gateway.config.schema import Session as SessionConfig
from gateway.model import Principal, SessionRecord
from gateway.request.target import cookie_header, cookie_value
from gateway.session.binding import Client
from gateway.session.cookie import CookieFlags, Visit, cookie_flags, cookie_name

Keyless = Callable[[Principal, Client], Awaitable[None]]
"""Of whose session was used, and from where."""
REGISTERING, REFRESHING = "register", "refresh"
"""What a challenge is for."""
CHALLENGE_LIFETIME = 120.0
"""Seconds: a security chip may take some to make a key, and pages in the background wait for their turn."""
IN_FLIGHT = 30.0
"""Seconds for which requests still pass that were sent before the browser had the bound cookie, or its next one."""
_LONGEST = 1024
_KNOWN = 8192


@dataclass(frozen=True, slots=True)
class KeyEndpoints:
    """Where browsers register keys and renew bound cookies: paths, or whole URLs where all hosts share the session.

    `origin` is that of the whole site, "" where the session is the one host's.
    """

    register: str
    refresh: str
    origin: str = ""


class DeviceBinding:
    """Makes and reads bound cookies, and the challenges that keys sign. One per worker."""

    def __init__(
        self,
        config: SessionConfig,
        *,
        secure: bool,
        fernet: Callable[[], MultiFernet],
        endpoints: KeyEndpoints,
        clock: Clock,
        path: str = "/",
    ) -> None:
        """`secure` is whether our pages are served over https, `path` that of our cookies."""
        self.offered, self._lifetime = config.bind.device, config.bind.device_refresh
        name = f"{config.cookie_name}_bound"
        self.cookie_name = cookie_name(name, secure=secure, domain=config.domain, path=path)
        self._flags: CookieFlags = cookie_flags(
            secure=secure, path=path, domain=config.domain, same_site=config.same_site
        )
        self._fernet, self._endpoints, self._clock = fernet, endpoints, clock
        self._known: dict[str, tuple[str, float]] = {}
        self.on_keyless: Keyless | None = None
        """Called when the cookie of a bound session came without the bound cookie."""

    # -- the bound cookie ------------------------------------------------------------------------------------------

    def value(self, header: str) -> str:
        """Return the bound cookie as it stands in a Cookie header, "" if there is none."""
        return cookie_value(header, self.cookie_name)

    def holds(self, record: SessionRecord, bound: str) -> bool:
        """Whether a request with this bound cookie ("" for none) may use the session."""
        if not record.device_id:
            return True
        now = self._clock()
        # The pages that follow a sign-in are under way while the browser makes its key.
        if record.device_at <= now < record.device_at + IN_FLIGHT:
            return True
        device_id, until = self._read(bound)
        return device_id == record.device_id and now < until

    async def checked(self, visit: Visit, bound: str, client: Client) -> Visit:
        """Return the visit, or one of nobody where the session is bound to a key that this request does not show."""
        if visit.principal is None or self.holds(visit.principal.session, bound):
            return visit
        if self.on_keyless is not None:
            await self.on_keyless(visit.principal, client)
        return Visit("", None)

    def _read(self, bound: str) -> tuple[str, float]:
        """Of which key a bound cookie is, and until when (Unix seconds); "" for what we did not make."""
        if not bound or len(bound) > _LONGEST:
            return "", 0.0
        known = self._known.get(bound)
        if known is None:
            said = self._opened(bound)
            known = (str(said.get("bound", "")), float(said.get("until", 0)))  # type: ignore[arg-type]  # ours
            if known[0]:  # only what is ours: a ring may learn a key later
                if len(self._known) >= _KNOWN:
                    self._known.clear()
                self._known[bound] = known
        return known

    def give(self, response: web.StreamResponse, record: SessionRecord) -> None:
        """Set a fresh bound cookie."""
        until = self._clock() + self._lifetime + IN_FLIGHT
        value = self._sealed({"bound": record.device_id, "until": until})
        response.set_cookie(self.cookie_name, value, max_age=int(self._lifetime), **self._flags)

    def drop(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Have the browser forget its bound cookie, if it sent one."""
        if self.value(cookie_header(request.headers)):
            response.del_cookie(self.cookie_name, **self._flags)

    # -- the protocol ----------------------------------------------------------------------------------------------

    def offer(self, response: web.StreamResponse, record: SessionRecord, host: str = "") -> None:
        """Ask the browser for a key of this session. Browsers that don't know the header go on without.

        `host` is a remote host whose cookie goes with it: there is no key there.
        """
        if not self.offered or record.device_id or host:
            return
        challenge = self.challenge(REGISTERING, record.sid)
        response.headers["Secure-Session-Registration"] = (
            f'(ES256 RS256);path="{self._endpoints.register}";challenge="{challenge}"'
        )

    def challenge(self, purpose: str, of: str) -> str:
        """Make a challenge for REGISTERING a session's key or REFRESHING with a key; `of` is its id."""
        return self._sealed({"challenge": purpose, "of": of, "at": self._clock()})

    def accepts(self, challenge: str, purpose: str, of: str) -> bool:
        """Whether we made this challenge for that, a moment ago. That it is used once is for the caller."""
        said = self._opened(challenge) if len(challenge) <= _LONGEST else {}
        at = said.get("at")
        return (
            said.get("challenge") == purpose
            and said.get("of") == of
            and isinstance(at, float)
            and 0 <= self._clock() - at < CHALLENGE_LIFETIME
        )

    def instructions(self, record: SessionRecord) -> dict[str, object]:
        """Return what the browser is told of its bound session (JSON session instructions)."""
        site: dict[str, object] = {"include_site": bool(self._endpoints.origin)}
        if self._endpoints.origin:
            site["origin"] = self._endpoints.origin
        return {
            "session_identifier": record.device_id,
            "refresh_url": self._endpoints.refresh,
            "scope": site,
            "credentials": [{"type": "cookie", "name": self.cookie_name, "attributes": self._attributes()}],
            # Whoever follows a link of another site to an app comes from there, and must find the session. The cookie
            # is Lax: other sites see no more of this than how long such a page takes.
            "allowed_refresh_initiators": ["*"],
        }

    def _attributes(self) -> str:
        flags = self._flags
        parts = [f"Domain={flags['domain']}"] if flags["domain"] else []
        parts += [f"Path={flags['path']}", *(["Secure"] if flags["secure"] else []), "HttpOnly"]
        return "; ".join((*parts, f"SameSite={flags['samesite']}"))

    def _sealed(self, said: dict[str, object]) -> str:
        return self._fernet().encrypt(json.dumps(said).encode()).decode()

    def _opened(self, sealed: str) -> dict[str, object]:
        """Return what we sealed, {} for anything else."""
        try:
            said = json.loads(self._fernet().decrypt(sealed.encode("ascii")))
        except (InvalidToken, ValueError):
            return {}
        return said if isinstance(said, dict) else {}
