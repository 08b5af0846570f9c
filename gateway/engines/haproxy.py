"""HAProxy: the signed pass is checked in HAProxy itself (jwt_verify), without asking us for each request.

Whatever a pass can't settle goes through the gateway as a proxy: no pass, one that is not valid, rules that look at
more than the user, WebSockets, unusual paths and hosts. So a mistake here costs speed, not safety.
"""

import re
from collections.abc import Iterator

from gateway.authn.shown_credentials import PREFIX
from gateway.config.addresses import is_ip
from gateway.config.schema import Route
from gateway.config.sections.header_presets import Fact
from gateway.engines.headers import (
    TO_THE_GATEWAY,
    any_spelling,
    drops,
    forwarded,
    identity_names,
    is_forwarded,
    removed_families,
    removed_names,
    says,
)
from gateway.engines.plan import (
    IDLE_TO_THE_GATEWAY,
    MOST_COOKIES,
    EnginePlan,
    HostPlan,
    addresses,
    cookie_pattern,
    path_change,
    path_pattern,
    tls_of,
)
from gateway.forwardauth.engine_pass import is_settled, pass_cookie, route_id
from gateway.session.cookie import cookie_name, cookie_path

_CLAIMS: dict[Fact, str] = {"username": "sub"}
"""Claims of the pass that have another name than the fact."""


def export(plan: EnginePlan, keys: dict[str, str]) -> dict[str, str]:
    """Return the configuration for HAProxy, as file name -> text. `keys` are the public keys that sign passes: file
    name -> PEM.
    """
    return {"haproxy.cfg": "\n".join(_lines(plan, list(keys))) + "\n", **keys}


def _lines(plan: EnginePlan, keys: list[str]) -> Iterator[str]:
    yield from _main(plan)
    yield from _strip(plan)
    yield from _pass(plan, keys)
    for number, site in enumerate(plan.sites):
        yield from _choose(number, site)
    yield from _fetch_pass(plan)
    yield f"    use_backend gateway if {{ path {plan.prefix} }} or {{ path -m beg {plan.prefix}/ }}"
    for route in plan.routes:
        yield from _use(plan, route)
    yield "    default_backend gateway"
    idle = f"pool-purge-delay {round(IDLE_TO_THE_GATEWAY * 1000)}ms"
    yield f"\nbackend gateway\n    server gateway {_server_address(plan.gateway)} {idle}"
    for route in plan.routes:
        yield from _backend(plan, route)


def _main(plan: EnginePlan) -> Iterator[str]:
    tls = f" ssl crt {plan.certificate} alpn h2,http/1.1" if plan.secure else ""
    note = f"\n# {plan.certificate}.key must hold the key of {plan.certificate}." if plan.secure else ""
    yield f"""# Written by `auth-gateway export haproxy`. Change config.yaml and export again.
# After `key rotate` too: until then all requests go through the gateway.{note}
global
    maxconn 4096
    ssl-default-bind-options ssl-min-ver TLSv1.2

defaults
    mode http
    timeout connect 5s
    timeout client 75s
    timeout server 300s
    timeout tunnel 1h
    timeout http-request 15s
    unique-id-format %[uuid]

frontend public
    bind {plan.listen}{tls}
    http-request return status 404 if {{ path {plan.prefix}/forward }} or {{ path -m beg {plan.prefix}/forward/ }}"""


def _strip(plan: EnginePlan) -> Iterator[str]:
    """What the gateway and the apps could take for HAProxy's word is HAProxy's."""
    yield from _deleted(list(TO_THE_GATEWAY), ["x-forwarded-"])
    for name, value in _forwarded(plan).items():
        yield f"    http-request set-header {name} {value}"
    port = "%[req.hdr(host),regsub(^.*:,)] if { req.hdr(host) -m reg :[0-9]+$ }"
    yield f"    http-request set-header X-Forwarded-Port {port}"


def _forwarded(plan: EnginePlan) -> dict[str, str]:
    return {
        "X-Forwarded-For": "%[src]",
        "X-Forwarded-Proto": "https" if plan.secure else "http",
        "X-Forwarded-Host": "%[req.hdr(host)]",
        "X-Forwarded-Port": "443" if plan.secure else "80",
        "X-Request-Id": "%[unique-id]",
    }


_NAMES_A_LINE = 16


def _deleted(names: list[str], families: list[str]) -> Iterator[str]:
    """In every spelling: header names are lower case here, and an app may read any other sign as a dash."""
    for start in range(0, len(names), _NAMES_A_LINE):
        spelled = any_spelling(names[start : start + _NAMES_A_LINE])
        yield f"    http-request del-header '{spelled}' -m reg"
    yield f"    http-request del-header '{any_spelling(families, whole=False)}' -m reg"


