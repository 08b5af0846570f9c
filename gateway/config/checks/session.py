"""Checks of the session: its times, and where its cookie counts."""

from collections.abc import Iterator

from gateway.config import addresses
from gateway.config.checks.finding import Check, Finding
from gateway.config.public_suffixes import is_public_suffix, registrable_domain
from gateway.config.schema import Config

_REFRESH = (180.0, 3600.0)
_LONGEST_COOKIE = 400 * 86400.0
_OWN = "write your own name below it (publicsuffix.org)"


def session_times(config: Config) -> Iterator[Finding]:
    """Find session times that are zero, or of which one can never be reached."""
    session = config.session
    if session.idle_timeout > session.absolute_timeout:
        mend = "an idle session can't outlive the session itself: lower it, or raise absolute_timeout"
        yield Finding(("session", "idle_timeout"), "is longer than `session.absolute_timeout`", mend)
    for key in ("idle_timeout", "absolute_timeout"):
        if getattr(session, key) <= 0:
            yield Finding(("session", key), "must be more than 0", "write a duration such as `1h`")
    if 0 < session.keep_signed_in <= session.absolute_timeout:
        problem = "is no longer than `session.absolute_timeout`, which sessions have anyway"
        yield Finding(("session", "keep_signed_in"), problem, "write more, such as `30d`, or remove it")
    if session.keep_signed_in > _LONGEST_COOKIE:
        problem = "is more than the 400 days for which browsers keep a cookie (RFC 6265bis §5.5)"
        yield Finding(("session", "keep_signed_in"), problem, "write `400d` or less")


def binding(config: Config) -> Iterator[Finding]:
    """Find a binding to countries that nobody can know, and one to IPv6 networks alone."""
    bind = config.session.bind
    if bind.country and config.risk.geoip_file is None:
        problem = "needs `risk.geoip_file`: without it every country is unknown"
        yield Finding(
            ("session", "bind", "country"), problem, "name a MaxMind DB with countries (.mmdb) there"
        )
    if "network6" in bind.model_fields_set and bind.network is None:
        problem = "has no effect without `session.bind.network`"
        yield Finding(("session", "bind", "network6"), problem, "write `network` too, such as `/24`")


def sign_out(config: Config) -> Iterator[Finding]:
    """Find addresses after signing out that lead nowhere."""
    out = config.session.sign_out
    own_path = out.url.startswith("/") and not out.url.startswith("//")
    if out.url and not own_path and addresses.split(out.url) is None:
        mend = "write a URL such as `https://www.example.com/`, or a path of our own hosts such as `/bye`"
        yield Finding(("session", "sign_out", "url"), f"`{out.url}` is no address", mend)
    for index, one in enumerate(out.allowed):
        if addresses.origin(one) is None:
            mend = "write scheme and host alone, such as `https://www.example.com`"
            yield Finding(("session", "sign_out", "allowed", index), f"`{one}` is not an origin", mend)


def same_site(config: Config) -> Iterator[Finding]:
    """Find cookies for frames of other sites that browsers would refuse, or that no frame is allowed to use."""
    if config.session.same_site != "none":
        return
    path = ("session", "same_site")
    if not config.server.public_url.startswith("https:"):
        problem = "needs https: browsers refuse such cookies without it (RFC 6265bis §5.7)"
        yield Finding(path, problem, "serve `server.public_url` by https, or remove it")
    elif not config.server.frame_ancestors:
        problem = "has our cookies sent to frames of other sites, in which our own pages are not shown"
        yield Finding(path, problem, "list their origins in `server.frame_ancestors`", warning=True)


def device_binding(config: Config) -> Iterator[Finding]:
    """Find a binding to keys of browsers where no browser could register one, or some hosts would be without."""
    bind, place = config.session.bind, ("session", "bind")
    if "device_refresh" in bind.model_fields_set and not bind.device:
        problem = "has no effect without `session.bind.device`"
        yield Finding((*place, "device_refresh"), problem, "write `device: true` too, or remove it")
    if not _REFRESH[0] <= bind.device_refresh <= _REFRESH[1]:
        mend = "with less browsers renew it all the time, with more a copied cookie has time"
        yield Finding((*place, "device_refresh"), "must be from 3m to 1h", mend)
    if not bind.device:
        return
    origin = addresses.public_origin(config.server.public_url)
    if origin and origin.scheme != "https" and not _is_of_this_machine(origin.host):
        problem = "needs https: browsers register keys nowhere else"
        yield Finding((*place, "device"), problem, "serve `server.public_url` by https, or remove it")
    if config.domains:
        problem = "can't be had with `domains`: hosts of other domains see no proof of the key"
        yield Finding((*place, "device"), problem, "remove one of the two")
    site = registrable_domain(config.session.domain) if config.session.domain else ""
    if site and origin and origin.host != site and not any(route.host == site for route in config.routes):
        problem = f"browsers ask {site} whether {origin.host} may do that for all of the site"
        yield Finding(
            (*place, "device"),
            problem,
            f"add a route for {site}, or have its server answer as docs/session-binding.md shows",
            warning=True,
        )


def cookie_name(config: Config) -> Iterator[Finding]:
    """Warn where another gateway at another port of the same name would use the same cookie (RFC 6265 §8.5)."""
    origin = addresses.public_origin(config.server.public_url)
    if origin is None or "cookie_name" in config.session.model_fields_set or _is_of_this_machine(origin.host):
        return
    if origin.port not in (80, 443):
        problem = (
            f"cookies know no ports: another gateway at {origin.host} would end the sessions of this one"
        )
        mend = (
            f"write `cookie_name: {config.session.cookie_name}_{origin.port}`, if there may ever be another"
        )
        yield Finding(("session", "cookie_name"), problem, mend, warning=True)


def _is_of_this_machine(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host in ("::1", "[::1]")


def session_domain(config: Config) -> Iterator[Finding]:
    """Find a cookie domain that browsers refuse, or that does not cover portal and routes (RFC 6265 §5.3)."""
    domain, path = config.session.domain, ("session", "domain")
    if domain is None:
        return
    if not addresses.is_name(domain) or "." not in domain or addresses.is_ip(domain):
        mend = "write a name with a dot and nothing before it, such as `example.com`"
        yield Finding(path, f"`{domain}` is not a domain that a cookie may have", mend)
        return
    if is_public_suffix(domain):
        yield Finding(
            path, f"anybody can have a name below `{domain}`, and browsers refuse such a cookie", _OWN
        )
    origin = addresses.public_origin(config.server.public_url)
    if origin and not addresses.is_below(origin.host, domain):
        mend = "write the domain that both share, or remove `session.domain`"
        yield Finding(path, f"the host of `server.public_url` ({origin.host}) is not below {domain}", mend)
    known = (domain, *(one.domain for one in config.domains))
    for index, route in enumerate(config.routes):
        host = route.host.removeprefix("*.")
        if route.host != "*" and not any(addresses.is_below(host, one) for one in known):
            problem = f"{route.host} is not below `session.domain` ({domain}): its visitors would never be signed in"
            yield Finding(
                ("routes", index, "host"),
                problem,
                "list its domain under `domains`, or remove `session.domain`",
            )


SESSION_CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    (frozenset({"session"}), session_times),
    (frozenset({"session"}), sign_out),
    (frozenset({"session", "server"}), same_site),
    (frozenset({"session", "risk"}), binding),
    (frozenset({"session", "server", "domains", "routes"}), device_binding),
    (frozenset({"session", "server", "domains"}), session_domain),
    (frozenset({"session", "server"}), cookie_name),
)
