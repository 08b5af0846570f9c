"""The session cookie: its name, what is sealed in it, and how it gets onto a response. Hides aiohttp-session.

To the browser it is opaque; the csrf token, the session's id and whose it is are encrypted with the key ring.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

import aiohttp_session
from aiohttp import web
from aiohttp_session.cookie_storage import EncryptedCookieStorage
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from gateway.config.patterns import path_matches
from gateway.config.schema import Config
from gateway.config.schema import Session as SessionConfig
from gateway.model import Principal
from gateway.request.target import cookie_value

log = logging.getLogger("gateway.session")

_FERNET = "gAAAAA"
"""How whatever Fernet has sealed begins: version 0x80, and a time that starts with zeroes for a long time to come."""
_MAX_COOKIE = 4096
"""Characters: browsers need not keep longer ones (RFC 6265 §6.1), so none of ours is."""
_LONG_AGO = 86400.0  # seconds after its end for which a cookie still tells whose session it was
_SEALED = re.compile(r"[A-Za-z0-9_-]+={0,2}")  # one spelling only: decoders skip what follows the padding


@dataclass(frozen=True, slots=True)
class Content:
    """What a cookie of ours holds. A visitor who has not signed in has a csrf token and nothing else."""

    csrf: str
    sid: str = ""
    username: str = ""
    until: int = 0
    """When the session ends at the latest, as Unix time: once it has, the store knows nothing of it any more."""
    host: str = ""
    """The only host where it counts; "" for the portal's own, which counts wherever nothing must be handed over."""

    @classmethod
    def read(cls, sealed: dict[str, object]) -> "Content":
        """Take the fields out of the unsealed mapping; what has another type counts as absent."""
        csrf, sid, user, until, host = (
            str(sealed.get(key, "")) for key in ("csrf", "sid", "user", "until", "host")
        )
        return cls(csrf=csrf, sid=sid, username=user, until=int(until) if until.isdecimal() else 0, host=host)

    def written(self) -> dict[str, str]:
        """Return the mapping that is sealed, without fields that would say nothing."""
        bound = {"host": self.host} if self.host else {}
        if not self.sid:
            return {"csrf": self.csrf, **bound}
        return {"csrf": self.csrf, "sid": self.sid, "user": self.username, "until": str(self.until), **bound}


@dataclass(frozen=True, slots=True)
class Visit:
    """What a browser's cookie stands for: its csrf token ("" without a cookie of ours), and who is signed in."""

    csrf: str
    principal: Principal | None


class RingCookieStorage(EncryptedCookieStorage):
    """aiohttp-session's encrypted cookie, opened by any key of the ring and sealed by the newest."""

    def __init__(self, fernet: Callable[[], MultiFernet], **params: object) -> None:
        super().__init__(Fernet(Fernet.generate_key()), **params)  # type: ignore[arg-type]
        self._ring = fernet

    def open(self, cookie: str) -> dict[str, object] | None:
        """Return the mapping in the cookie, or None for anything that we did not seal."""
        if not _SEALED.fullmatch(cookie):
            return None
        try:
            sealed = self._decoder(self._ring().decrypt(cookie.encode("ascii")).decode())
        except (InvalidToken, ValueError):
            return None
        mapping = sealed.get("session") if isinstance(sealed, dict) else None
        return mapping if isinstance(mapping, dict) else None

    # Fernet encrypts and signs, so the browser can neither read nor change what is in the cookie.

    async def save_session(
        self, request: web.Request, response: web.StreamResponse, session: aiohttp_session.Session
    ) -> None:
        """Seal the session into the cookie of the response; an empty one clears the cookie."""
        if session.empty:
            self.save_cookie(response, "")
        else:
            sealed = self._ring().encrypt(self._encoder(self._get_session_data(session)).encode())
            self.save_cookie(response, sealed.decode(), max_age=session.max_age)


