"""Which headers an upstream gets. Pure: raw name/value pairs in, raw pairs out, order and bytes kept.

Delete before set: everything an upstream could take for our word (identity, addresses) is removed in every spelling
first, and then written from the Principal and the Target alone. What passes here must never be read from elsewhere.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from gateway.config.schema import Route
from gateway.config.sections.header_presets import FAMILIES, IDENTITY, HeaderFact, told_by
from gateway.errors import RequestRefused
from gateway.model import Principal, Target
from gateway.proxy.client_headers import (
    ADDRESS,
    FORWARDED_FAMILY,
    HOP_BY_HOP,
    METHOD_OVERRIDE,
    REPLACED,
    Pair,
    Pairs,
)
from gateway.proxy.identity import clean, identity
from gateway.proxy.user_headers import AUTHORIZATION, UserHeaders
from gateway.request.target import REQUEST_ID

_NO_MORE: Mapping[str, HeaderFact] = {}
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
    if route.headers.basic is not None:
        written = (*written, AUTHORIZATION)
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


@dataclass(frozen=True)
class HeaderRules:
    """A route's header settings, compiled once.

    Attributes:
        told: what an app hears of the user, as header and fact, without what the route drops.
        add: fixed headers of the route.
        of_user: those of its headers that are made of facts of the user.
        drop: canonical names that the app gets from nobody, not even from us.
        removed: what a client can't send.
        written: canonical names that the route's own settings write.
        own_cookies: our cookies' names in every spelling; they never leave for an app.
        prefix: the public path that is stripped on the way.
        via: whether Via is told (RFC 9110 §7.6.3).
    """

    told: tuple[tuple[bytes, HeaderFact], ...]
    add: Pairs
    of_user: UserHeaders | None
    drop: frozenset[str]
    removed: Removed
    written: frozenset[str]
    own_cookies: frozenset[bytes]
    prefix: str = ""
    via: bool = False

    @classmethod
    def of(
        cls, route: Route, own_cookies: Iterable[str], more: Mapping[str, HeaderFact] = _NO_MORE
    ) -> "HeaderRules":
        """Compile a route's header settings. `more` is told beside what the route's presets say."""
        renames = {canonical(ours): theirs for ours, theirs in route.headers.rename.items()}
        drop = frozenset(map(canonical, route.headers.drop))
        says = (told_by(route.headers.preset) | dict(more)).items()
        told = [(renames.get(canonical(name), name), fact) for name, fact in says]
        return cls(
            told=tuple((name.encode(), fact) for name, fact in told if canonical(name) not in drop),
            add=[(name.encode(), clean(value)) for name, value in route.headers.fixed.items()],
            of_user=UserHeaders.of(route.headers) if route.headers.of_user or route.headers.basic else None,
            drop=drop,
            removed=removed_from(route),
            written=frozenset(map(canonical, (*renames.values(), *route.headers.add))),
            own_cookies=cookie_spellings(own_cookies),
            prefix=route.path.rstrip("/") if route.strip_path else "",
            via=route.headers.via,
        )


def cookie_spellings(names: Iterable[str]) -> frozenset[bytes]:
    """Our cookie names with and without the prefixes that browsers give a meaning to (RFC 6265bis §4.1.3)."""
    bare = {name.lower().removeprefix("__host-").removeprefix("__secure-") for name in names}
    return frozenset((prefix + name).encode() for name in bare for prefix in ("", "__host-", "__secure-"))


@dataclass(frozen=True)
class Peer:
    """Who is at the other end of the client's connection; `trusted` is the trusted-proxy rule's word."""

    address: str | None
    trusted: bool


def request_headers(
    received: Sequence[Pair],
    rules: HeaderRules,
    target: Target,
    peer: Peer,
    principal: Principal | None,
    assertion: str | None,
) -> Pairs:
    """End-to-end headers for the upstream. Host and framing are left to the caller, who knows the upstream."""
    # The order matters: first everything goes that only we may say, then it is said. Between the two nothing of the
    # client's can stand under such a name.
    out = strip_own_cookies(_end_to_end(received, rules, peer), rules.own_cookies)
    out += forwarded(received, target, peer, rules.prefix, via=rules.via)
    out += identity(principal, assertion, rules.told)
    out = [pair for pair in out if canonical(pair[0]) not in rules.drop] + rules.add
    made = rules.of_user
    return out if made is None else out + made.told(principal) + made.credentials(principal)


def host_header(route: Route, target: Target, upstream: str) -> str:
    """Return the Host that an app gets: the public one, or with `preserve_host: false` the upstream's own.

    `upstream` is that own authority, "host" or "host:port".
    """
    return target.authority if route.preserve_host else upstream


def named(request_id: str, rules: HeaderRules) -> Pairs:
    """The request's name in our log, unless the route drops it or sets its own."""
    own = canonical(REQUEST_ID)
    if not request_id or own in rules.drop or own in rules.written:
        return []
    return [(REQUEST_ID.encode(), request_id.encode())]


