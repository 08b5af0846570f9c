"""The registered apps, each with the route that stands for it where policy decides.

Also whether a redirect URI is one that was registered.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from json import loads
from typing import Protocol

from joserfc.jwk import KeySet

from gateway.config.schema import Policy, Route
from gateway.config.sections.oidc import OidcClient
from gateway.errors import ConfigError, Mistake
from gateway.model import User

# A program on the user's own machine listens at whichever port is free, so the port does not count there (RFC 8252
# §7.3).
_LOOPBACK = re.compile(
    r"(?P<host>http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::(?P<port>[1-9][0-9]{0,4}))?(?P<rest>/.*)?"
)

_MOST_SEEN = 1000


def is_registered(registered: Sequence[str], asked: str, *, native: bool) -> bool:
    """Whether `asked` is one of the registered URIs, letter by letter (RFC 9700 §2.1).

    `native` apps are those without a secret; for them a loopback address may have another port (RFC 8252 §7.3).
    """
    return asked in registered or (native and any(_differ_by_port(known, asked) for known in registered))


def _differ_by_port(known: str, asked: str) -> bool:
    ours, theirs = _LOOPBACK.fullmatch(known), _LOOPBACK.fullmatch(asked)
    if ours is None or theirs is None or int(theirs["port"] or 80) > 65535:
        return False
    return ours["host"] == theirs["host"] and ours["rest"] == theirs["rest"]


@dataclass(frozen=True, slots=True)
class Client:
    """A client of the OpenID provider.

    `keys` are its public keys, where it signs instead of sending a secret. `resources` is there for clients that are
    not listed: it says which scopes a resource has, None for what is none.
    """

    settings: OidcClient
    keys: KeySet | None = None
    resources: Callable[[str], tuple[str, ...] | None] | None = None

    @property
    def id(self) -> str:
        return self.settings.id

    def route(self, policy: Policy | None = None) -> Route:
        """Return the route that `policy.decide` is asked about: with this app's own policy, or a sharper one."""
        return Route(name=f"oidc:{self.id}", upstream="", policy=policy or self.settings.policy)

    @property
    def is_listed(self) -> bool:
        """Whether the operator has named this app, in the configuration."""
        return self.resources is None

    def may_call(self, resource: str) -> bool:
        """Whether its tokens may be for this API (RFC 8707 §2)."""
        if self.resources is not None:
            return self.resources(resource) is not None
        return resource in self.settings.audience

    def scopes_for(self, resource: str) -> tuple[str, ...]:
        """Return the scopes that are meant where none is asked for (RFC 6749 §3.3): those of the resource."""
        return (self.resources(resource) or ()) if self.resources is not None and resource else ()

    def may_return_to(self, redirect_uri: str) -> bool:
        """Whether this is a registered redirect URI."""
        return is_registered(self.settings.redirect_uris, redirect_uri, native=self.settings.is_public)

    def may_end_at(self, redirect_uri: str) -> bool:
        """Whether this is a registered post-logout redirect URI."""
        registered = self.settings.post_logout_redirect_uris
        return is_registered(registered, redirect_uri, native=self.settings.is_public)

    def is_for(self, user: User) -> bool:
        """Whether the policy still lets this user in; what else it asks was proven at the sign-in."""
        policy = self.settings.policy
        named = not policy.users or user.username in policy.users
        member = not policy.groups or not set(policy.groups).isdisjoint(user.groups)
        held = all(not set(user.attribute(name)).isdisjoint(some) for name, some in policy.attributes.items())
        return policy.require != "deny" and named and member and held

    def has_secret(self, secret: str) -> bool:
        """Compare the secret with each hash, with equal work for every one (their number is no secret)."""
        digest = secret_hash(secret)
        right = [compare_digest(digest, known) for known in self.settings.secrets]
        return any(right)


class Unlisted(Protocol):
    """Apps that the configuration does not name."""

    async def find(self, id: str, network: str) -> Client | None:
        """Return an app, None if there is none of this id. `network` asks, for what it may ask."""
        ...

    async def used(self, id: str) -> None:
        """Keep an app longer: somebody has signed in to it."""

    def stand_in(self, id: str, redirect_uri: str) -> Client | None:
        """Return what policy needs to know of an app in a request that we sealed."""
        ...


class Apps:
    """All registered apps, by client id."""

    def __init__(self, clients: Sequence[OidcClient], unlisted: "Unlisted | None" = None) -> None:
        """`unlisted` are apps that the configuration does not name. Raises ConfigError if a file of public keys can't
        be read.
        """
        self._unlisted = unlisted
        self._seen: OrderedDict[str, Client] = OrderedDict()
        self._by_id = {client.id: Client(client, _keys_of(client)) for client in clients}
        self._origins = frozenset(origin for client in clients for origin in client.origins)

    def find(self, id: str) -> Client | None:
        """Return the app with this client id, None if there is none; of those not listed only what `load` has found."""
        return self._by_id.get(id) or self._seen.get(id)

    async def load(self, id: str, network: str = "") -> Client | None:
        """Return the app with this client id, listed or not, None if there is none. `network` is who asks.

        Raises StoreUnavailable, and TooManyAttempts where a network asks for too many that are new.
        """
        if (listed := self._by_id.get(id)) is not None or self._unlisted is None or not id:
            return listed
        found = await self._unlisted.find(id, network)
        self._seen.pop(id, None)
        if found is not None:
            self._seen[id] = found
            if len(self._seen) > _MOST_SEEN:
                self._seen.popitem(last=False)
        return found

    async def used(self, app: Client) -> None:
        """Note that somebody has signed in to an app."""
        if self._unlisted is not None and not app.is_listed:
            await self._unlisted.used(app.id)

    def stand_in(self, id: str, redirect_uri: str) -> Client | None:
        """Return the app, or what policy needs to know of it in a request that we sealed."""
        known = self.find(id)
        return known or (self._unlisted.stand_in(id, redirect_uri) if self._unlisted is not None else None)

    def allows_origin(self, origin: str) -> bool:
        """Whether pages of this origin may call the endpoints for programs (CORS)."""
        return origin in self._origins

    @property
    def all(self) -> Sequence[Client]:
        return tuple(self._by_id.values())


def secret_hash(secret: str) -> str:
    """Return a secret's hash as it stands in the configuration.

    A fast hash is right here: secrets come from `auth-gateway oidc secret`, with 256 bits that nobody can try out.
    Argon2 would slow down every token request and protect nothing.
    """
    return f"sha256:{sha256(secret.encode(errors='surrogatepass')).hexdigest()}"


def _keys_of(client: OidcClient) -> KeySet | None:
    if client.jwks_file is None:
        return None
    try:
        return KeySet.import_key_set(loads(client.jwks_file.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"{client.jwks_file} can't be read as a JWK set: {type(error).__name__}"
        raise ConfigError(
            [Mistake(file="configuration", line=0, key="oidc.clients.jwks_file", problem=problem)]
        ) from None
