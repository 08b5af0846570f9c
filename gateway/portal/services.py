"""What a worker's gateway is made of: the parts that pages, gate and background work share.

`compose` makes them; whoever needs more than five of them takes the whole.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway.authn.factors.build import Factors
from gateway.authn.login import SignIn
from gateway.authn.password_check import PasswordCheck
from gateway.authn.remembered_devices import RememberedDevices
from gateway.authn.risk.geo import Geo
from gateway.clock import Clock
from gateway.config.schema import Config
from gateway.directory.base import Directory, WritableDirectory
from gateway.keyring import KeyRing
from gateway.messaging.notices import Notices
from gateway.messaging.senders.base import EmailSender
from gateway.messaging.sms.account_texts import SmsNotices
from gateway.messaging.sms.build import Sms
from gateway.observability.audit import Audit
from gateway.policy.routes import Routes
from gateway.portal.csrf import SignInTokens
from gateway.portal.rendering.render import Pages
from gateway.rate_limits import RateLimits
from gateway.request.target import parse_authority
from gateway.session import Sessions
from gateway.session.assertions import Assertions
from gateway.session.kept_posts import KeptPosts
from gateway.stores.protocols.core import AccessRequests, AuditLog, FederatedAccounts, Ledger, SessionStore
from gateway.stores.protocols.tokens import OwnTokens


@dataclass(frozen=True, slots=True)
class Services:
    """`writable` is None where users are kept elsewhere (LDAP, a file)."""

    config: Config
    clock: Clock
    ring: KeyRing
    routes: Routes
    directory: Directory
    writable: WritableDirectory | None
    records: SessionStore
    ledger: Ledger
    audit_log: AuditLog
    access_requests: AccessRequests
    federated: FederatedAccounts
    own_tokens: OwnTokens
    audit: Audit
    sessions: Sessions
    limits: RateLimits
    passwords: PasswordCheck
    geo: Geo
    sms: Sms
    email: EmailSender
    factors: Factors
    notices: Notices
    devices: RememberedDevices
    assertions: Assertions
    signin: SignIn
    tokens: SignInTokens
    kept: KeptPosts
    pages: Pages
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What pages leave open (connections to others) is closed by these when the worker ends."""

    @property
    def prefix(self) -> str:
        return self.config.server.prefix

    @property
    def sms_notices(self) -> SmsNotices:
        return SmsNotices(self.sms.provider, self.sms.desk, self.notices, self.audit)

    @property
    def home(self) -> str:
        """The host of our own pages."""
        return parse_authority(urlsplit(self.public_url).netloc)[0]

    @property
    def public_url(self) -> str:
        return self.config.server.public_url
