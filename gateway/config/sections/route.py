"""One route: which requests, to which app, for whom."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, SecretStr, StringConstraints

from gateway.config.header_templates import is_template
from gateway.config.sections.answers import Redirect, Respond
from gateway.config.sections.app import App
from gateway.config.sections.base import Section, Words
from gateway.config.sections.foreign_jwt import ForeignIssuer
from gateway.config.sections.header_presets import PresetName
from gateway.config.sections.oauth_access import OAuthAccess
from gateway.config.sections.policy import Policy, Rule
from gateway.config.units import Duration, Size

UrlPath = Annotated[
    str, StringConstraints(pattern=r"^/"), Words("a path that starts with a slash, such as `/` or `/app`")
]
Upstream = Annotated[
    str | tuple[str, ...],
    Words("`http://host:port`, `https://host`, `unix:/path.sock`, or a list of them"),
]
Upgrade = Literal["websocket", "tcp", "spdy/3.1"]
Weight = Annotated[int, Field(ge=1, le=100)]
StatusRange = Annotated[tuple[int, int], Words("a pair of statuses such as `[200, 399]`")]


class Timeouts(Section):
    """How long the upstream may take."""

    connect: Duration = Field(5.0, description="to open a connection to the upstream")
    response: Duration = Field(60.0, description="until the head of the upstream's response; then 504")
    idle: Duration = Field(300.0, description="silence in the middle of a body or a WebSocket; 0s = no limit")


class HealthCheck(Section):
    """How upstreams are probed, and when one is taken out."""

    path: UrlPath = Field("/", description="GET this")
    interval: Duration = Field(10.0, description="pause between two probes")
    timeout: Duration = Field(3.0, description="a slower answer is a failure")
    healthy_status: StatusRange = Field((200, 399), description="lowest and highest good status")
    fall: int = Field(2, ge=1, description="failures in a row that take an upstream out")
    rise: int = Field(1, ge=1, description="successes in a row that bring it back")


class UpstreamTls(Section):
    """How connections to https upstreams are secured."""

    verify: bool = Field(True, description="check the certificate")
    ca_file: Path | None = Field(None, description="PEM bundle to trust instead of the system's")
    cert_file: Path | None = Field(None, description="client certificate")
    key_file: Path | None = Field(None, description="its key")
    server_name: str | None = Field(None, description="name to expect instead of the URL's host")


class BasicCredentials(Section):
    """What an app wants in HTTP Basic. Facts of the user may stand in both."""

    username: str = Field(min_length=1, description='as `{user.username}` or `"shared"`')
    password: SecretStr = Field(description="as `{user.wiki-password}`, or one text for all")


class Headers(Section):
    """Which headers the upstream gets beside those of the request. See docs/headers.md."""

    preset: tuple[PresetName, ...] = Field(
        ("remote-user", "x-forwarded"),
        description="identity headers in the dialects of these gateways; X-Auth-Assertion is always there",
    )
    rename: dict[str, str] = Field(
        default_factory=dict, description="identity header -> the name the app wants"
    )
    add: dict[str, str] = Field(
        default_factory=dict,
        description="set on every request to the upstream; with `{user.department}` in it, only if the user has that",
    )
    basic: BasicCredentials | None = Field(
        None, description="sign the user in at the app with HTTP Basic; the client's Authorization stays here"
    )
    drop: tuple[str, ...] = Field(
        (), description="headers of ours, or of the client, that the app must not get"
    )
    keep: tuple[str, ...] = Field(
        (),
        description="names that are else removed from every request, and that this app gets from its clients"
        " (docs/headers.md); those about addresses only from `server.trusted_proxies`",
    )
    via: bool = Field(
        False,
        description="say `Via` also where no proxy before us does; many web servers then stop compressing",
    )

    @cached_property
    def fixed(self) -> dict[str, str]:
        """Those of `add` that are the same for everybody."""
        return {name: value for name, value in self.add.items() if not is_template(value)}

    @cached_property
    def of_user(self) -> dict[str, str]:
        """Those of `add` that tell of the user."""
        return {name: value for name, value in self.add.items() if is_template(value)}


class Rewrite(Section):
    """What changes in the upstream's responses, so that its own address is not seen."""

    location: bool = Field(True, description="upstream redirects to its own address come back as ours")
    cookie_domain: bool = Field(True, description="Domain of upstream cookies becomes the public host")
    cookie_path: dict[str, str] = Field(
        default_factory=dict, description="Path prefix of upstream cookies -> new prefix"
    )
    cookie_prefix: bool = Field(
        True,
        description="Path of other upstream cookies gets what `strip_path` took and loses the upstream's base path",
    )


