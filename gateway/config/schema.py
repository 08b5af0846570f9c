"""The configuration as typed, frozen values. The descriptions of the fields *are* docs/configuration.md.

The larger sections are in `sections`; all names can be imported from here.
"""

from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, PrivateAttr, model_validator

from gateway.config.sections.admin import Admin
from gateway.config.sections.answers import Redirect, Respond
from gateway.config.sections.attestation import Attestation
from gateway.config.sections.audit import AuditArchive, AuditKeep, AuditSection
from gateway.config.sections.base import Network, SecretUrl, Section
from gateway.config.sections.directory import (
    Directory,
    DirectoryDatabase,
    DirectoryFile,
    DirectoryLdap,
    LdapAttributes,
)
from gateway.config.sections.domains import Color, Domain
from gateway.config.sections.email_link import EmailLink
from gateway.config.sections.federation import Federation
from gateway.config.sections.identity_providers import GithubProvider, IdentityProvider, OidcProvider
from gateway.config.sections.oidc import Oidc
from gateway.config.sections.passwords import Breached, PasswordRules
from gateway.config.sections.policy import AccessRequest, FactorName, Policy, Require, Rule, Times
from gateway.config.sections.registration import RegistrationSection
from gateway.config.sections.risk import Risk, RiskAction
from gateway.config.sections.route import Headers, HealthCheck, Rewrite, Route, Timeouts, UpstreamTls
from gateway.config.sections.scim import Scim
from gateway.config.sections.server import HttpLimits, Server, Tls
from gateway.config.sections.session import Bind, Session
from gateway.config.sections.sms_email import (
    Email,
    EmailBase,
    EmailConsole,
    EmailSmtp,
    Sms,
    SmsBase,
    SmsConsole,
    SmsTwilio,
    SmsTwilioVerify,
    SmsWebhook,
    TwilioAccount,
)
from gateway.config.sections.tracing import TracingSection
from gateway.config.sections.user_tokens import UserTokens
from gateway.config.units import Duration
from gateway.config.yaml_document import Document

__all__ = [
    "AccessRequest",
    "Admin",
    "Attestation",
    "AuditArchive",
    "AuditKeep",
    "AuditSection",
    "Bind",
    "Branding",
    "Breached",
    "Config",
    "Directory",
    "DirectoryDatabase",
    "DirectoryFile",
    "DirectoryLdap",
    "Email",
    "EmailBase",
    "EmailConsole",
    "EmailSmtp",
    "EnrolmentSection",
    "FactorName",
    "Federation",
    "Forward",
    "GithubProvider",
    "Headers",
    "HealthCheck",
    "HttpLimits",
    "IdentityProvider",
    "LdapAttributes",
    "Log",
    "Network",
    "Oidc",
    "OidcProvider",
    "PasswordRules",
    "Policy",
    "Redirect",
    "RegistrationSection",
    "Require",
    "Respond",
    "Rewrite",
    "Risk",
    "RiskAction",
    "Route",
    "Rule",
    "Section",
    "Server",
    "Session",
    "Sms",
    "SmsBase",
    "SmsConsole",
    "SmsTwilio",
    "SmsTwilioVerify",
    "SmsWebhook",
    "Storage",
    "Timeouts",
    "Times",
    "Tls",
    "TracingSection",
    "TwilioAccount",
    "UpstreamTls",
    "WebAuthn",
]


class Storage(Section):
    """Where users and state are kept."""

    url: SecretUrl = Field(
        "sqlite:///var/gateway.db",
        repr=False,
        description="sqlite:///path or postgresql://user:password@host/db (behind PgBouncer: …/db?pgbouncer=true)",
    )
    state_url: SecretUrl | None = Field(
        None, repr=False, description="redis://… or redis+sentinel://… for short-lived state; none = in `url`"
    )


EnrolledFactor = Literal["totp", "webauthn", "sms", "email"]


class EnrolmentSection(Section):
    """Which second factors users may add, and when."""

    at_first_login: bool = Field(
        True, description="who has no second factor at all adds one after the password; false = ask the admin"
    )
    factors: tuple[EnrolledFactor, ...] = Field(
        ("totp", "webauthn", "sms", "email"), description="what users may add themselves"
    )


class WebAuthn(Section):
    """Security keys and passkeys: what they are bound to and where they count."""

    rp_id: str | None = Field(
        None, description="domain that keys are bound to; none = session.domain or the host of public_url"
    )
    passwordless: bool = Field(
        True, description="let a passkey that verifies its user stand for password and second factor"
    )
    nudge: Duration = Field(
        30 * 86400.0,
        description="after a sign-in by SMS, who has no passkey is asked for one, at most once in this; 0s = never",
    )
    origins: tuple[str, ...] = Field(
        (),
        description="further origins whose pages may use keys, such as `https://app.example.com`, beside public_url "
        "and the hosts that routes name without `*`",
    )
    attestation: Attestation = Field(Attestation(), description="which models of keys count")


Language = Literal[
    "en", "ar", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt-BR", "ru", "tr", "zh-Hans", "zh-Hant"
]
"""The catalogues in gateway/i18n/locales, and English."""


