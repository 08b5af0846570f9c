"""Checks of routes: hosts, paths, upstreams, headers, and whether a request can reach each route at all."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from gateway.config import addresses
from gateway.config.checks.certificates import file_problem, pair_problem
from gateway.config.checks.finding import Check, Finding
from gateway.config.error_messages import did_you_mean
from gateway.config.header_templates import read_template
from gateway.config.schema import Config, Route
from gateway.config.sections.header_presets import told_by
from gateway.config.yaml_document import KeyPath

# What the proxy itself decides about a message (RFC 9110 §7.6.1, RFC 9112 §6).
_HTTP2 = ("h2c://", "h2://")
_HTTP2_SCHEME = re.compile("^h2c?(?=://)")
_FRAMING = frozenset(
    {"connection", "host", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive"}
)
_OF_THE_PROXY = (
    *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix"),
    *("Forwarded", "Via", "X-Request-Id", "Proxy"),
)
_METHOD_OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
_NOT_CANONICAL = re.compile(r"//|/\.{1,2}(/|$)|[;%\\?#\x00-\x20\x7f-\uffff]")


def hosts(config: Config) -> Iterator[Finding]:
    """Find host patterns that no request can match."""
    for index, route in enumerate(config.routes):
        path, host = ("routes", index, "host"), route.host
        name = host.removeprefix("*.")
        if (
            host == "*"
            or addresses.is_compressed_ip(host)
            or (addresses.is_name(name) and not name.isdigit())
        ):
            continue
        lower = name.lower().strip("[]").removesuffix(".")
        bare = addresses.compressed(lower) or re.sub(r"^[a-z]+://|[:/].*$", "", lower)
        good = addresses.is_name(bare) or addresses.is_ip(bare)
        mend = f"did you mean `{host[:2] if host.startswith('*.') else ''}{bare}`?" if good else ""
        fallback = 'write "app.example.com", "*.example.com", an address, or "*" (other alphabets as xn--…)'
        yield Finding(path, f"`{host}` is not a host pattern", mend or fallback)


def paths(config: Config) -> Iterator[Finding]:
    """Find paths that are not canonical (no request would match), or that are the gateway's own."""
    prefix = config.server.prefix
    for index, route in enumerate(config.routes):
        if _NOT_CANONICAL.search(route.path):
            mend = "plain segments only: no `..`, `//`, `;`, `%`, `?`, `#` or spaces"
            yield Finding(("routes", index, "path"), f"`{route.path}` is not a plain path", mend)
        if route.path == prefix or route.path.startswith(f"{prefix}/"):
            problem = f"`{route.path}` belongs to the gateway itself"
            yield Finding(("routes", index, "path"), problem, "choose another path or `server.prefix`")


def upstreams(config: Config) -> Iterator[Finding]:
    """Find upstreams that are no address of an app, or the gateway's own."""
    own = [address for one in config.server.listens if (address := addresses.listen_address(one))]
    for index, route in enumerate(config.routes):
        base: KeyPath = ("routes", index, "upstream")
        if route.upstream == ():
            yield Finding(base, "is an empty list", 'write "http://127.0.0.1:9000"')
        for number, url in enumerate(route.upstreams):
            path = base if isinstance(route.upstream, str) else (*base, number)
            if url.startswith(_HTTP2):
                if config.server.engine != "envoy":
                    problem = "speaks HTTP/2, which our own proxy does not"
                    yield Finding(
                        path, problem, "set `server.engine: envoy` (docs/engine.md), or write http://"
                    )
                    continue
                if (addresses.split(f"http://{url.partition('://')[2]}") or urlsplit("")).path.strip("/"):
                    yield Finding(
                        path, "has a base path, which upstreams over HTTP/2 can't have", "remove it"
                    )
                    continue
            yield from _upstream(path, _HTTP2_SCHEME.sub("http", url), own)


def balance(config: Config) -> Iterator[Finding]:
    """Find weights that don't fit the upstreams, and settings that one upstream makes pointless."""
    for index, route in enumerate(config.routes):
        count = len(route.upstreams)
        if count > 1 and route.weights and len(route.weights) != count:
            problem = f"has {len(route.weights)} numbers for {count} upstreams"
            yield Finding(("routes", index, "weights"), problem, "write one for each, in their order")
        for key in ("balance", "weights") if count == 1 else ():
            if key in route.model_fields_set:
                yield Finding(("routes", index, key), "has no effect with one upstream", "remove it")