def _end_to_end(received: Sequence[Pair], rules: HeaderRules, peer: Peer) -> Pairs:
    declared, takes = connection_options(received), rules.removed.takes
    return [
        pair
        for pair in received
        if not takes(key := canonical(pair[0]), trusted=peer.trusted) and key not in declared
    ]


def strip_own_cookies(pairs: Pairs, own: frozenset[bytes]) -> Pairs:
    """Remove our cookies from Cookie; a header without them keeps every byte, an emptied one disappears."""
    out: Pairs = []
    for name, value in pairs:
        if canonical(name) == "cookie":
            value = _without_cookies(value, own)
            if not value:
                continue
        out.append((name, value))
    return out


def _without_cookies(value: bytes, own: frozenset[bytes]) -> bytes:
    # RFC 6265 §4.2.1: "a=1; b=2". What an app would get of a session cookie is enough to be that user. Names are
    # compared without case, though they have it: an app may not care.
    crumbs = value.split(b";")
    kept = [crumb for crumb in crumbs if crumb.split(b"=", 1)[0].strip().lower() not in own]
    if len(kept) == len(crumbs):
        return value
    return b";".join(kept).lstrip(b" ")


def forwarded(
    received: Sequence[Pair], target: Target, peer: Peer, prefix: str = "", *, via: bool = False
) -> Pairs:
    """Tell where the request came from, in both dialects (RFC 7239 and X-Forwarded-*), with `via` as Via too."""
    address = peer.address or str(target.client)
    default_port = 443 if target.scheme == "https" else 80
    # RFC 7239 §4: host is quoted, since "[" and ":" are not for a token. `by` is left out: it tells apps nothing.
    element = f'for={_node(address)};host="{target.authority}";proto={target.scheme}'
    pairs = [
        ("X-Forwarded-For", _chain(received, "x-forwarded-for", address, peer)),
        ("X-Forwarded-Proto", target.scheme.encode()),
        ("X-Forwarded-Host", target.authority.encode()),
        ("X-Forwarded-Port", str(target.port or default_port).encode()),
        ("Forwarded", _chain(received, "forwarded", element, peer)),
    ]
    told = _chain(received, "via", "1.1 auth-gateway", peer)
    # Web servers take Via for "asked by a shared proxy" and no longer compress (nginx: gzip_proxied, off by default).
    # So it goes on where another proxy began it, and begins here only where the route wants it.
    if via or b", " in told:
        pairs.append(("Via", told))
    if prefix:
        pairs.append(("X-Forwarded-Prefix", prefix.encode()))
    return [(name.encode(), value) for name, value in pairs]


def _chain(received: Sequence[Pair], name: str, own: str, peer: Peer) -> bytes:
    """What a trusted peer said before us, and then us (RFC 7239 §7.1). Only the exact spelling counts.

    What others say of earlier hops is only their claim (RFC 7239 §8.1), so the chain begins anew with the address that
    we see.
    """
    before = [value for key, value in received if key.lower() == name.encode()] if peer.trusted else []
    return b", ".join([*filter(None, before), own.encode()])


def _node(address: str) -> str:
    """An address as RFC 7239 §6 writes it: IPv6 in brackets and quotes, "unknown" for what is none (§6.2)."""
    try:
        return f'"[{address}]"' if isinstance(ip_address(address), IPv6Address) else address
    except ValueError:
        return "unknown"


def traced(headers: Pairs, traceparent: str) -> Pairs:
    """Headers that tell the app of our span, if there is one (W3C Trace Context §3.2); else as they came."""
    if not traceparent:
        return headers
    # tracestate says more about the traceparent that it came with (§3.3), and is not sent beside another.
    kept = [pair for pair in headers if pair[0].lower() not in (b"traceparent", b"tracestate")]
    return [*kept, (b"traceparent", traceparent.encode())]


def request_target(target: Target, base: str, prefix: str) -> bytes:
    """The request line's target in origin-form (RFC 9112 §3.2.1): the canonical path without the stripped prefix, below
    the upstream's base path. Raises RequestRefused for what would end the target early.
    """
    path = target.path
    if prefix and (path == prefix or path.startswith(prefix + "/")):
        path = path[len(prefix) :] or "/"
    # A blank or a line end here would split one request into two (RFC 9112 §11.2). Targets are checked when they are
    # read; this holds also for what was put together since.
    uri = base + path + (f"?{target.query}" if target.query or target.empty_query else "")
    if re.search(r"[\x00-\x20\x7f]", uri):
        raise RequestRefused("blank or control character in the request target")
    return uri.encode("utf-8", "surrogateescape")
