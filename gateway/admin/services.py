"""What the console needs beside the services that all pages share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.authn.api_credentials import ApiCredentials
from gateway.config.schema import Config
from gateway.model import User
from gateway.portal.services import Services
from gateway.proxy.proxy import UpstreamHealth
from gateway.stores.protocols.audit import AuditSearch
from gateway.stores.protocols.session_search import SessionSearch
from gateway.stores.protocols.user_search import UserSearch


@dataclass(frozen=True, slots=True)
class AdminServices:
    """What all pages of the console share. `origin` says where a user is declared ("users.yaml:12"), "" where users
    are changed here.
    """

    services: Services
    credentials: ApiCredentials
    search: AuditSearch
    found: UserSearch
    seats: SessionSearch
    upstreams: Callable[[], Sequence[UpstreamHealth]]
    origin: Callable[[User], str]

    @property
    def config(self) -> Config:
        return self.services.config

    @property
    def home(self) -> str:
        return f"{self.services.prefix}/admin"
