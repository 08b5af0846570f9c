"""The section `identity_providers`: sign-in with accounts at OpenID providers (Google, Entra, Keycloak …)
and GitHub.
"""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from gateway.config.names import GroupName, MailDomain
from gateway.config.sections.base import Section, Words

ProviderName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9-]{1,40}$"),
    Words("a short name such as `google`, for addresses"),
]
TenantId = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.-]{0,99}$"),
    Words("a tenant's id such as `11111111-2222-3333-4444-555555555555`"),
]
HttpsUrl = Annotated[
    str,
    StringConstraints(
        pattern=r"^(https://[^\s?#]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?[^\s?#]*)$"
    ),
    Words("an https address; http only on this machine"),
]


class ProviderGroups(Section):
    """Groups of a provider that count here for as long as the session lasts, beside those of the directory."""

    claim: str = Field(
        "groups",
        min_length=1,
        description="the claim that holds them; `realm_access.roles` is one inside another",
    )
    map: dict[str, tuple[GroupName, ...]] = Field(
        default_factory=dict, description="the provider's name of a group -> our groups; others don't count"
    )
    prefix: str = Field("", description="all of them count, with this in front, such as `keycloak:`")


class ProviderBase(Section):
    """What every identity provider needs: its name, our client there, and who may come."""

    name: ProviderName = Field(description="part of the redirect address: `/_auth/federated/NAME/callback`")
    label: str = Field("", description="on the button of the sign-in page; default is the name")
    client_id: str = Field(min_length=1, description="what the provider calls this gateway")
    client_secret: SecretStr = Field(description="the secret that the provider gave for it")
    match: Literal["email", "username"] = Field(
        "email",
        description="how an account is found at its first sign-in: by verified mail address, or by user name",
    )
    domains: tuple[MailDomain, ...] = Field(
        (), description="only accounts with a mail address in these domains; empty = any"
    )
    create: bool = Field(False, description="add a user for an account that matches nobody (needs `domains`)")
    authorize: dict[str, str] = Field(
        default_factory=dict,
        description="more parameters of the address where sign-in begins, such as `prompt: select_account`",
    )
    login_hint: bool = Field(
        True,
        description="tell the provider who wants to sign in, where a link, an app or the session before says it",
    )
    groups: ProviderGroups | None = Field(
        None, description="groups that the provider names, for rules and apps (docs/federation.md)"
    )
    create_groups: tuple[GroupName, ...] = Field((), description="groups of users added like that")


class OidcProvider(ProviderBase):
    """An OpenID provider, found by its issuer's discovery document."""

    kind: Literal["oidc"] = Field(description="an OpenID provider")
    issuer: HttpsUrl = Field(description="exactly as the provider spells it")
    scopes: tuple[str, ...] = Field(("openid", "email", "profile"), description="what is asked for")
    tenants: tuple[TenantId, ...] = Field(
        (),
        description="whose users may come, where one issuer speaks for many tenants (Entra's `common` and "
        "`organizations`); without, such an issuer lets nobody in",
    )
    response_mode: Literal["query", "form_post"] = Field(
        "query", description="how the answer comes back; Apple sends names and addresses by `form_post` alone"
    )
    username_claim: str = Field("preferred_username", description="the claim that `match: username` compares")
    assigns_usernames: bool = Field(
        False, description="nobody chooses their own user name there, so `match: username` needs no `domains`"
    )
    logout: bool = Field(
        False,
        description="who signs out here signs out there, too, where the provider has an `end_session_endpoint`",
    )
    trust_mfa: bool = Field(
        False,
        description="count the provider's own second factor (`amr`, `acr`) where any second factor will do",
    )


class GithubProvider(ProviderBase):
    """GitHub or GitHub Enterprise, which speak OAuth 2.0 but not OpenID Connect."""

    kind: Literal["github"] = Field(description="GitHub")
    base_url: HttpsUrl = Field("https://github.com", description="where its pages are")
    api_url: HttpsUrl = Field("https://api.github.com", description="where its API is")


IdentityProvider = Annotated[OidcProvider | GithubProvider, Field(discriminator="kind")]