class Route(Section):
    """One route: which requests, to which app, for whom. See docs/routes.md."""

    name: str = Field("", description="for logs and metrics; default is host + path")
    host: str = Field("*", description='"app.example.com", "*.example.com" or "*"')
    path: UrlPath = Field("/", description="path prefix, matched by whole segments")
    upstream: Upstream | None = Field(
        None,
        description="the app; several share the load. With `server.engine: envoy` also HTTP/2: `h2c://host:port`,"
        " `h2://host`",
    )
    balance: Literal["round_robin", "sticky"] = Field(
        "round_robin", description="which upstream is asked: by turns, or for each user the same"
    )
    weights: tuple[Weight, ...] = Field(
        (), description="how much each upstream gets, in their order; empty = all the same"
    )
    redirect: Redirect | None = Field(None, description="instead of `upstream`: send browsers elsewhere")
    respond: Respond | None = Field(None, description="instead of `upstream`: one fixed answer")
    app: App | None = Field(None, description="how it is shown among a user's apps (docs/apps.md)")
    policy: Policy = Field(Policy(), description="who may pass")
    rules: tuple[Rule, ...] = Field(
        (), description="instead of `policy`: rules in order, first match decides, no match = deny"
    )
    tokens: bool = Field(False, description="accept API tokens (`auth-gateway token`) as one factor")
    basic: bool = Field(False, description="accept HTTP Basic: the password as one factor, for programs")
    jwt: tuple[ForeignIssuer, ...] = Field(
        (), description="accept tokens that these issuers sign for programs, as one factor"
    )
    oauth: OAuthAccess | None = Field(
        None,
        description="accept access tokens of our OpenID provider that were made for this route (docs/mcp.md)",
    )
    client_cert: bool = Field(
        False, description="accept client certificates of `server.tls.client_ca_file` as one factor"
    )
    cors_preflight: bool = Field(
        False, description="let CORS preflights (OPTIONS) through without sign-in; the app answers them"
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="origins whose pages may read the gateway's own 401 and 403 (docs/re-login.md)"
    )
    strip_path: bool = Field(
        False,
        description="the upstream sees paths without the route's prefix; a path of its URL takes its place",
    )
    preserve_host: bool = Field(
        True, description="the upstream gets the Host the client asked for; false = its own"
    )
    headers: Headers = Field(Headers(), description="what the upstream gets beside the request")
    cacheable: bool = Field(
        False,
        description="leave shared caches to the app: its answers to signed-in users are not made `private`",
    )
    rewrite: Rewrite = Field(Rewrite(), description="what changes in the upstream's responses")
    timeouts: Timeouts = Field(Timeouts(), description="how long the upstream may take")
    health: HealthCheck | None = Field(None, description="probe upstreams; none = learn from failures only")
    tls: UpstreamTls = Field(UpstreamTls(), description="for https upstreams")
    max_body: Size = Field(0, description="larger request bodies are 413")
    upstream_http: Literal["strict", "lenient"] = Field(
        "strict",
        description="lenient takes answers with bare LF, Content-Length twice or odd chunk sizes; else 502",
    )
    upgrades: tuple[Upgrade, ...] = Field(
        ("websocket",),
        description="protocols that a request may switch its connection to: `tcp` for `docker attach`, `spdy/3.1` for"
        " `kubectl exec`; any other Upgrade is dropped",
    )
    websocket: bool = Field(True, description="let WebSockets through")
    websocket_activity: bool = Field(
        True, description="what a client sends over a WebSocket keeps its session alive"
    )
    finish_downloads: bool = Field(
        False,
        description="answers that have begun go on when their session is ended; event streams never do",
    )
    websocket_origins: tuple[str, ...] = Field(
        (), description="origins beside the route's own that may open WebSockets"
    )
    allow_in_path: tuple[Literal["encoded_slash", "semicolon", "double_slash"], ...] = Field(
        (), description="spellings refused by default because apps read them differently"
    )

    @cached_property
    def upstreams(self) -> tuple[str, ...]:
        """The URLs of the apps, none for a route that answers by itself."""
        return (self.upstream,) if isinstance(self.upstream, str) else self.upstream or ()

    def switches_to(self, protocol: str) -> bool:
        """Whether a request may switch its connection to this protocol, by its lower-case name."""
        return protocol in self.upgrades and (protocol != "websocket" or self.websocket)

    @cached_property
    def label(self) -> str:
        """What logs and metrics call the route."""
        return self.name or f"{self.host}{self.path}"

    _shared: tuple[Rule, ...] = PrivateAttr(())
    """The rules of the top level, which Config hands down."""

    @cached_property
    def access(self) -> tuple[Rule, ...]:
        """All rules of this route in the order in which they are asked, each with its full name."""
        shared = [_named(rule, f"rules[{n}]") for n, rule in enumerate(self._shared)]
        own = [_named(rule, f"rules[{n}]", self.label + " ") for n, rule in enumerate(self.rules)]
        return (*shared, *(own or [self._policy_as_rule()]))

    @cached_property
    def asked(self) -> tuple[tuple[Rule, frozenset[str]], ...]:
        """The same rules, each with the keys that say anything: most requests are asked about few of them."""
        keys = tuple(Rule.model_fields)
        return tuple((rule, frozenset(key for key in keys if getattr(rule, key))) for rule in self.access)

    @cached_property
    def query_names(self) -> frozenset[str]:
        """The parameters of the query that a rule asks about."""
        return frozenset(name for rule in self.access for one in rule.query for name in one)

    def _policy_as_rule(self) -> Rule:
        given = {key: getattr(self.policy, key) for key in Policy.model_fields}
        return Rule(**{**given, "name": self.label})


def _named(rule: Rule, place: str, before: str = "") -> Rule:
    return rule.model_copy(update={"name": before + (rule.name or place)})
