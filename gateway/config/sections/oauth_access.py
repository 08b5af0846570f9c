"""Access tokens at a route (RFC 9068, RFC 9728), and apps that register themselves (RFC 7591)."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gateway.config.sections.base import Section, Words
from gateway.config.sections.policy import Policy
from gateway.config.units import Duration

OAuthScope = Annotated[
    str, StringConstraints(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$"), Words("a scope such as `openid`")
]
AppHost = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$"),
    Words("a host such as `apps.example.com`, without `*`"),
]


class OAuthAccess(Section):
    """Programs come to a route with an access token of the gateway's own OpenID provider."""

    scopes: tuple[OAuthScope, ...] = Field((), description="what a token must have been granted to pass")
    name: str = Field("", description="what people and programs read of it; default is the route's name")


class UnlistedApps(Section):
    """Apps that are not listed in `clients`. All of it is off until it is switched on."""

    register_clients: bool = Field(
        False, alias="register", description="apps may register themselves (RFC 7591), without a secret"
    )
    document_hosts: tuple[AppHost, ...] = Field(
        (),
        description="hosts of client-id metadata documents: a `client_id` that is an https URL there counts",
    )
    redirect_hosts: tuple[AppHost, ...] = Field((), description="hosts that users may return to, by https")
    loopback: bool = Field(
        False, description="users may return to an app on their own machine (`http://127.0.0.1`, `localhost`)"
    )
    scopes: tuple[OAuthScope, ...] = Field(
        ("openid", "profile", "email"),
        description="what such apps may ask for, beside the scopes that the `oauth` of routes names",
    )
    policy: Policy = Field(Policy(), description="who may sign in to such apps, and how")
    subject_type: Literal["public", "pairwise"] = Field(
        "public", description="pairwise: all such apps get pairwise subjects; public: those that ask for them"
    )
    access: Duration = Field(900.0, ge=10, description="how long an access token is good")
    refresh: Duration = Field(7 * 86400.0, ge=60, description="after which the user has to sign in again")
    forget_after: Duration = Field(
        90 * 86400.0, ge=3600, description="an app that has not been used for so long must register again"
    )

    @property
    def enabled(self) -> bool:
        """Whether any app that is not listed can come."""
        return self.register_clients or bool(self.document_hosts)