def _upstream(path: KeyPath, url: str, own: Sequence[tuple[str, int]]) -> Iterator[Finding]:
    loop = Finding(
        path, "is the gateway itself: requests would go round in a loop", "write the app's own address"
    )
    if url.startswith("unix:"):
        if not addresses.listen_address(url):
            yield Finding(path, f"`{url}` names no socket file", 'write "unix:/run/app.sock"')
        elif any(one[0] == url for one in own):
            yield loop
        return
    parts = addresses.split(url)
    if parts is None:
        mend = 'write "http://host:port", "https://host" or "unix:/path.sock"'
        guess = (
            f"did you mean `http://{url}`?" if "://" not in url and addresses.split(f"http://{url}") else mend
        )
        yield Finding(
            path, "is not a URL of an app" if "@" in url else f"`{url}` is not a URL of an app", guess
        )
    elif "@" in parts.netloc:
        yield Finding(path, "must not hold credentials", "send them with `headers.add`")
    elif parts.query or parts.fragment or _NOT_CANONICAL.search(parts.path):
        yield Finding(
            path, f"`{url}` has more than a plain base path", "leave out `?`, `#`, `..`, `//`, `;` and `%`"
        )
    elif any(
        addresses.reaches(one, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        for one in own
    ):
        yield loop


def reachable(config: Config) -> Iterator[Finding]:
    """First match wins, so a route below one that covers it never counts, nor does its policy."""
    for index, route in enumerate(config.routes):
        earlier = next((n for n, other in enumerate(config.routes[:index]) if _covers(other, route)), None)
        if earlier is None:
            continue
        other = config.routes[earlier]
        if (other.host, other.path) == (route.host, route.path):
            problem = f"has the same host and path as routes[{earlier}]"
            yield Finding(("routes", index), problem, "remove one of them")
        else:
            problem = (
                f"is never reached: routes[{earlier}] ({other.host} {other.path}) takes all its requests"
            )
            yield Finding(("routes", index), problem, "put this route above that one")


def _covers(first: Route, second: Route) -> bool:
    path = first.path == second.path or second.path.startswith(first.path.rstrip("/") + "/")
    return path and covers_host(first.host.lower(), second.host.lower())


def covers_host(first: str, second: str) -> bool:
    """Whether the host pattern `first` takes all hosts that `second` takes."""
    if first == "*" or first == second:
        return True
    return first.startswith("*.") and second.removeprefix("*").endswith(first[1:]) and second != first[2:]


def headers(config: Config) -> Iterator[Finding]:
    """Find header names that can't be, that the proxy sets itself, or under which an app could be deceived."""
    for index, route in enumerate(config.routes):
        base = ("routes", index, "headers")
        told = tuple(told_by(route.headers.preset))
        for old, new in route.headers.rename.items():
            if old.lower() not in map(str.lower, told):
                mend = _near(old, told) or f"they are {', '.join(told)}"
                yield Finding((*base, "rename", old), "is not one of this route's identity headers", mend)
            yield from _header_name((*base, "rename", old), new)
        yield from _of_user(base, route)
        for name, value in route.headers.add.items():
            yield from _header_name((*base, "add", name), name)
            if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value) or not value.isascii():
                yield Finding((*base, "add", name), "its value has characters that a header can't hold")
        for number, name in enumerate(route.headers.drop):
            yield from _header_name((*base, "drop", number), name)
        for number, name in enumerate(route.headers.keep):
            yield from _kept((*base, "keep", number), name, route)


def _of_user(base: KeyPath, route: Route) -> Iterator[Finding]:
    """Values with facts of the user that can't be read, and credentials that two keys would write."""
    headers, basic = route.headers, route.headers.basic
    values = {("add", name): value for name, value in headers.of_user.items()}
    if basic is not None:
        values |= {
            ("basic", "username"): basic.username,
            ("basic", "password"): basic.password.get_secret_value(),
        }
        if "authorization" in map(_folded, (*headers.add, *headers.keep, *headers.rename.values())):
            yield Finding((*base, "basic"), "and another key both say what Authorization is", "remove one")
    for key, value in values.items():
        try:
            read_template(value)
        except ValueError as error:
            yield Finding((*base, *key), "asks for something that is no fact of a user", str(error))