def _pass(plan: EnginePlan, keys: list[str]) -> Iterator[str]:
    session = cookie_name(
        plan.config.session.cookie_name,
        secure=plan.secure,
        domain=plan.config.session.domain,
        path=cookie_path(plan.config),
    )
    yield f"""    http-request set-var(txn.host) req.hdr(host),host_only,lower
    http-request set-var(txn.now) date()
    http-request set-var(txn.session) req.cook({session}),sha2(256),hex
    http-request set-var(txn.pass) req.cook({pass_cookie(plan.config)})
    http-request set-var(txn.aud) var(txn.pass),jwt_payload_query('$.aud')
    http-request set-var(txn.exp) var(txn.pass),jwt_payload_query('$.exp','int')
    http-request set-var(txn.cookie) var(txn.pass),jwt_payload_query('$.cookie')
    http-request set-var(txn.routes) var(txn.pass),jwt_payload_query('$.routes')
    http-request set-var(txn.wanted) str(pass:),concat(,txn.host,)"""
    for name in keys:
        yield f"    acl signed var(txn.pass),jwt_verify('ES256','{plan.state}/{name}') 1"
    yield f"""    acl for_this_host var(txn.aud),strcmp(txn.wanted) eq 0
    acl of_this_session var(txn.cookie),strcmp(txn.session) eq 0
    acl alive var(txn.exp),sub(txn.now) gt 0
    acl from_us var(txn.pass),jwt_payload_query('$.iss') -m str {plan.config.server.public_url}
    acl has_session req.cook({session}) -m found
    acl has_pass req.cook({pass_cookie(plan.config)}) -m found
    acl unusual path -m sub % // /. ; \\\\
    acl unusual var(txn.host) -m end .
    acl unusual req.hdr(upgrade) -m found
    # Credentials that may be for the gateway.
    acl unusual req.hdr(authorization) -m reg -i '^[[:space:]]*(bearer +{PREFIX}|basic )'
    acl unusual req.hdr(destination) -m found
    # A body in chunks may end with fields that nothing here sees, and apps may read. The gateway drops them.
    acl unusual req.fhdr(transfer-encoding) -m found
    acl unusual method TRACE CONNECT
    # Headers that Connection names go no further (RFC 9110, section 7.6.1): the gateway removes them.
    # Hosts that are not plain, such as "App.test" or "app.test:x", too: they must mean the same to all.
    acl plain_host req.hdr(host) -m reg '^([a-z0-9._-]+|\\[[0-9a-f:.]+\\])(:[0-9]+)?$'
    http-request set-var(txn.odd) bool(true) if !plain_host
    acl unusual var(txn.odd) -m bool
    acl plain_hop req.fhdr(connection) -m reg -i '^[ ,]*(keep-alive|close)?[ ,]*$'
    http-request set-var(txn.hop) bool(true) if {{ req.fhdr(connection) -m found }} !plain_hop
    acl unusual var(txn.hop) -m bool
    http-request set-var(txn.good) bool(true) if has_session signed for_this_host of_this_session alive from_us"""


def _choose(number: int, site: HostPlan) -> Iterator[str]:
    """The first that matches, as in the gateway; txn.route is set once."""
    free = "!{ var(txn.route) -m found }"
    yield f"    acl site_{number} {_host_test(site.host)}"
    for route in site.routes:
        name = route_id(route) if is_settled(route) else "ask"
        path = f"{{ path -m reg '{path_pattern(route)}' }}"
        yield f"    http-request set-var(txn.route) str({name}) if site_{number} {path} {free}"
    yield f"    http-request set-var(txn.route) str(ask) if site_{number} {free}"


def _host_test(host: str) -> str:
    if host == "*":
        return "always_true"
    return f"var(txn.host) -m end {host[1:]}" if host.startswith("*.") else f"var(txn.host) -m str {host}"


def _fetch_pass(plan: EnginePlan) -> Iterator[str]:
    """Browsers drop a pass when it expires, so its absence is what sends them for another. Pages only."""
    yield "    acl page req.hdr(accept) -m sub text/html"
    yield "    acl script req.hdr(sec-fetch-mode) -m found"
    yield "    acl navigation req.hdr(sec-fetch-mode) -m str navigate"
    settled = " ".join(route_id(route) for route in plan.routes if is_settled(route))
    if settled:
        where = f"{plan.prefix}/pass?rd=%[pathq,url_enc]"
        wanted = f"has_session !has_pass !unusual page {{ method GET }} {{ var(txn.route) -m str {settled} }}"
        ours = f"!{{ path -m beg {plan.prefix}/ }}"
        for who in ("!script", "navigation"):
            yield f"    http-request redirect code 302 location {where} if {wanted} {ours} {who}"


