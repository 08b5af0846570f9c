"""The values that travel through the gateway. They are frozen and import nothing of ours."""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address

IPAddress = IPv4Address | IPv6Address
Attributes = tuple[tuple[str, tuple[str, ...]], ...]
"""What a directory says of a user beside the fields that all have: names in order, each with its values."""


@dataclass(frozen=True, slots=True)
class User:
    """A person (or service) as the directory knows them.

    `phone` is E.164 ("+4915112345678"); times are Unix seconds.
    """

    username: str
    name: str = ""
    email: str = ""
    phone: str = ""
    groups: tuple[str, ...] = ()
    disabled: bool = False
    password_hash: str = ""
    password_changed_at: float = 0.0
    created_at: float = 0.0
    directory_id: str = ""
    """What the directory knows this very person by, whoever has the name later (LDAP's entryUUID); "" for nothing."""
    phone_unreadable: bool = False
    """The directory has a number that can't be read: a second factor that nobody can use until that is mended."""
    attributes: Attributes = ()
    """Facts that rules and headers may ask for, such as `(("department", ("ops",)),)`."""

    def attribute(self, name: str) -> tuple[str, ...]:
        """Return the values of an attribute, none if the user does not have it."""
        return next((values for key, values in self.attributes if key == name), ())


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What the session cookie stands for. The cookie holds only `sid`, encrypted.

    `amr` names the factors that were proven in this session, in order, and `proven_at` when each was last
    proven (RFC 8176 speaks of "authentication methods references").
    """

    sid: str
    username: str
    amr: tuple[str, ...]
    proven_at: dict[str, float]
    created_at: float
    last_seen: float
    expires_at: float
    ip: str = ""
    user_agent: str = ""
    step_up: bool = False
    """A risk signal asks for a real second factor before this session may have anything."""
    device_id: str = ""
    """What the browser and we call the key that this session is bound to, "" if it is bound to none."""
    device_key: str = ""
    """The public half of that key, a JWK (RFC 7517) as JSON."""
    device_at: float = 0.0
    """When the browser registered it."""
    key_models: dict[str, float] = field(default_factory=dict)
    """When a security key of which model (AAGUID), for which its maker vouches, was last used in this session."""
    kept: bool = False
    """The user wants to stay signed in in this browser (`session.keep_signed_in`)."""
    provider_groups: tuple[str, ...] = ()
    """Groups that the identity provider named at this sign-in, as the configuration reads them."""

    @property
    def auth_time(self) -> float:
        """When the user last proved anything."""
        return max(self.proven_at.values(), default=self.created_at)


@dataclass(frozen=True, slots=True)
class SessionLifetimes:
    """How long sessions last, in seconds: `idle` without use, `absolute` in all, `kept` those that are kept; 0 where
    none is.
    """

    idle: float
    absolute: float
    kept: float = 0.0

    def ends_at(self, record: SessionRecord, seen: float) -> float:
        """Return the Unix time at which a session ends that was last used at `seen`.

        A kept one needs no use. Where sessions are no longer kept, or for less time, those that are there end with it.
        """
        if not record.kept:
            return min(record.expires_at, seen + self.idle)
        if self.kept:
            return min(record.expires_at, record.created_at + self.kept)
        return min(record.expires_at, record.created_at + self.absolute, seen + self.idle)

    def alive(self, record: SessionRecord, seen: float, now: float) -> bool:
        """Tell whether a session that was last used at `seen` is good at `now` (Unix seconds)."""
        return now < self.ends_at(record, seen)


def shown_id(sid: str) -> str:
    """Name a session for administrators: its own id would open it."""
    return sha256(f"shown:{sid}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Principal:
    """The signed-in user as policies and apps see them: directory facts plus what the session proved."""

    user: User
    session: SessionRecord
    granted: tuple[str, ...] = ()
    """Groups that an approver lent this user, good until `granted_until` (Unix seconds), and those that an identity
    provider named for this session. Never the directory's.
    """
    granted_until: float = math.inf

    # Asked several times for each request, so worked out once.
    username: str = field(init=False, repr=False, compare=False)
    groups: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """The directory's and the granted ones."""
    amr: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "username", self.user.username)
        object.__setattr__(self, "groups", (*self.user.groups, *self.granted))
        object.__setattr__(self, "amr", self.session.amr)


@dataclass(frozen=True, slots=True)
class Target:
    """What is being asked for, read once from a request (or a proxy's forward-auth headers).

    `host` is lower case without port; `path` is canonical and is what the rule sees *and* what the upstream gets;
    `query` is raw, without "?". `client` is the address that the trusted-proxy rule arrived at.
    """

    scheme: str
    host: str
    port: int | None
    method: str
    path: str
    query: str
    client: IPAddress
    country: str = ""
    """Where `client` is (ISO 3166-1), "" if unknown or no rule asks."""
    empty_query: bool = False
    """Whether there is a "?" with nothing behind it, which is another URL than one without (RFC 3986 §6.2.3)."""
    fragment: str = ""
    """What is behind "#" in an address to come back to. No request has one, and no rule sees it."""

    @property
    def authority(self) -> str:
        default = {"http": 80, "https": 443}.get(self.scheme)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in (None, default) else f"{host}:{self.port}"

    @property
    def uri(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.uri}"


class Verdict(StrEnum):
    """What policy says of a request: let it pass, have the user sign in or prove more, or refuse it."""

    ALLOW = "allow"
    SIGN_IN = "sign_in"
    STEP_UP = "step_up"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Decision:
    """What policy says of a target and a principal.

    `rule` names the route and rule that decided, `reason` is a stable code for logs and `explain`, `factors`
    are those that would satisfy a step-up (empty: any second factor).
    """

    verdict: Verdict
    rule: str
    reason: str
    factors: frozenset[str] = field(default_factory=frozenset)
    key_models: frozenset[str] = field(default_factory=frozenset)
    """Where a security key is asked for: of which models (AAGUIDs, "*" for any that somebody vouches for)."""
