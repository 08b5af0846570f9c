"""The configuration as typed, frozen values. The field docs here *are* the config reference (docs/configuration.md)."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.config.units import Duration, Size

Network = IPv4Network | IPv6Network
FactorName = Literal["password", "sms", "email", "totp", "webauthn", "recovery"]
Require = Literal["bypass", "one_factor", "two_factor", "deny"]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(Section):
    cert_file: Path = Field(description="PEM certificate chain")
    key_file: Path = Field(description="PEM private key")
    minimum: Literal["1.2", "1.3"] = Field("1.2", description="lowest TLS version accepted")


class Limits(Section):
    head_size: Size = Field(32 * 1024, description="request line and headers together; more is 431")
    header_count: int = Field(100, ge=10, description="headers in one request; more is 431")
    head_timeout: Duration = Field(15.0, description="time to send a complete head; slower is 408")
    keepalive_timeout: Duration = Field(75.0, description="how long an idle client connection stays open")
    connections: int = Field(10_000, ge=1, description="open client connections of one worker")


class Server(Section):
    listen: str = Field("127.0.0.1:8080", description='"host:port", "[::1]:port" or "unix:/path"')
    public_url: str = Field("http://localhost:8080", description="where browsers reach the portal")
    workers: int | Literal["auto"] = Field("auto", description="processes; auto = one per core")
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="networks whose X-Forwarded-* are believed; empty trusts nobody"
    )
    tls: Tls | None = Field(None, description="serve https ourselves")
    prefix: str = Field("/_auth", pattern=r"^/[A-Za-z0-9_-]+$", description="the path that belongs to the gateway")
    drain_timeout: Duration = Field(30.0, description="how long SIGTERM waits for running requests")
    limits: Limits = Field(default_factory=Limits, description="what one client may cost")
    templates: Path | None = Field(None, description="folder whose templates replace ours one by one")
    metrics_networks: tuple[Network, ...] = Field(
        (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
        description="who may read metrics",
    )


class Session(Section):
    cookie_name: str = Field("auth_session", pattern=r"^[A-Za-z0-9_]+$", description="__Host- is put before it on https")
    domain: str | None = Field(None, description="share the session with all hosts below this domain")
    keys_file: Path = Field(Path("var/session.keys"), description="key ring; made at first start, mode 0600")
    idle_timeout: Duration = Field(3600.0, description="unused sessions end after this")
    absolute_timeout: Duration = Field(12 * 3600.0, description="every session ends after this")
    remember_device: Duration = Field(30 * 86400.0, description="how long a remembered device skips the second factor; 0s = never")


class Storage(Section):
    url: str = Field("sqlite:///var/gateway.db", description="sqlite:///path or postgresql://user:password@host/db")
    state_url: str | None = Field(None, description="redis://… for short-lived state; none = in `url`")


class SmsBase(Section):
    code_length: int = Field(6, ge=6, le=10, description="digits")
    code_lifetime: Duration = Field(300.0, description="how long a code is good")
    resend_after: Duration = Field(30.0, description="pause before another code")
    allowed_countries: tuple[str, ...] = Field((), description="ISO country codes that may receive SMS; empty = all")
    hourly_budget: int = Field(500, ge=1, description="SMS per hour over all users")
    per_user_hourly: int = Field(10, ge=1, description="SMS per user and hour")
    per_ip_hourly: int = Field(20, ge=1, description="SMS per client address and hour")
    per_phone_hourly: int = Field(10, ge=1, description="SMS per number and hour")


class SmsConsole(SmsBase):
    provider: Literal["console"] = Field("console", description="codes appear on the terminal")


class TwilioAccount(SmsBase):
    account_sid: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$", description="from the Twilio console")
    auth_token: SecretStr = Field(description="or `auth_token_file`")
    base_url: str = Field("https://api.twilio.com", description="another endpoint for the same API")
    timeout: Duration = Field(10.0, description="one call to Twilio")
    retries: int = Field(2, ge=0, le=5, description="after 429 and 5xx, with jitter")


class SmsTwilio(TwilioAccount):
    provider: Literal["twilio"]
    from_: str | None = Field(None, alias="from", pattern=r"^(\+[1-9]\d{6,14}|[A-Za-z0-9 ]{1,11})$", description="sender number (E.164) or name")
    messaging_service_sid: str | None = Field(None, pattern=r"^MG[0-9a-fA-F]{32}$", description="instead of `from`")


class SmsTwilioVerify(TwilioAccount):
    provider: Literal["twilio_verify"]
    base_url: str = Field("https://verify.twilio.com", description="another endpoint for the same API")
    service_sid: str = Field(pattern=r"^VA[0-9a-fA-F]{32}$", description="Verify service")


class SmsWebhook(SmsBase):
    provider: Literal["webhook"]
    url: str = Field(pattern=r"^https?://", description="gets a POST with JSON {to, text}")
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="sent along, for its authentication")
    timeout: Duration = Field(10.0, description="one call")
    retries: int = Field(2, ge=0, le=5, description="after 429 and 5xx, with jitter")


Sms = Annotated[SmsConsole | SmsTwilio | SmsTwilioVerify | SmsWebhook, Field(discriminator="provider")]


class EmailConsole(Section):
    provider: Literal["console"] = "console"


class EmailSmtp(Section):
    provider: Literal["smtp"]
    host: str
    port: int = Field(587, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: SecretStr | None = Field(None, description="or `password_file`")
    from_: str = Field(alias="from")
    timeout: Duration = 10.0


Email = Annotated[EmailConsole | EmailSmtp, Field(discriminator="provider")]


class Policy(Section):
    """Who may pass. All that is given must hold; anything else is denied."""

    require: Require = Field("two_factor", description="bypass, one_factor, two_factor or deny")
    users: tuple[str, ...] = Field((), description="only these users")
    groups: tuple[str, ...] = Field((), description="only members of one of these groups")
    networks: tuple[Network, ...] = Field((), description="only from these networks")
    methods: tuple[str, ...] = Field((), description="only these HTTP methods")
    factors: tuple[FactorName, ...] = Field((), description="second factors that count; empty = any")


class Timeouts(Section):
    connect: Duration = Field(5.0, description="to open a connection to the upstream")
    response: Duration = Field(60.0, description="until the head of the upstream's response; then 504")
    idle: Duration = Field(300.0, description="silence in the middle of a body or a WebSocket; 0s = no limit")


class HealthCheck(Section):
    path: str = Field("/", pattern=r"^/", description="GET this")
    interval: Duration = Field(10.0)
    timeout: Duration = Field(3.0)
    healthy_status: tuple[int, int] = Field((200, 399), description="lowest and highest good status")
    fall: int = Field(2, ge=1, description="failures in a row that take an upstream out")
    rise: int = Field(1, ge=1, description="successes in a row that bring it back")


class UpstreamTls(Section):
    verify: bool = Field(True, description="check the certificate")
    ca_file: Path | None = Field(None, description="PEM bundle to trust instead of the system's")
    cert_file: Path | None = Field(None, description="client certificate")
    key_file: Path | None = Field(None, description="its key")
    server_name: str | None = Field(None, description="name to expect instead of the URL's host")


class Headers(Section):
    rename: dict[str, str] = Field(default_factory=dict, description="identity header -> the name the app wants")
    add: dict[str, str] = Field(default_factory=dict, description="set on every request to the upstream")
    drop: tuple[str, ...] = Field((), description="headers of ours, or of the client, that the app must not get")


class Rewrite(Section):
    location: bool = Field(True, description="upstream redirects to its own address come back as ours")
    cookie_domain: bool = Field(True, description="Domain of upstream cookies becomes the public host")
    cookie_path: dict[str, str] = Field(default_factory=dict, description="Path prefix of upstream cookies -> new prefix")


class Route(Section):
    name: str = Field("", description="for logs and metrics; default is host + path")
    host: str = Field("*", description='"app.example.com", "*.example.com" or "*"')
    path: str = Field("/", pattern=r"^/", description="path prefix, matched by whole segments")
    upstream: str | tuple[str, ...] = Field(description='"http://…", "https://…", "unix:/path.sock", or a list of them')
    policy: Policy = Field(default_factory=Policy, description="who may pass")
    strip_path: bool = Field(False, description="the upstream sees paths without the route's prefix")
    preserve_host: bool = Field(True, description="the upstream gets the Host the client asked for; false = its own")
    headers: Headers = Field(default_factory=Headers)
    rewrite: Rewrite = Field(default_factory=Rewrite)
    timeouts: Timeouts = Field(default_factory=Timeouts)
    health: HealthCheck | None = Field(None, description="probe upstreams; none = learn from failures only")
    tls: UpstreamTls = Field(default_factory=UpstreamTls, description="for https upstreams")
    max_body: Size = Field(0, description="larger request bodies are 413")
    websocket: bool = Field(True, description="let WebSockets through")
    websocket_origins: tuple[str, ...] = Field((), description="origins beside the route's own that may open WebSockets")
    allow_in_path: tuple[Literal["encoded_slash", "semicolon", "double_slash"], ...] = Field(
        (), description="spellings refused by default because apps read them differently"
    )

    @property
    def upstreams(self) -> tuple[str, ...]:
        return (self.upstream,) if isinstance(self.upstream, str) else self.upstream

    @property
    def label(self) -> str:
        return self.name or f"{self.host}{self.path}"


class Passwords(Section):
    min_length: int = Field(8, ge=8, description="characters (NIST SP 800-63B §5.1.1.2)")
    max_length: int = Field(256, ge=64)
    argon2_memory: Size = Field(19 * 1024 * 1024, description="Argon2id memory (OWASP: 19 MiB, 2 passes, 1 lane)")
    argon2_passes: int = Field(2, ge=1)
    concurrency: int = Field(2, ge=1, description="hashes at once in one worker; the rest wait their turn")


class Branding(Section):
    name: str = Field("auth-gateway", description="shown on every page")
    logo_file: Path | None = Field(None, description="SVG or PNG")
    color: str = Field("#2f5bea", pattern=r"^#[0-9a-fA-F]{6}$", description="buttons and links")
    support: str = Field("", description="one line below the form: whom to ask")


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    access: bool = Field(True, description="one JSON line a request")
    access_sample: float = Field(1.0, ge=0, le=1, description="share of successful requests that are logged; errors always are")
    format: Literal["json", "text"] = Field("json", description="text is for terminals")


class Config(Section):
    server: Server = Field(default_factory=Server)
    session: Session = Field(default_factory=Session)
    storage: Storage = Field(default_factory=Storage)
    sms: Sms = Field(default_factory=SmsConsole)
    email: Email = Field(default_factory=EmailConsole)
    passwords: Passwords = Field(default_factory=Passwords)
    branding: Branding = Field(default_factory=Branding)
    log: Log = Field(default_factory=Log)
    routes: tuple[Route, ...] = Field((), description="what is protected; first match wins, no match = 404")
