"""Apps that are not listed in the configuration: those that registered themselves (RFC 7591), and those whose id is the
address of a document about them (client-id metadata documents).

All of them are public clients with PKCE, ask their users each time, and may do what `oidc.self_registration` says. What
they say of themselves is believed of nobody: only where users are sent back to matters, and that has to be allowed.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from urllib.parse import urlsplit

from gateway.clock import Clock
from gateway.config import addresses
from gateway.config.checks.oidc import uri_problem
from gateway.config.sections.oauth_access import UnlistedApps
from gateway.config.sections.oidc import Lifetimes, OidcClient
from gateway.oidc.client_documents import ClientDocuments
from gateway.oidc.clients import Client, is_registered
from gateway.oidc.errors import OAuthError
from gateway.oidc.sector_identifiers import SectorIdentifiers
from gateway.stores.protocols.ledger import Ledger

PUBLIC, PAIRWISE = "public", "pairwise"
_PREFIX = "dyn-"
_UNUSED = 3600.0
"""Seconds in which somebody has to sign in to an app that has just registered."""
_RENEWED_AFTER = 86400.0
_MOST_URIS = 10
_LONGEST_URI = 500
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Registered:
    """What is kept of an app. Times are Unix times; `used_at` is 0 until somebody has signed in to it. `sector` is its
    `sector_identifier_uri`, "" without.
    """

    id: str
    name: str
    redirect_uris: tuple[str, ...]
    created_at: float
    used_at: float = 0.0
    subject_type: str = PUBLIC
    sector: str = ""


class RegisteredClients:
    """Adds and finds apps that are not listed.

    `scopes` are those that routes ask for, and `resources` says which scopes a resource has, None for what is none.
    """

    def __init__(
        self,
        settings: UnlistedApps,
        ledger: Ledger,
        documents: ClientDocuments,
        sectors: SectorIdentifiers,
        clock: Clock,
        *,
        scopes: Sequence[str],
        resources: Callable[[str], tuple[str, ...] | None],
        token: Callable[[int], str] = secrets.token_urlsafe,
    ) -> None:
        self._settings, self._ledger = settings, ledger
        self._documents, self._sectors = documents, sectors
        self._clock, self._resources, self._token = clock, resources, token
        self._scopes = tuple(dict.fromkeys((*settings.scopes, *scopes)))

    async def add(
        self, name: object, redirect_uris: object, *, subject_type: object = None, sector: object = None
    ) -> Registered:
        """Register an app; `sector` is its `sector_identifier_uri`.

        Raises OAuthError for what it may not have (RFC 7591 §3.2.2).
        """
        if not isinstance(redirect_uris, list) or not 0 < len(redirect_uris) <= _MOST_URIS:
            raise OAuthError("invalid_redirect_uri", f"redirect_uris is a list of up to {_MOST_URIS}")
        for uri in redirect_uris:
            if not isinstance(uri, str) or not self._may_return_to(uri):
                raise OAuthError("invalid_redirect_uri", "a redirect URI is not allowed here")
        app = Registered(
            id=f"{_PREFIX}{self._token(24)}",
            name=_shown(name),
            redirect_uris=tuple(redirect_uris),
            created_at=self._clock(),
            subject_type=self._subject_type(subject_type),
            sector=await self._sector(sector, redirect_uris),
        )
        if subject_type == PAIRWISE and not app.sector and len(self._settings_of(app).redirect_hosts) > 1:
            problem = "redirect URIs of several hosts need a sector_identifier_uri"  # Registration §2
            raise OAuthError("invalid_client_metadata", problem)
        await self._keep(app)
        return app

    def _subject_type(self, asked: object) -> str:
        if asked not in (None, PUBLIC, PAIRWISE):
            raise OAuthError("invalid_client_metadata", "subject_type is public or pairwise")
        return PAIRWISE if PAIRWISE in (asked, self._settings.subject_type) else PUBLIC

    async def _sector(self, uri: object, redirect_uris: list[str]) -> str:
        """Read the list that an app names, as documents about apps are read: at hosts that the operator lists alone."""
        if uri is None:
            return ""
        if not isinstance(uri, str) or not self._documents.is_one(uri):
            raise OAuthError(
                "invalid_client_metadata", "sector_identifier_uri is at no host that is asked here"
            )
        if not await self._sectors.lists(uri, redirect_uris, "that registers itself"):
            raise OAuthError(
                "invalid_client_metadata", "sector_identifier_uri does not list all redirect URIs"
            )
        return uri

    async def find(self, id: str, network: str) -> Client | None:
        """Return an app, None if there is none of this id, or none any more. `network` asks, for what it may ask."""
        if id.startswith(_PREFIX) and self._settings.register_clients:
            stored = await self._ledger.get(_slot(id))
            app = _read(stored) if stored is not None else None
            if app is None or app.id != id:
                return None
            if app.used_at and self._clock() - app.used_at > _RENEWED_AFTER:
                await self.used(app.id)
            return self._client(app)
        document = await self._documents.read(id, network)
        if document is None:
            return None
        return self._client(
            Registered(
                id=id,
                name=_shown(document.name),
                redirect_uris=tuple(document.redirect_uris),
                created_at=0.0,
                subject_type=self._subject_type(PAIRWISE if document.is_pairwise else None),
            )
        )

    async def used(self, id: str) -> None:
        """Keep an app longer: somebody has signed in to it."""
        if not id.startswith(_PREFIX) or (stored := await self._ledger.get(_slot(id))) is None:
            return
        app = _read(stored)
        await self._keep(replace(app, used_at=self._clock()))

    def stand_in(self, id: str, redirect_uri: str) -> Client | None:
        """Return what policy needs to know of an app in a request that we sealed: there it was found already."""
        of_us = id.startswith(_PREFIX) and self._settings.register_clients
        if not (of_us or self._documents.is_one(id)):
            return None
        return self._client(Registered(id=id, name="", redirect_uris=(redirect_uri,), created_at=0.0))

    async def _keep(self, app: Registered) -> None:
        life = self._settings.forget_after if app.used_at else _UNUSED
        await self._ledger.put(_slot(app.id), json.dumps(asdict(app)).encode(), life)

    def _client(self, app: Registered) -> Client | None:
        # The configuration may have changed since: what is not allowed any more is gone.
        uris = tuple(uri for uri in app.redirect_uris if self._may_return_to(uri))
        if not uris or (app.sector and not self._documents.is_one(app.sector)):
            return None
        # The id may be an address, which no listed client's is.
        return Client(self._settings_of(replace(app, redirect_uris=uris)), resources=self._resources)

    def _settings_of(self, app: Registered) -> OidcClient:
        settings = OidcClient(
            id="unlisted",
            name=app.name,
            auth=("none",),
            grants=("authorization_code", "refresh_token"),
            redirect_uris=app.redirect_uris,
            subject_type="pairwise" if app.subject_type == PAIRWISE else "public",
            sector_identifier_uri=app.sector or None,
            scopes=self._scopes,
            policy=self._settings.policy,
            consent="always",
            lifetimes=Lifetimes(
                access=self._settings.access,
                refresh=self._settings.refresh,
                refresh_idle=self._settings.refresh,
            ),
        )
        return settings.model_copy(update={"id": app.id})

    def _may_return_to(self, uri: str) -> bool:
        if len(uri) > _LONGEST_URI or uri_problem(uri, native=False):
            return False
        parts = urlsplit(uri)
        if parts.scheme == "https":
            return parts.netloc.lower() in self._settings.redirect_hosts
        local = parts.scheme == "http" and addresses.is_local(parts.hostname or "")
        return local and self._settings.loopback and is_registered([uri], uri, native=True)


def _read(stored: bytes) -> Registered:
    fields = json.loads(stored)
    return Registered(**{**fields, "redirect_uris": tuple(fields["redirect_uris"])})


def _shown(name: object) -> str:
    """A name that can't pass for anything else on the page that asks for consent."""
    text = " ".join(name.split()) if isinstance(name, str) else ""
    return text[:_LONGEST_NAME] if text.isprintable() else ""


def _slot(id: str) -> str:
    return f"oidc:registered:{id}"
