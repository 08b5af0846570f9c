"""The small cookies beside the session's: for one host only, out of reach of scripts and apps (security rule 6)."""

from dataclasses import dataclass

from aiohttp import web

from gateway.config.schema import Session
from gateway.session.cookie import cookie_flags, cookie_name, cookie_value

PURPOSES = ("kept", "trail", "nonce")
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class AuxiliaryCookie:
    name: str
    secure: bool

    @classmethod
    def of(cls, session: Session, purpose: str, *, secure: bool) -> "AuxiliaryCookie":
        """Make the cookie for `purpose`, one of PURPOSES. `secure` says whether our pages are served over https.

        The prefix of its name pins it to its host and to https (RFC 6265bis §4.1.3).
        """
        return cls(cookie_name(f"{session.cookie_name}_{purpose}", secure=secure), secure)

    def read(self, cookies: str) -> str:
        """Return the value in a Cookie header, "" if there is none."""
        value = cookie_value(cookies, self.name)
        return value if len(value) <= _LONGEST and value.isascii() else ""

    def give(self, response: web.StreamResponse, value: str, lifetime: float) -> None:
        """Set the cookie on a response, for `lifetime` seconds."""
        response.set_cookie(self.name, value, max_age=int(lifetime), **cookie_flags(secure=self.secure))

    def drop(self, response: web.StreamResponse) -> None:
        """Have the browser forget the cookie."""
        response.del_cookie(self.name, **cookie_flags(secure=self.secure))
