"""The models of what the API gives. Its OpenAPI document is made from them."""

from typing import Literal

from pydantic import Field

from gateway.admin.api.operation import Given


class Me(Given):
    """Who is asking."""

    name: str
    csrf_token: str = Field(description="for the header X-CSRF-Token; empty for API tokens")


class UserOut(Given):
    """A user."""

    username: str
    name: str
    email: str
    phone: str
    groups: list[str]
    attributes: dict[str, list[str]]
    disabled: bool
    has_password: bool
    created_at: float
    version: str = Field(description="also the ETag; send it as If-Match to change nothing unseen")
    declared_in: str = Field(description='file and line, such as "users.yaml:12"; empty if kept here')


class UsersPage(Given):
    """A page of users; `next` is the cursor of the one after, null at the end."""

    items: list[UserOut]
    next: str | None


class LinkOut(Given):
    """A link that was made for a user."""

    kind: Literal["invitation", "reset"]
    url: str
    mailed: bool


class NewUserOut(Given):
    """The user that was added, with a link if one was made."""

    user: UserOut
    link: LinkOut | None


class FactorOut(Given):
    """A second factor of a user."""

    id: str
    kind: str
    name: str
    detail: str
    created_at: float
    last_used_at: float


class FactorsOut(Given):
    """All second factors of a user."""

    items: list[FactorOut]


class DeviceOut(Given):
    """A browser that is remembered."""

    id: str
    browser: str
    ip: str
    created_at: float
    last_used_at: float


class DevicesOut(Given):
    """All browsers that are remembered of a user."""

    items: list[DeviceOut]


class Count(Given):
    """How many things an act has changed."""

    count: int


class SessionOut(Given):
    """A session. Times are in Unix seconds."""

    id: str
    username: str
    browser: str
    ip: str
    country: str
    factors: list[str]
    created_at: float
    last_seen: float
    expires_at: float
    kept: bool
    own: bool


class SessionsPage(Given):
    """A page of sessions; `next` is the cursor of the one after, null at the end."""

    items: list[SessionOut]
    next: str | None


class AuditOut(Given):
    """An event of the audit log; `at` is in Unix seconds."""

    id: int
    at: float
    event: str
    user: str
    ip: str
    data: dict[str, object]


class AuditPage(Given):
    """A page of events; `next` is the cursor of the one after, null at the end."""

    items: list[AuditOut]
    next: int | None


class UpstreamOut(Given):
    """An upstream, and whether it answers."""

    url: str
    healthy: bool
    error: str


class RouteOut(Given):
    """A route, its upstreams and its traffic since this worker's start; `p50` and `p99` are in seconds."""

    route: str
    host: str
    path: str
    declared_in: str
    rules: list[str]
    upstreams: list[UpstreamOut]
    requests: int
    refused: int
    failed: int
    p50: float | None
    p99: float | None


class RoutesOut(Given):
    """All routes, in their order."""

    items: list[RouteOut]


class CriterionOut(Given):
    """One condition of a rule, what it wants and what the request has."""

    criterion: str
    wants: str
    has: str
    holds: bool


class RuleOut(Given):
    """One rule, its conditions, and whether it decides."""

    rule: str
    require: str
    decides: bool
    answers: list[CriterionOut]


class Explained(Given):
    """What the rules say of a request, and why."""

    route: str
    verdict: Literal["allow", "sign_in", "step_up", "deny", "refused"]
    rule: str
    reason: str
    rules: list[RuleOut]


class CapOut(Given):
    """What one channel has cost today, and what it may cost, in units of the currency."""

    channel: str
    spent: float
    cap: float


class SpendOut(Given):
    """What messages to one country have cost today; `micros` are millionths of the currency."""

    country: str
    channel: str
    currency: str
    messages: int
    micros: int


class RatesOut(Given):
    """How many messages to one country arrived in the last week, and how many codes were typed in."""

    country: str
    messages: int
    delivered: int
    failed: int
    open: int
    verified: int


class SmsOut(Given):
    """Costs and deliveries of text messages and calls."""

    currency: str
    caps: list[CapOut]
    today: list[SpendOut]
    rates: list[RatesOut]


class BlockOut(Given):
    """Somebody or something that has to wait; `ends_at` is in Unix seconds."""

    about: Literal["user", "address", "number", "mail"]
    name: str = Field(description="in part for numbers and mail; a fingerprint where no user has the name")
    what: str
    is_lock: bool = Field(description="too many failures in a row: a year, unless it is lifted")
    budget: str
    count: int
    limit: int
    ends_at: float


class BlockedOut(Given):
    """Everybody and everything that has to wait now."""

    items: list[BlockOut]


class NetworkOut(Given):
    """A network from which sign-ins failed."""

    network: str = Field(description="an address, or the /64 of an IPv6 one")
    failures: int


class AttackOut(Given):
    """A user at whose name sign-ins fail; `since` and `last` are in Unix seconds."""

    username: str = Field(description="a fingerprint where no user has the name")
    failures: int
    networks: list[NetworkOut] = Field(description="the five with the most")
    other_addresses: int
    since: float
    last: float


class AttacksOut(Given):
    """Everybody who is attacked now."""

    items: list[AttackOut]


class OverviewOut(Given):
    """Numbers of the last 24 hours."""

    version: str
    users: int
    disabled: int
    sessions: int
    logins: int
    failures: int
    codes: int
    unsent: int


class ApiProblem(Given):
    """A problem+json answer (RFC 9457 §3)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[str] = Field(default_factory=list, description="what is wrong with query or body")
