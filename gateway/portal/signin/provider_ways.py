"""Which identity providers the sign-in page offers, and when a browser goes to one without that page (`federation`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from gateway.config.names import mail_domain
from gateway.config.schema import Config
from gateway.config.sections.identity_providers import IdentityProvider
from gateway.model import Decision
from gateway.portal.request import PortalRequest
from gateway.portal.return_url import with_return
from gateway.session.cookie import AuxiliaryCookie

HINT = "login_hint"
_LONGEST_HINT = 256
_FRAMES = frozenset({"iframe", "frame", "embed", "object"})
_STAYS = 12 * 3600.0
"""Seconds after a sign-out for which a browser sees our page: else the next click would sign it in again, as whoever
is still signed in at the provider.
"""


@dataclass(frozen=True, slots=True)
class ProviderWays:
    """The ways to identity providers. `others` says whether there is any way in but them and the password."""

    providers: Sequence[IdentityProvider]
    auto: bool
    hides_password: bool
    others: bool
    signed_out: AuxiliaryCookie

    @classmethod
    def of(cls, config: Config, *, passkeys: bool) -> "ProviderWays":
        """Read the configuration; `passkeys` is whether people sign in with them."""
        return cls(
            providers=config.identity_providers,
            auto=config.federation.auto,
            hides_password=config.federation.hides_password,
            others=passkeys or config.email_link.enabled,
            signed_out=AuxiliaryCookie.of(config, "signed_out", shared=True),
        )

    @property
    def offered(self) -> list[tuple[str, str]]:
        """Return names and labels."""
        return [(one.name, one.label or one.name) for one in self.providers]

    @property
    def has_choice(self) -> bool:
        """Whether our page offers more than one provider."""
        return self.others or not self.hides_password or len(self.providers) > 1

    def at_once(self, request: PortalRequest) -> IdentityProvider | None:
        """Return the provider to go to instead of showing the page; None where the page is due."""
        query, headers = request.http.query, request.http.headers
        if not self.auto or query.get("auto") == "0" or "local" in query:
            return None
        # Providers refuse to be framed, so there the page with its link is all that can be shown.
        if headers.get("Sec-Fetch-Dest") in _FRAMES or self.signed_out.read(request.client.cookies):
            return None
        if len(self.providers) == 1:
            return self.providers[0]
        name, at, domain = hint_of(request).rpartition("@")
        domain = mail_domain(domain) if name and at else ""
        found = [one for one in self.providers if domain and domain in one.domains]
        return found[0] if len(found) == 1 else None

    def shows_password(self, request: PortalRequest, decision: Decision) -> bool:
        """Whether the page has the password form: also where only a password helps, and for who asks for it."""
        return not self.hides_password or "local" in request.http.query or "password" in decision.factors

    def page(self, prefix: str, rd: str) -> str:
        """Return the address of our own sign-in page, from which nobody is sent on."""
        return with_return(f"{prefix}/login", rd) + ("&auto=0" if self.auto else "")

    def stay(self, response: web.StreamResponse) -> None:
        """After a sign-out: have this browser see our page the next time."""
        if self.auto:
            self.signed_out.give(response, "1", _STAYS)

    def go_on(self, request: PortalRequest, response: web.StreamResponse) -> None:
        """Somebody chose to sign in again: from now on their browser is sent on at once."""
        if self.signed_out.read(request.client.cookies):
            self.signed_out.drop(response)


def hint_of(request: PortalRequest) -> str:
    """Return who wants to sign in, as the address says (OpenID Connect Core §3.1.2.1, `login_hint`); "" for what is no
    name.
    """
    hint = request.http.query.get(HINT, "").strip()
    return hint if len(hint) <= _LONGEST_HINT and hint.isprintable() else ""