def _kept(path: KeyPath, name: str, route: Route) -> Iterator[Finding]:
    """Never a name under which this app hears from us: then it could not tell us from its clients."""
    headers = route.headers
    folded = _folded(name)
    ours = (*headers.add, *(headers.rename.get(told, told) for told in told_by(headers.preset)))
    if folded in map(_folded, (*ours, *_OF_THE_PROXY)):
        yield Finding(path, f"`{name}` is what this app hears from the gateway itself", "remove it")
    elif folded in map(_folded, _METHOD_OVERRIDES) and (
        route.tokens or route.cors_preflight or any(rule.methods for rule in route.access)
    ):
        problem = f"`{name}` would make the app take a request for another than the rules saw"
        yield Finding(
            path, problem, "remove it, or what asks for methods: `methods`, `tokens`, `cors_preflight`"
        )
    else:
        yield from _header_name(path, name)


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "-", name.lower())


def _header_name(path: KeyPath, name: str) -> Iterator[Finding]:
    if not TOKEN.fullmatch(name):
        yield Finding(path, f"`{name}` is not a header name", "letters, digits and dashes only")
    elif name.lower() in _FRAMING:
        yield Finding(path, f"`{name}` is set by the proxy itself", "remove it")


def _near(word: str, known: Sequence[str]) -> str:
    """did_you_mean in the exact spelling of words that have capitals."""
    guess = did_you_mean(word, map(str.lower, known))
    exact = next((name for name in known if f"`{name.lower()}`" in guess), None)
    return f"did you mean `{exact}`?" if exact else ""


def details(config: Config) -> Iterator[Finding]:
    """Find origins, ranges of statuses and TLS files that can't be what they should."""
    for index, route in enumerate(config.routes):
        base: KeyPath = ("routes", index)
        if "upgrades" in route.model_fields_set and "websocket" in route.upgrades and not route.websocket:
            problem = "names `websocket`, which `websocket: false` shuts out"
            yield Finding((*base, "upgrades"), problem, "remove one of the two")
        if config.server.engine != "embedded" and set(route.upgrades) - {"websocket"}:
            problem = "names a protocol that Envoy, as our front door, does not switch to"
            yield Finding((*base, "upgrades"), problem, "leave `websocket` alone, or remove `server.engine`")
        for key in ("websocket_origins", "cors_origins"):
            for number, text in enumerate(getattr(route, key)):
                if addresses.page_origin(text) is None:
                    mend = 'write "https://app.example.com", or the scheme of an app such as "capacitor://localhost"'
                    yield Finding((*base, key, number), f"`{text}` is not an origin", mend)
        if (
            route.health
            and not 100 <= route.health.healthy_status[0] <= route.health.healthy_status[1] <= 599
        ):
            yield Finding(
                (*base, "health", "healthy_status"), "is not a range of statuses", "write `[200, 399]`"
            )
        yield from _tls_files((*base, "tls"), route)


def _tls_files(base: KeyPath, route: Route) -> Iterator[Finding]:
    tls = route.tls
    if tls.ca_file and (problem := file_problem(tls.ca_file)):
        yield Finding((*base, "ca_file"), problem, "check the path and who may read it")
    if (tls.cert_file is None) != (tls.key_file is None):
        present = "key_file" if tls.key_file else "cert_file"
        yield Finding((*base, present), "needs `cert_file` and `key_file` together", "add the other one")
    elif tls.cert_file and tls.key_file and (pair := pair_problem(tls.cert_file, tls.key_file)):
        yield Finding((*base, pair.key), pair.text, pair.mend)
    if not tls.verify:
        problem = "anyone between us and the app can read and change what passes"
        yield Finding((*base, "verify"), problem, "trust the app's own CA with `ca_file`", warning=True)


ROUTE_CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    (frozenset({"routes"}), hosts),
    (frozenset({"routes", "server"}), paths),
    (frozenset({"routes", "server"}), upstreams),
    (frozenset({"routes"}), balance),
    (frozenset({"routes"}), reachable),
    (frozenset({"routes"}), headers),
    (frozenset({"routes"}), details),
)
