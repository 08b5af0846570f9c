"""Checks of the OpenID provider's clients: what would let a stranger in, and what could never work."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.config import addresses
from gateway.config.checks.finding import Check, Finding
from gateway.config.schema import Config
from gateway.config.sections.oidc import OidcClient
from gateway.config.yaml_document import KeyPath

_NEVER_AN_APP = frozenset(
    {
        "javascript",
        "vbscript",
        "data",
        "blob",
        "file",
        "about",
        "filesystem",
        "view-source",
        "ws",
        "wss",
        "ftp",
    }
)
_KEY_SET_KEPT = 300.0
"""Seconds for which our key set says that it may be kept."""


def clients(config: Config) -> Iterator[Finding]:
    """Find clients that contradict themselves, that a stranger could use, or whose addresses no browser follows."""
    seen: set[str] = set()
    for index, client in enumerate(config.oidc.clients):
        path: KeyPath = ("oidc", "clients", index)
        if client.id in seen:
            yield Finding((*path, "id"), f"there are two clients `{client.id}`", "give each its own id")
        seen.add(client.id)
        yield from _authentication(path, client)
        yield from _addresses(path, client)
        if client.policy.require == "bypass":
            mend = "a sign-in needs somebody: write one_factor or two_factor"
            yield Finding((*path, "policy", "require"), "`bypass` lets nobody in here", mend)


def unlisted(config: Config) -> Iterator[Finding]:
    """Find settings for apps that register themselves which let nobody in, or ask for nothing; and routes that take
    tokens which nobody makes.
    """
    settings, path = config.oidc.self_registration, ("oidc", "self_registration")
    if settings.enabled and not (settings.redirect_hosts or settings.loopback):
        mend = (
            "list hosts in `redirect_hosts`, or write `loopback: true` for programs on people's own machines"
        )
        yield Finding(path, "lets users return nowhere, so no app can be used", mend)
    if settings.enabled and settings.policy.require == "bypass":
        mend = "a sign-in needs somebody: write one_factor or two_factor"
        yield Finding((*path, "policy", "require"), "`bypass` lets nobody in here", mend)
    for index, route in enumerate(config.routes):
        if route.oauth is not None and not config.oidc.enabled:
            mend = "list an app in `oidc.clients`, or switch `oidc.self_registration` on"
            yield Finding(("routes", index, "oauth"), "needs the OpenID provider, which is off", mend)


def _authentication(path: KeyPath, client: OidcClient) -> Iterator[Finding]:
    if client.is_public and (len(client.auth) > 1 or client.secrets):
        yield Finding((*path, "auth"), "`none` and a secret exclude each other", "remove one of them")
    if client.is_public and "client_credentials" in client.grants:
        mend = "give it a secret, or remove the grant"
        yield Finding((*path, "grants"), "client_credentials without a secret lets everybody in", mend)
    by_secret = any(method.startswith("client_secret") for method in client.auth)
    if by_secret and not client.secrets and "private_key_jwt" not in client.auth:
        yield Finding((*path, "secrets"), "has none", "make one with `auth-gateway oidc secret`")
    if ("private_key_jwt" in client.auth) != (client.jwks_file is not None):
        yield Finding((*path, "jwks_file"), "`private_key_jwt` and `jwks_file` go together")
    elif client.jwks_file is not None and not client.jwks_file.is_file():
        yield Finding((*path, "jwks_file"), f"there is no file {client.jwks_file}")
    if "authorization_code" in client.grants and not client.redirect_uris:
        yield Finding((*path, "redirect_uris"), "has none", "write where the app takes its users back")


def _addresses(path: KeyPath, client: OidcClient) -> Iterator[Finding]:
    for key in ("redirect_uris", "post_logout_redirect_uris"):
        for index, uri in enumerate(getattr(client, key)):
            if problem := uri_problem(uri, native=client.is_public):
                yield Finding((*path, key, index), f"`{uri}` {problem}")


def uri_problem(uri: str, *, native: bool) -> str:
    """Why users can't be sent there, "" if they can (RFC 6749 §3.1.2, RFC 8252 §7).

    A scheme of an app's own should have a dot, so that no other app claims it by accident (RFC 8252 §7.1). Many apps
    that people have on their phones have none; `native` ones, which have no secret and so must use PKCE, may.
    """
    if not uri.isascii() or any(c <= " " or c in '\\"<>*' or c == "\x7f" for c in uri) or "#" in uri:
        return "has a character that a redirect URI can't have (no `*`, no fragment, no spaces)"
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme in ("http", "https"):
        if not host or "@" in parts.netloc:
            return "names no host, or a user"
        local = addresses.is_local(host)
        return "" if parts.scheme == "https" or local else "is http beyond this machine: write https"
    if parts.scheme in _NEVER_AN_APP:
        return "has a scheme that browsers run or read themselves"
    if "." in parts.scheme or (native and parts.scheme):
        return ""
    return "needs https, http on loopback, or an app's own scheme with a dot such as com.example.app:/done"


def rotation(config: Config) -> Iterator[Finding]:
    """Workers and apps must have read a key before it signs, and it must sign before the next one comes."""
    oidc = config.oidc
    if not oidc.rotate_keys:
        return
    if oidc.announce < _KEY_SET_KEPT:
        problem = "is too short to rotate by itself: apps keep the key set for 5 minutes and more"
        yield Finding(("oidc", "announce"), problem, "write `1h` or more; a day is usual")
    elif oidc.rotate_keys <= oidc.announce:
        problem = "is not longer than `oidc.announce`, so a key would be followed before it signs"
        yield Finding(("oidc", "rotate_keys"), problem, "write `90d`")


OIDC_CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    (frozenset({"oidc"}), clients),
    (frozenset({"oidc"}), rotation),
    (frozenset({"oidc", "routes"}), unlisted),
)
