"""The small cookies beside the session's: for one host only, out of reach for scripts and apps (security rule 6)."""

from dataclasses import dataclass

from aiohttp import web

from gateway.config.schema import Session
from gateway.session.cookie import cookie_value

PURPOSES = ("kept", "trail", "nonce")
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class AuxiliaryCookie:
    name: str
    secure: bool

    @classmethod
    def of(cls, session: Session, purpose: str, *, secure: bool) -> "AuxiliaryCookie":
        """`purpose` is one of PURPOSES. RFC 6265bis §4.1.3: the prefix pins the cookie to its host and to https."""
        return cls(f"{'__Host-' if secure else ''}{session.cookie_name}_{purpose}", secure)

    def read(self, cookies: str) -> str:
        """The value in a Cookie header, "" if there is none."""
        value = cookie_value(cookies, self.name)
        return value if len(value) <= _LONGEST and value.isascii() else ""

    def give(self, response: web.StreamResponse, value: str, lifetime: float) -> None:
        response.set_cookie(
            self.name,
            value,
            max_age=int(lifetime),
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="Lax",
        )

    def drop(self, response: web.StreamResponse) -> None:
        response.del_cookie(self.name, path="/", secure=self.secure, httponly=True, samesite="Lax")
