"""How other gateways tell apps who the user is: header names by preset, and the fact that each of them holds.

Data only. Whatever stands here is removed from every client's request, on every route, whether its preset is on or
not: an app may listen to any of these dialects (security rule 1).
"""

from dataclasses import dataclass
from typing import Literal

PresetName = Literal["remote-user", "x-forwarded", "x-auth-request", "authentik", "goog-iap", "cf-access"]
Fact = Literal["username", "name", "email", "groups", "groups_piped", "assertion"]

ASSERTION = "X-Auth-Assertion"


@dataclass(frozen=True, slots=True)
class Told:
    """What a header says: a fact about the user, behind a fixed text."""

    fact: Fact
    before: str = ""


_GOOGLE = "accounts.google.com:"

PRESETS: dict[str, dict[str, Told]] = {
    "remote-user": {
        "Remote-User": Told("username"),
        "Remote-Name": Told("name"),
        "Remote-Email": Told("email"),
        "Remote-Groups": Told("groups"),
    },
    "x-forwarded": {
        "X-Forwarded-User": Told("username"),
        "X-Forwarded-Email": Told("email"),
        "X-Forwarded-Groups": Told("groups"),
        "X-Forwarded-Preferred-Username": Told("username"),
    },
    "x-auth-request": {
        "X-Auth-Request-User": Told("username"),
        "X-Auth-Request-Email": Told("email"),
        "X-Auth-Request-Groups": Told("groups"),
        "X-Auth-Request-Preferred-Username": Told("username"),
    },
    "authentik": {
        "X-authentik-username": Told("username"),
        "X-authentik-groups": Told("groups_piped"),
        "X-authentik-email": Told("email"),
        "X-authentik-name": Told("name"),
        "X-authentik-uid": Told("username"),
        "X-authentik-jwt": Told("assertion"),
    },
    "goog-iap": {
        "X-Goog-Authenticated-User-Email": Told("email", _GOOGLE),
        "X-Goog-Authenticated-User-Id": Told("username", _GOOGLE),
        "X-Goog-IAP-JWT-Assertion": Told("assertion"),
    },
    "cf-access": {
        "Cf-Access-Authenticated-User-Email": Told("email"),
        "Cf-Access-Jwt-Assertion": Told("assertion"),
    },
}
ALWAYS = {ASSERTION: Told("assertion")}

_NEVER_TOLD = (
    "X-Auth-Request-Access-Token",
    "X-authentik-entitlements",
    "X-authentik-meta-app",
    "X-authentik-meta-jwks",
    "X-authentik-meta-outpost",
    "X-authentik-meta-provider",
    "X-authentik-meta-version",
    "X-Vouch-User",
    "X-Pomerium-Jwt-Assertion",
)
"""Names of these dialects that we don't set, but that an app may believe."""

IDENTITY: tuple[str, ...] = (
    *(name for preset in PRESETS.values() for name in preset),
    *ALWAYS,
    *_NEVER_TOLD,
)
"""Everything that an app could take for our word about the user."""


def told_by(presets: tuple[str, ...]) -> dict[str, Told]:
    """Header name -> what it says, for a route with these presets."""
    return {name: told for preset in presets for name, told in PRESETS[preset].items()} | ALWAYS