class SessionCookie:
    """Reads and writes the session cookie. `secure` is whether our pages are served over https; `fernet` gives the
    keys of the moment, newest first; `path` is that of `cookie_path`.
    """

    def __init__(
        self, config: SessionConfig, *, secure: bool, fernet: Callable[[], MultiFernet], path: str = "/"
    ) -> None:
        self.name = cookie_name(config.cookie_name, secure=secure, domain=config.domain, path=path)
        self._told = False
        self._storage, self._of_one_host = (
            RingCookieStorage(
                fernet,
                cookie_name=self.name,
                **cookie_flags(secure=secure, path=path, domain=domain, same_site=config.same_site),
            )
            for domain in (config.domain, None)
        )

    def open(self, value: str) -> Content | None:
        """Unseal a cookie; None for anything that we did not seal."""
        if len(value) > _MAX_COOKIE:
            return None
        sealed = self._storage.open(value)
        if sealed is None and value.startswith(_FERNET) and not self._told:
            self._told = True
            log.warning(
                "a browser sent a session cookie %s that no key of session.keys_file opens. If another gateway serves"
                " this host name at another port, give each its own session.cookie_name: cookies know no ports, and"
                " each sign-in here ends the one there. If the key ring was replaced, this is nothing new",
                self.name,
            )
        return None if sealed is None else Content.read(sealed)

    def ended(self, header: str, now: float) -> str:
        """Return the user whose session the cookie stood for, "" if it was none or it ended long before `now` (Unix
        seconds).
        """
        content = self.open(cookie_value(header, self.name))
        return content.username if content and content.until and now <= content.until + _LONG_AGO else ""

    async def write(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        content: Content | None,
        *,
        host_only: bool,
        lifetime: int | None = None,
    ) -> None:
        """Set the cookie, or clear it (`content` None). `host_only` leaves Domain out, for hosts outside
        `session.domain`. The browser keeps it for `lifetime` seconds, None until it is closed.
        """
        session = aiohttp_session.Session(None, data=None, new=True, max_age=lifetime)
        session.update(content.written() if content else {})
        storage = self._of_one_host if host_only else self._storage
        await storage.save_session(request, response, session)  # type: ignore[arg-type]


class CookieFlags(TypedDict):
    """The attributes that every cookie of ours has, as aiohttp's `set_cookie` and `del_cookie` take them."""

    path: str
    domain: str | None
    secure: bool
    httponly: bool
    samesite: str


def cookie_flags(
    *, secure: bool, path: str = "/", domain: str | None = None, same_site: str = "lax"
) -> CookieFlags:
    """Return the attributes of a cookie of ours; `domain` None means this host alone (RFC 6265 §5.3), `same_site` is
    `session.same_site`.
    """
    # HttpOnly keeps scripts from it (RFC 6265 §4.1.2.6). Lax and not Strict: a link from elsewhere, such as in an
    # e-mail, must find its user signed in, while forms of other sites are sent without it (RFC 6265bis §4.1.2.7).
    # With None a frame of another site has it, too; browsers take such a cookie over https alone (RFC 6265bis §5.7).
    samesite = "None" if same_site == "none" and secure else "Lax"
    return {"path": path, "domain": domain, "secure": secure, "httponly": True, "samesite": samesite}


def cookie_name(name: str, *, secure: bool, domain: str | None = None, path: str = "/") -> str:
    """Return a cookie's full name: with `__Host-` or `__Secure-` on https (RFC 6265bis §4.1.3), so that browsers
    refuse it from other hosts and over plain http. `__Host-` is for cookies of a whole host alone.
    """
    if not secure:
        return name
    return ("__Secure-" if domain or path != "/" else "__Host-") + name


def cookie_path(config: Config) -> str:
    """Return the Path of our cookies: that of `public_url` if all routes are below it, else "/".

    What another proxy serves beside us on that host then never receives them (RFC 6265 §5.1.4).
    """
    base = config.server.base
    return base if base and all(path_matches(base, route.path) for route in config.routes) else "/"


PURPOSES = ("kept", "trail", "nonce", "bound", "link", "register", "signed_out")
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class AuxiliaryCookie:
    """A small cookie of ours beside the session's, for this host alone, or where `domain` says for all that share the
    session. `secure`: our pages are served over https.
    """

    name: str
    secure: bool
    path: str
    domain: str | None = None
    same_site: str = "lax"

    @classmethod
    def of(cls, config: Config, purpose: str, *, shared: bool = False) -> "AuxiliaryCookie":
        """Make the cookie for `purpose`, one of PURPOSES. With `shared` the hosts of `session.domain` share it.

        The prefix of its name pins it to its host and to https (RFC 6265bis §4.1.3).
        """
        secure, path = config.server.public_url.startswith("https:"), cookie_path(config)
        domain = config.session.domain if shared else None
        name = cookie_name(f"{config.session.cookie_name}_{purpose}", secure=secure, domain=domain, path=path)
        return cls(name=name, secure=secure, path=path, domain=domain, same_site=config.session.same_site)

    def read(self, cookies: str) -> str:
        """Return the value in a Cookie header, "" if there is none."""
        value = cookie_value(cookies, self.name)
        return value if len(value) <= _LONGEST and value.isascii() else ""

    def give(self, response: web.StreamResponse, value: str, lifetime: float) -> None:
        """Set the cookie on a response, for `lifetime` seconds."""
        response.set_cookie(self.name, value, max_age=int(lifetime), **self._flags)

    def drop(self, response: web.StreamResponse) -> None:
        """Have the browser forget the cookie."""
        response.del_cookie(self.name, **self._flags)

    @property
    def _flags(self) -> CookieFlags:
        return cookie_flags(secure=self.secure, path=self.path, domain=self.domain, same_site=self.same_site)
