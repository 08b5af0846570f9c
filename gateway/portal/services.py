"""What pages, handler and background work of one worker share, in groups that belong together.

`gateway/server/composition.py` makes it. Functions that put pages together take it whole; a class takes what it uses.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway.authn.factors.build import Factors
from gateway.authn.federation.base import FederationProvider
from gateway.authn.login import SignIn
from gateway.authn.password_check import PasswordCheck
from gateway.authn.remembered_devices import RememberedDevices
from gateway.authn.risk.geo import Geo
from gateway.clock import Clock
from gateway.config.schema import Config, Route
from gateway.directory.base import Directory, WritableDirectory
from gateway.keyring import KeyRing
from gateway.messaging.notices import Notices
from gateway.messaging.senders.base import EmailSender
from gateway.messaging.sms.account_texts import SmsNotices
from gateway.messaging.sms.build import Sms
from gateway.observability.audit import Audit
from gateway.policy.decide import Routes
from gateway.portal.forms import SignInTokens
from gateway.portal.rendering.render import Pages
from gateway.rate_limits import RateLimits
from gateway.request.target import parse_authority
from gateway.session import Sessions
from gateway.session.kept_posts import KeptPosts
from gateway.stores.protocols.core import (
    AccessRequests,
    AuditLog,
    DeviceKeys,
    FederatedAccounts,
    SessionStore,
)
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.protocols.provider_sign_ins import ProviderSignIns
from gateway.stores.protocols.registrations import Registrations
from gateway.stores.protocols.tokens import OwnTokens

FetchPicture = Callable[[Route, str, str], Awaitable[bytes]]
"""Asks the app of a route, which clients know by a host, for a picture at a path; b"" if there is none."""


async def no_picture(route: Route, host: str, path: str) -> bytes:
    return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Who there is, and whether a password is theirs."""

    directory: Directory
    writable: WritableDirectory | None
    """None where users are kept elsewhere (LDAP, a file)."""
    passwords: PasswordCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalStores:
    """What pages keep and look up."""

    records: SessionStore
    ledger: Ledger
    audit_log: AuditLog
    access_requests: AccessRequests
    registrations: Registrations
    federated: FederatedAccounts
    provider_sign_ins: ProviderSignIns
    own_tokens: OwnTokens
    device_keys: DeviceKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Authn:
    """What signing in is made of."""

    signin: SignIn
    form_tokens: SignInTokens
    factors: Factors
    devices: RememberedDevices
    geo: Geo


@dataclass(frozen=True, slots=True, kw_only=True)
class Messaging:
    """The ways to tell people something."""

    sms: Sms
    email: EmailSender
    notices: Notices
    account_texts: SmsNotices


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """All that is shared. A further domain has a copy with `pages` in its own looks."""

    config: Config
    clock: Clock
    ring: KeyRing
    routes: Routes
    audit: Audit
    limits: RateLimits
    sessions: Sessions
    kept: KeptPosts
    pages: Pages
    users: Users
    stores: PortalStores
    authn: Authn
    messaging: Messaging
    providers: Mapping[str, FederationProvider]
    """Accounts elsewhere, by the provider's name in the configuration."""
    fetch_picture: FetchPicture = no_picture
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What pages leave open (connections to others) is closed by these when the worker ends."""

    @property
    def prefix(self) -> str:
        return self.config.server.prefix

    @property
    def home(self) -> str:
        """The host of our own pages."""
        return parse_authority(urlsplit(self.public_url).netloc)[0]

    @property
    def public_url(self) -> str:
        return self.config.server.public_url

    @property
    def pages_url(self) -> str:
        """The address below which our own pages are."""
        return self.config.server.pages_url
