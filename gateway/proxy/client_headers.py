"""Which of a client's headers an app must not get, since it could take them for our word. Names only, and pure.

Our own proxy and the exported engines read the same sets: `removed_from` says what a route removes.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from gateway.config.schema import Route
from gateway.config.sections.header_presets import FAMILIES, IDENTITY

Pair = tuple[bytes, bytes]
Pairs = list[Pair]

# RFC 9110 §7.6.1, and the older names that its predecessors listed. HTTP2-Settings: RFC 7540 §3.2.1.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# What apps read to learn who connected, and what was asked. Names that begin with x-forwarded- belong here too. No
# standard lists them: they are what CDNs, load balancers and frameworks send or believe.
ADDRESS = frozenset(
    {
        "forwarded",
        "via",
        "x-real-ip",
        "client-ip",
        "x-client-ip",
        "proxy-client-ip",
        "wl-proxy-client-ip",
        "x-cluster-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "cf-pseudo-ipv4",
        "fastly-client-ip",
        "fly-client-ip",
        "x-appengine-user-ip",
        "x-azure-clientip",
        "x-envoy-external-address",
        "x-forwarded",
        "forwarded-for",
        "x-original-forwarded-for",
        "x-remote-ip",
        "x-remote-addr",
        "x-host",
        "x-scheme",
        "x-url-scheme",
        "front-end-https",
        "x-original-url",
        "x-original-uri",
        "x-original-method",
        "x-original-host",
        "x-rewrite-url",
    }
)
FORWARDED_FAMILY = "x-forwarded-"
# Members of that family that proxies are known to send, for engines which can't remove a family.
FORWARDED_KNOWN = (
    "x-forwarded-by",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-forwarded-url",
)
# By which a request asks to be taken for another than the one that rules about methods have judged.
METHOD_OVERRIDE = frozenset({"x-http-method-override", "x-http-method", "x-method-override"})
# Always written by us; `proxy` would become HTTP_PROXY in a CGI app ("httpoxy").
REPLACED = frozenset(
    {
        "host",
        "content-length",
        "proxy",
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-request-id",
        # Between an engine and the gateway: whether Authorization was for us (docs/forward-auth.md).
        "x-gateway-consumes",
        "x-gateway-consumed",
    }
)
_LONGEST_REMEMBERED = 64
_NOT_ALNUM = re.compile(r"[^a-z0-9]")


def canonical(name: str | bytes) -> str:
    """The name as the laxest app would read it: CGI and its heirs turn case, "-", "_", "." and the like into one."""
    return _known_canonical(name) if len(name) <= _LONGEST_REMEMBERED else _canonical(name)


def _canonical(name: str | bytes) -> str:
    # RFC 3875 §4.1.18: CGI writes a field as HTTP_, upper case, "_" for "-". So `X_Real_IP` and `x-real-ip` arrive as
    # one variable, and a filter that compares letter by letter lets the first of them through.
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    return _NOT_ALNUM.sub("-", text.strip().lower())


# Clients send few names; what they make up may not grow large.
_known_canonical = lru_cache(maxsize=4096)(_canonical)


def connection_options(pairs: Iterable[Pair]) -> set[str]:
    """The header names that Connection declares to be hop-by-hop (RFC 9110 §7.6.1)."""
    # A client may use this against us: `Connection: X-Auth-User` makes a naive proxy drop its own field on the way out.
    # Here it strikes fields that were received only; ours are written afterwards.
    values = (value for name, value in pairs if name.lower() == b"connection")
    return {canonical(option) for value in values for option in value.split(b",") if option.strip()}


@dataclass(frozen=True, slots=True)
class Removed:
    """Canonical names, and beginnings of names, that a client can't send to an app.

    Attributes:
        names: whole names.
        families: beginnings, such as "x-pomerium-".
        kept: names of `headers.keep`, which stay whatever the others say.
        from_proxies: those of `kept` that tell of addresses: they stay if a trusted proxy sends them.
    """

    names: frozenset[str]
    families: tuple[str, ...]
    kept: frozenset[str]
    from_proxies: frozenset[str]

    def takes(self, key: str, *, trusted: bool) -> bool:
        """Whether a header of this canonical name is removed. `trusted`: a trusted proxy sent the request."""
        if key in self.kept:
            return key in self.from_proxies and not trusted
        return key in self.names or key.startswith(self.families)


def removed_from(route: Route) -> Removed:
    """What this route's app gets from nobody but us."""
    written = (*route.headers.rename.values(), *route.headers.add)
    names = HOP_BY_HOP | REPLACED | ADDRESS | {canonical(name) for name in (*IDENTITY, *written)}
    # Apps that believe such a field would do DELETE where a rule has allowed POST.
    if limits_methods(route):
        names |= METHOD_OVERRIDE
    kept = frozenset(map(canonical, route.headers.keep))
    return Removed(
        names=names,
        families=(*FAMILIES, FORWARDED_FAMILY),
        kept=kept,
        from_proxies=frozenset(key for key in kept if key in ADDRESS or key.startswith(FORWARDED_FAMILY)),
    )


def limits_methods(route: Route) -> bool:
    """Whether a request's method decides anything: by a rule, a token that may only read, or a free preflight."""
    return route.tokens or route.cors_preflight or any(rule.methods for rule in route.access)
