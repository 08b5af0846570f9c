"""The section `oidc`: which applications sign their users in through the gateway, and what each may have."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints

from gateway.config import addresses
from gateway.config.sections.base import Section, Words
from gateway.config.sections.oauth_access import OAuthScope as Scope
from gateway.config.sections.oauth_access import UnlistedApps
from gateway.config.sections.oidc_claims import OwnScope, ToldGroups
from gateway.config.sections.policy import Policy
from gateway.config.units import Duration

ClientId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$"),
    Words("a name of letters, digits, dots, dashes and underscores such as `grafana`"),
]
SecretHash = Annotated[
    str,
    StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$"),
    Words("a hash that `auth-gateway oidc secret` prints"),
]
WebOrigin = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[^/?#\s\\@]+$"),
    Words("an origin such as `https://app.example.com`"),
]
WebUrl = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[^\s\\#@]+$"),
    Words("a URL such as `https://app.example.com/path`"),
]
AuthMethod = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
Grant = Literal["authorization_code", "refresh_token", "client_credentials", "device_code"]


_OPENID, _OAUTH = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"


def metadata_paths(base: str) -> tuple[str, ...]:
    """Return the paths of the provider's metadata, for an issuer with the path `base` ("" for none).

    OpenID Connect Discovery 1.0 §4 puts them behind the issuer's path, RFC 8414 §3.1 before it. Many apps look for both
    behind it.
    """
    return tuple(dict.fromkeys((f"{base}{_OPENID}", f"{base}{_OAUTH}", f"{_OAUTH}{base}")))


class Lifetimes(Section):
    """How long codes and tokens of an app are good."""

    code: Duration = Field(
        60.0, ge=1, le=600, description="between the sign-in and the app's call for tokens"
    )
    id: Duration = Field(300.0, ge=10, description="of an id token")
    access: Duration = Field(3600.0, ge=10, description="of an access token")
    refresh: Duration = Field(30 * 86400.0, ge=60, description="after which the user has to sign in again")
    refresh_idle: Duration = Field(15 * 86400.0, ge=60, description="of a refresh token that is not used")
    device: Duration = Field(600.0, ge=60, le=3600, description="in which a device's code must be typed in")


class OidcClient(Section):
    """An application that signs its users in through us. See docs/oidc.md."""

    id: ClientId = Field(description="its client_id")
    name: str = Field("", description="what users read; default is the id")
    auth: tuple[AuthMethod, ...] = Field(
        ("client_secret_basic", "client_secret_post"),
        min_length=1,
        description="how it proves that it is itself; `[none]` for apps that can keep no secret",
    )
    secrets: tuple[SecretHash, ...] = Field(
        (), description="hashes from `auth-gateway oidc secret`; two while one replaces the other"
    )
    jwks_file: Path | None = Field(None, description="its public keys (JWK set), for private_key_jwt")
    grants: tuple[Grant, ...] = Field(
        ("authorization_code", "refresh_token"), min_length=1, description="how it may get tokens"
    )
    redirect_uris: tuple[str, ...] = Field(
        (), description="where users return to; compared letter by letter, no patterns"
    )
    post_logout_redirect_uris: tuple[str, ...] = Field(
        (), description="where users may go after signing out; compared letter by letter"
    )
    backchannel_logout_uri: WebUrl | None = Field(None, description="is told when a session ends")
    origins: tuple[WebOrigin, ...] = Field(
        (), description="origins whose scripts may call the token endpoints (CORS)"
    )
    scopes: tuple[Scope, ...] = Field(
        ("openid", "profile", "email", "groups", "offline_access"),
        description="what it may ask for; `offline_access` counts where `refresh_token` is among `grants`",
    )
    claims: tuple[str, ...] = Field(
        (),
        description="claims that it may ask for one by one, beside those of its scopes (parameter `claims`)",
    )
    id_token_claims: Literal["scopes", "asked"] = Field(
        "scopes",
        description="claims of scopes stand in the id token, too; asked = at userinfo alone, but for those that the "
        "parameter `claims` wants there (OpenID Connect Core §5.4)",
    )
    access_token_claims: tuple[str, ...] = Field(
        ("groups",),
        description="of the claims that it was granted, those that its access tokens carry to APIs",
    )
    groups: ToldGroups = Field(ToldGroups(), description="the groups of its users, as it is told them")
    audience: tuple[str, ...] = Field(
        (), description="APIs that its access tokens are for, beside our own endpoints"
    )
    subject_type: Literal["public", "pairwise"] = Field(
        "public",
        description="pairwise: what it knows users and sessions by (`sub`, `sid`) is known to no app of another sector",
    )
    sector_identifier_uri: WebUrl | None = Field(
        None,
        description="apps whose redirect URIs all stand in the JSON list there are one sector; needed for pairwise "
        "subjects where the redirect URIs have several hosts",
    )
    policy: Policy = Field(Policy(), description="who may sign in to it, and how")
    consent: Literal["none", "once", "always"] = Field(
        "once", description="whether users are asked before it gets their data; none = it is your own app"
    )
    pkce: bool = Field(True, description="refuse sign-ins without PKCE; always so for `auth: [none]`")
    par: bool = Field(False, description="refuse sign-ins that were not pushed before (RFC 9126)")
    id_token_alg: Literal["RS256", "ES256"] = Field(
        "RS256", description="signature of its tokens; every client knows RS256"
    )
    lifetimes: Lifetimes = Field(Lifetimes(), description="how long what it gets is good")

    @property
    def label(self) -> str:
        """What users read of the app."""
        return self.name or self.id

    @property
    def offered(self) -> tuple[str, ...]:
        """What it may ask for with these grants: access while its user is away is refreshed, or it is none."""
        refreshes = "refresh_token" in self.grants
        return tuple(scope for scope in self.scopes if refreshes or scope != "offline_access")

    @property
    def only_asked_in_id_token(self) -> bool:
        """Whether claims of scopes are told at userinfo alone."""
        return self.id_token_claims == "asked"  # noqa: S105 - a word

    @property
    def redirect_hosts(self) -> tuple[str, ...]:
        """The hosts that redirect URIs lead to, beside this machine; apps with a scheme of their own have none."""
        parts = [urlsplit(uri) for uri in self.redirect_uris]
        hosts = [(one.hostname or "").lower() for one in parts if one.scheme in ("http", "https")]
        return tuple(dict.fromkeys(host for host in hosts if host and not addresses.is_local(host)))

    @property
    def is_public(self) -> bool:
        """Whether the app can keep no secret (a public client, RFC 6749 §2.1)."""
        return "none" in self.auth


class Oidc(Section):
    """Without clients there is no provider: its addresses are 404."""

    clients: tuple[OidcClient, ...] = Field((), description="the applications")
    self_registration: UnlistedApps = Field(
        UnlistedApps(), description="apps that are not listed, such as MCP clients; off by default"
    )
    subject: Literal["opaque", "username"] = Field(
        "opaque",
        description="what apps know users by (`sub`): an id that nobody else ever gets, or the username, which may be "
        "somebody else's one day",
    )
    scopes: dict[str, OwnScope] = Field(
        default_factory=dict,
        description="your own scopes -> what users read about them on the consent page, or the claims that they stand "
        "for, as `hr: [department]`, or both, as `hr: {text: See your department, claims: [department]}`",
    )
    claims: dict[str, str] = Field(
        default_factory=dict,
        description='your own claims, made of facts of the user: `department: "{user.department}"`, a list where there '
        'are several values; `"{user.department|json}"` is always a list',
    )
    keys_file: Path | None = Field(
        None,
        description="keys that sign tokens, made at first start; none = `oidc.keys` beside session.keys_file",
    )
    announce: Duration = Field(
        86400.0, description="how long a new key is published before it signs (`auth-gateway key rotate`)"
    )
    rotate_keys: Duration = Field(
        0.0,
        description="renew the keys that sign tokens after this time, such as `90d`; 0s = by command only",
    )

    @property
    def enabled(self) -> bool:
        """Whether there is a provider."""
        return bool(self.clients) or self.self_registration.enabled

    @property
    def policies(self) -> tuple[Policy, ...]:
        """Return the policies of all apps, listed or not."""
        more = (self.self_registration.policy,) if self.self_registration.enabled else ()
        return (*(client.policy for client in self.clients), *more)
