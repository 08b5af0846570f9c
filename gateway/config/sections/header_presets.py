"""The header names by which other gateways tell apps who the user is, by preset. Data only.

All of them are removed from every client's request, on every route, whether the preset is on or not: an app may
listen to any of these dialects (security rule 1).
"""

from dataclasses import dataclass
from typing import Literal

PresetName = Literal["remote-user", "x-forwarded", "x-auth-request", "authentik", "goog-iap", "cf-access"]
Fact = Literal["username", "name", "email", "groups", "groups_piped", "assertion"]

ASSERTION = "X-Auth-Assertion"


@dataclass(frozen=True, slots=True)
class HeaderFact:
    """What a header says: a fact about the user, behind a fixed text."""

    fact: Fact
    before: str = ""


_GOOGLE = "accounts.google.com:"

PRESETS: dict[str, dict[str, HeaderFact]] = {
    "remote-user": {
        "Remote-User": HeaderFact("username"),
        "Remote-Name": HeaderFact("name"),
        "Remote-Email": HeaderFact("email"),
        "Remote-Groups": HeaderFact("groups"),
    },
    "x-forwarded": {
        "X-Forwarded-User": HeaderFact("username"),
        "X-Forwarded-Email": HeaderFact("email"),
        "X-Forwarded-Groups": HeaderFact("groups"),
        "X-Forwarded-Preferred-Username": HeaderFact("username"),
    },
    "x-auth-request": {
        "X-Auth-Request-User": HeaderFact("username"),
        "X-Auth-Request-Email": HeaderFact("email"),
        "X-Auth-Request-Groups": HeaderFact("groups"),
        "X-Auth-Request-Preferred-Username": HeaderFact("username"),
    },
    "authentik": {
        "X-authentik-username": HeaderFact("username"),
        "X-authentik-groups": HeaderFact("groups_piped"),
        "X-authentik-email": HeaderFact("email"),
        "X-authentik-name": HeaderFact("name"),
        "X-authentik-uid": HeaderFact("username"),
        "X-authentik-jwt": HeaderFact("assertion"),
    },
    "goog-iap": {
        "X-Goog-Authenticated-User-Email": HeaderFact("email", _GOOGLE),
        "X-Goog-Authenticated-User-Id": HeaderFact("username", _GOOGLE),
        "X-Goog-IAP-JWT-Assertion": HeaderFact("assertion"),
    },
    "cf-access": {
        "Cf-Access-Authenticated-User-Email": HeaderFact("email"),
        "Cf-Access-Jwt-Assertion": HeaderFact("assertion"),
    },
}
ALWAYS = {ASSERTION: HeaderFact("assertion")}

_NEVER_TOLD = (
    "X-Auth-Request-Access-Token",
    "X-Forwarded-Access-Token",
    "X-Forwarded-Roles",
    "GAP-Auth",
    "GAP-Signature",
    "X-authentik-entitlements",
    "X-authentik-meta-app",
    "X-authentik-meta-jwks",
    "X-authentik-meta-outpost",
    "X-authentik-meta-provider",
    "X-authentik-meta-version",
    "X-Vouch-User",
    "X-Vouch-Success",
    "X-Vouch-IdP-Claims",
    "X-Vouch-IdP-Groups",
    "X-Vouch-IdP-IdToken",
    "X-Vouch-IdP-AccessToken",
    "X-Pomerium-Jwt-Assertion",
    "X-Pomerium-Claim-Sub",
    "X-Pomerium-Claim-User",
    "X-Pomerium-Claim-Email",
    "X-Pomerium-Claim-Name",
    "X-Pomerium-Claim-Groups",
    "Remote-Sub",
    "Auth-User",
    "Auth-Mail",
    "Auth-Groups",
    "X-Auth-User",
    "X-Auth-Userid",
    "X-Auth-Username",
    "X-Auth-Name",
    "X-Auth-Given-Name",
    "X-Auth-Family-Name",
    "X-Auth-Email",
    "X-Auth-Groups",
    "X-Auth-Roles",
    "X-Auth-Subject",
    "X-Auth-Audience",
    "X-Auth-ExpiresIn",
    "X-Auth-Session-State",
    "X-Token-Subject",
    "X-Token-User-Name",
    "X-Token-User-Email",
    "X-Token-User-Roles",
    "X-Remote-User",
    "X-Remote-Group",
    "X-Remote-Groups",
    "X-Remote-Name",
    "X-Remote-Email",
    "X-Authenticated-User",
    "X-Authenticated-Userid",
    "X-Authenticated-Groups",
    "X-WEBAUTH-USER",
    "X-WEBAUTH-NAME",
    "X-WEBAUTH-EMAIL",
    "X-WEBAUTH-GROUPS",
    "X-WEBAUTH-ROLE",
)
"""Names that we don't set, but that an app which was set up for another gateway may believe (docs/comparison.md).

Not here: X-Auth-Token, which is a credential that apps check by themselves and that programs send.
"""

FAMILIES: tuple[str, ...] = (
    "x-auth-request-",
    "x-authenticated-",
    "x-authentik-",
    "x-goog-authenticated-user-",
    "x-goog-iap-",
    "cf-access-",
    "oidc-claim-",
    "x-pomerium-",
    "x-remote-",
    "x-token-",
    "x-vouch-",
    "x-webauth-",
)
"""Beginnings of the names that gateways make of any claim: nobody can list them all."""

IDENTITY: tuple[str, ...] = (
    *(name for preset in PRESETS.values() for name in preset),
    *ALWAYS,
    *_NEVER_TOLD,
)
"""Everything that an app could take for our word about the user."""


def told_by(presets: tuple[str, ...]) -> dict[str, HeaderFact]:
    """Header name -> what it says, for a route with these presets."""
    return {name: told for preset in presets for name, told in PRESETS[preset].items()} | ALWAYS