class Branding(Section):
    """How the gateway's own pages look."""

    name: str = Field("auth-gateway", description="shown on every page")
    logo_file: Path | None = Field(None, description="SVG or PNG")
    color: Color = Field("#2f5bea", description="buttons and links")
    support: str = Field("", description="one line below the form: whom to ask")
    language: Language = Field("en", description="for browsers that ask for none of `languages`")
    languages: tuple[Language, ...] = Field(get_args(Language), description="what readers may choose from")


class Log(Section):
    """What is logged, in which form, and how long audit rows are kept."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is logged"
    )
    access: bool = Field(True, description="one JSON line a request")
    access_sample: float = Field(
        1.0, ge=0, le=1, description="share of successful requests that are logged; errors always are"
    )
    format: Literal["json", "text"] = Field("json", description="text is for terminals")
    audit_kept: Duration = Field(400 * 86400.0, description="older name of `audit.keep.age`")


Peer = Literal["authelia", "oauth2-proxy", "vouch", "authentik"]


class Forward(Section):
    """How the gateway answers proxies that ask it about requests. See docs/forward-auth.md."""

    cache: Duration = Field(5.0, description="how long an exported nginx keeps our answer; 0s = not at all")
    pass_lifetime: Duration = Field(
        60.0, ge=5, le=300, description="life of the signed cookie that an exported HAProxy checks by itself"
    )
    compatible: tuple[Peer, ...] = Field(
        (), description="answer at the forward-auth addresses of these gateways, too (docs/migrating.md)"
    )
    x_forwarded: bool = Field(
        False,
        description="at those of oauth2-proxy and Vouch, believe X-Forwarded-Host, -Uri and -Method (Traefik, Caddy)"
        " instead of Host (nginx); your proxy must set all of them",
    )


class Config(Section):
    """A whole configuration, as it was read and checked."""

    include: tuple[str, ...] = Field(
        (),
        description="further files, such as `routes/*.yaml`, from the folder of this one",
    )
    server: Server = Field(Server(), description="the listening side")
    session: Session = Field(Session(), description="sign-in sessions and their cookie")
    storage: Storage = Field(Storage(), description="where users and state live")
    directory: Directory = Field(DirectoryDatabase(), description="where users and passwords live")
    sms: Sms = Field(SmsConsole(), description="codes by SMS")
    email: Email = Field(EmailConsole(), description="codes and links by mail")
    identity_providers: tuple[IdentityProvider, ...] = Field(
        (), description="sign-in through accounts elsewhere, beside passwords (docs/federation.md)"
    )
    federation: Federation = Field(Federation(), description="how people come to `identity_providers`")
    passwords: PasswordRules = Field(PasswordRules(), description="rules and cost of passwords")
    email_link: EmailLink = Field(EmailLink(), description="sign-in by a mailed link, beside passwords")
    registration: RegistrationSection = Field(
        RegistrationSection(), description="accounts that people make themselves (docs/registration.md)"
    )
    scim: Scim = Field(Scim(), description="users and groups from a directory elsewhere (docs/scim.md)")
    enrolment: EnrolmentSection = Field(EnrolmentSection(), description="how users come to second factors")
    webauthn: WebAuthn = Field(WebAuthn(), description="security keys and passkeys")
    domains: tuple[Domain, ...] = Field((), description="further root domains (docs/domains.md)")
    branding: Branding = Field(Branding(), description="how the pages look")
    risk: Risk = Field(Risk(), description="unusual sign-ins (docs/risk.md)")
    log: Log = Field(Log(), description="what is logged")
    audit: AuditSection = Field(AuditSection(), description="how much of the audit log stays")
    tracing: TracingSection = Field(
        TracingSection(), description="OpenTelemetry traces (docs/observability.md)"
    )
    forward: Forward = Field(Forward(), description="for proxies that ask us (docs/forward-auth.md)")
    access_requests: tuple[AccessRequest, ...] = Field(
        (), description="groups that users may ask for when a page is refused (docs/access-requests.md)"
    )
    oidc: Oidc = Field(Oidc(), description="apps that sign their users in through us (docs/oidc.md)")
    user_tokens: UserTokens = Field(UserTokens(), description="API tokens that users make themselves")
    admin: Admin = Field(Admin(), description="the admin pages and their API (docs/admin.md)")
    rules: tuple[Rule, ...] = Field((), description="asked before those of every route; first match decides")
    routes: tuple[Route, ...] = Field((), description="what is protected; first match wins, no match = 404")

    _document: Document | None = PrivateAttr(None)
    """Where the file says what; the loader sets it."""

    @property
    def audit_age(self) -> float:
        """Seconds for which rows of the audit log stay in the database."""
        return self.audit.keep.age if self.audit.keep.age is not None else self.log.audit_kept

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files that this configuration was read from, secrets among them, and the patterns of `include`."""
        return tuple(self._document.sources) if self._document is not None else ()

    def where(self, *path: str | int) -> str:
        """Return file and line of a key, such as "config.yaml:12"; "" if this configuration is from no file."""
        if self._document is None:
            return ""
        file, line = self._document.place(path)
        return f"{file}:{line}"

    @model_validator(mode="after")
    def _hand_down_rules(self) -> "Config":
        for route in self.routes:
            route._shared = self.rules
        return self