def _use(plan: EnginePlan, route: Route) -> Iterator[str]:
    if not is_settled(route):
        return
    name = route_id(route)
    here = f"{{ var(txn.route) -m str {name} }} !unusual"
    holds = f"{{ var(txn.good) -m bool }} {{ var(txn.routes) -m sub ' {name} ' }}"
    if (
        route.access[0].require == "bypass"
    ):  # settled, so it asks nothing; the app is told of who is signed in
        yield f"    use_backend app_{plan.number(route)} if {here} !has_session"
    yield f"    use_backend app_{plan.number(route)} if {here} {holds}"


def _backend(plan: EnginePlan, route: Route) -> Iterator[str]:
    if not is_settled(route):
        return
    name = _any_case(cookie_pattern(plan.config))
    yield f"\nbackend app_{plan.number(route)}"
    yield f"    timeout connect {route.timeouts.connect:.0f}s"
    yield f"    timeout server {max(route.timeouts.response, route.timeouts.idle):.0f}s"
    told_of_the_client = set(map(str.lower, forwarded(route)))
    names = [name for name in removed_names(route) if name not in told_of_the_client]
    families = [one for one in removed_families(route) if not is_forwarded(one)]  # these went before
    yield from _deleted(
        [name for name in names if not name.startswith("x-forwarded-") or drops(route, name)], families
    )
    if "x-forwarded-prefix" in told_of_the_client:
        yield f"    http-request set-header X-Forwarded-Prefix {route.path.rstrip('/')}"
    for ours, theirs in identity_names(route).items():
        told = says(route, ours)
        claim = f"var(txn.pass),jwt_payload_query('$.{_CLAIMS.get(told.fact, told.fact)}')"
        known = f"{{ var(txn.good) -m bool }} {{ {claim} -m len gt 0 }}"
        yield f"    http-request set-header {theirs} {told.before}%[{claim}] if {known}"
    for header, value in route.headers.fixed.items():
        yield f"    http-request set-header {header} '{_literal(value)}'"
    for _ in range(MOST_COOKIES):
        yield f"    http-request replace-header Cookie '^((?:.*;)?\\s*){name}=[^;]*;?\\s*(.*)$' '\\1\\2'"
    yield f"    http-request del-header Cookie if {{ req.fhdr(cookie) -m reg '(^|;)\\s*{name}=' }}"
    yield "    http-request del-header Cookie if { req.fhdr(cookie) -m reg '^[; ]*$' }"
    yield f"    http-response replace-header Set-Cookie '^\\s*{name}\\s*=.*$' 'auth_gateway_dropped=; Max-Age=0'"
    if change := path_change(route):
        yield f"    http-request replace-path '^{change[0]}/?(.*)$' '{change[1]}/\\1'"
    if not route.preserve_host:
        yield f"    http-request set-header Host {addresses(route)[0].authority}"
    yield from _probes(route)
    probed = _probed(route)
    for number, address in enumerate(addresses(route)):
        tls = f" ssl {_verified(route)}" if address.tls else ""
        yield f"    server app{number} {_server_address(address.authority)}{tls}{probed}"


def _probes(route: Route) -> Iterator[str]:
    """Ask as the gateway's own health checks do."""
    if route.health is None:
        return
    health, app = route.health, addresses(route)[0]
    lowest, highest = health.healthy_status
    asked = f"meth GET uri {app.base}{health.path} ver HTTP/1.1 hdr Host {app.authority}"
    yield "    option httpchk"
    yield f"    http-check send {asked} hdr User-Agent 'auth-gateway health check'"
    yield f"    http-check expect status {lowest}-{highest}"
    yield f"    timeout check {round(health.timeout * 1000)}ms"
    yield "    option redispatch"


def _probed(route: Route) -> str:
    health = route.health
    if health is None:
        return ""
    return f" check inter {max(1, round(health.interval * 1000))}ms fall {health.fall} rise {health.rise}"


def _any_case(pattern: str) -> str:
    """The pattern with each letter in both cases: not every HAProxy has regular expressions that know `(?i)`."""
    return re.sub(r"[a-zA-Z](?![^\[]*\])", lambda sign: f"[{sign[0].lower()}{sign[0].upper()}]", pattern)


def _verified(route: Route) -> str:
    tls = tls_of(route)
    name = tls.server_name or addresses(route)[0].authority.rpartition(":")[0].strip("[]")
    sni = "" if is_ip(name) else f" sni str({name})"
    own = f" crt {tls.cert_file}" if tls.cert_file else ""  # HAProxy looks for its key beside it, in FILE.key
    if not tls.verify:
        return f"verify none{sni}{own}"
    return f"verify required ca-file {tls.ca_file or '@system-ca'} verifyhost {name}{sni}{own}"


def _server_address(authority: str) -> str:
    return authority.removeprefix("unix:")


def _literal(value: str) -> str:
    return value.replace("%", "%%").replace("'", "'\\''")
