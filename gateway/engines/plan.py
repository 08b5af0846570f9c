"""Plans what an engine must serve, once for all engines: hosts, their routes in order, upstreams, names to strip.

Engines choose a route in their own way, so each tells the gateway which one it chose (`route_key`) and is refused if
the gateway would choose another.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateway.authn.access_tokens import WELL_KNOWN
from gateway.config.checks.routes import covers_host
from gateway.config.patterns import path_matches
from gateway.config.schema import Config, Route
from gateway.config.sections.oidc import metadata_paths
from gateway.config.sections.route import UpstreamTls
from gateway.errors import ConfigError, Mistake

IDLE_TO_THE_GATEWAY = 0.5
"""Seconds after which an engine closes a connection to the gateway that it does not use. The gateway closes such ones
when it reloads (`server.drain.LINGER`); a request that met that would be lost, and its client told 502."""

HTTP2_SCHEMES = ("h2c://", "h2://")
"""Upstreams that speak HTTP/2, without and with TLS."""


@dataclass(frozen=True, slots=True)
class EngineUpstream:
    """Where an app listens: "host:port", or "unix:/path"."""

    authority: str
    tls: bool
    base: str = ""
    """The path below which it stands, such as "/base"."""


@dataclass(frozen=True, slots=True)
class HostPlan:
    """One host pattern and the routes that its requests can reach, most particular path first."""

    host: str
    routes: tuple[Route, ...]
    portal: bool = False
    """Whether it is the gateway's own and no app's: then all of it goes to the gateway."""


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """All that an engine's template needs. Addresses are "host:port"."""

    config: Config
    sites: tuple[HostPlan, ...]
    listen: str
    gateway: str
    certificate: Path | None
    key: Path | None
    included: bool
    """Whether it is a part of a configuration that is there already."""
    state: Path
    """A folder of the engine's own, for caches and key files."""

    @property
    def prefix(self) -> str:
        return self.config.server.prefix

    def own_paths(self, site: HostPlan) -> tuple[str, ...]:
        """Whole paths outside of the prefix that are the gateway's on this host."""
        portal = urlsplit(self.config.server.public_url).hostname or ""
        resources = tuple(
            f"{WELL_KNOWN}{route.path.rstrip('/')}" for route in site.routes if route.oauth is not None
        )
        if not covers_host(site.host, portal):
            return resources
        base = self.config.server.base
        hidden = any(path_matches(route.path, f"{base}/") for route in site.routes)
        front = () if hidden or base == self.prefix else (f"{base}/", *((base,) if base else ()))
        found = metadata_paths(base) if self.config.oidc.enabled else ()
        return (*found, *resources, *front)

    @property
    def secure(self) -> bool:
        return self.config.server.public_url.startswith("https:")

    @property
    def routes(self) -> tuple[Route, ...]:
        return self.config.routes

    def number(self, route: Route) -> int:
        return next(n for n, other in enumerate(self.routes) if other is route)


def plan(
    config: Config,
    *,
    engine: str = "",
    listen: str = "",
    gateway: str = "",
    certificate: Path | None = None,
    key: Path | None = None,
    state: Path | None = None,
    included: bool = False,
) -> EnginePlan:
    """Make the plan. Raises ConfigError for what engines can't be told."""
    mistakes = list(_mistakes(config, engine))
    if mistakes:
        raise ConfigError(mistakes)
    tls = config.server.tls
    parts = urlsplit(config.server.public_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return EnginePlan(
        config=config,
        sites=tuple(_sites(config)),
        listen=listen or f"0.0.0.0:{port}",
        gateway=gateway or config.server.main[0],
        certificate=_whole(certificate or (tls.cert_file if tls else None)),
        key=_whole(key or (tls.key_file if tls else None)),
        included=included,
        state=state or Path("/var/lib/auth-gateway"),
    )


def _whole(path: Path | None) -> Path | None:
    """Engines look for a path without "/" in front elsewhere than we do: beside their configuration, or where they
    were started.
    """
    return path.absolute() if path else None


def tls_of(route: Route) -> UpstreamTls:
    """Return how TLS to the app is spoken, with whole paths."""
    tls = route.tls
    files = {name: _whole(getattr(tls, name)) for name in ("ca_file", "cert_file", "key_file")}
    return tls.model_copy(update=files)


def _mistakes(config: Config, engine: str) -> Iterator[Mistake]:
    if not config.server.trusted_proxies:
        problem = "is empty, so the gateway would not believe the exported proxy"
        yield Mistake(
            file="config",
            line=0,
            key="server.trusted_proxies",
            problem=problem,
            mend="add its address, such as 127.0.0.1/32",
        )
    for index, route in enumerate(config.routes):
        # HAProxy sends to the gateway what it can't serve itself.
        if not route.upstreams and engine != "haproxy":
            key = "redirect" if route.redirect is not None else "respond"
            problem = f"is an answer of the gateway itself, which can't be exported to {engine}"
            mend = f"answer it in {engine}, or let {engine} send this path to the gateway"
            yield Mistake(file="config", line=0, key=f"routes[{index}].{key}", problem=problem, mend=mend)
        if set(route.upgrades) - {"websocket"}:
            problem = f"names a protocol that the exported {engine} would not switch to"
            mend = f"let {engine} send these requests to the gateway, or leave `websocket` alone"
            yield Mistake(file="config", line=0, key=f"routes[{index}].upgrades", problem=problem, mend=mend)
        if route.headers.basic is not None and engine != "haproxy":
            problem = f"signs users in at the app, which can't be exported to {engine}"
            mend = f"let {engine} send these requests to the gateway"
            yield Mistake(
                file="config", line=0, key=f"routes[{index}].headers.basic", problem=problem, mend=mend
            )
        for key in ("balance", "weights"):
            if key in route.model_fields_set:
                problem = "is how the gateway itself shares the load, which can't be exported"
                yield Mistake(
                    file="config",
                    line=0,
                    key=f"routes[{index}].{key}",
                    problem=problem,
                    mend="remove it, and set it in the engine",
                )
        if engine not in ("envoy", "traefik") and any(
            url.startswith(HTTP2_SCHEMES) for url in route.upstreams
        ):
            yield Mistake(
                file="config",
                line=0,
                key=f"routes[{index}].upstream",
                problem=f"speaks HTTP/2, which can't be exported to {engine or 'this engine'}",
                mend="export to envoy or traefik, or write http:// or https://",
            )
        upstreams = [urlsplit(url) for url in route.upstreams if not url.startswith("unix:")]
        if len({parts.path.rstrip("/") for parts in upstreams}) > 1:
            yield Mistake(
                file="config",
                line=0,
                key=f"routes[{index}].upstream",
                problem="has several base paths, which can't be exported",
                mend="use one for all upstreams of the route",
            )
        if len({parts.scheme for parts in upstreams}) > 1:
            problem = "mixes http and https, which can't be exported"
            yield Mistake(
                file="config",
                line=0,
                key=f"routes[{index}].upstream",
                problem=problem,
                mend="use one of them",
            )


def _sites(config: Config) -> Iterator[HostPlan]:
    """Particular hosts first. A route that an earlier one hides on this host is left out."""
    hosts = dict.fromkeys(route.host.lower() for route in config.routes)
    for host in sorted(hosts, key=_generality):
        reached: list[Route] = []
        for route in config.routes:
            hidden = any(path_matches(other.path.rstrip("/") or "/", route.path) for other in reached)
            if covers_host(route.host.lower(), host) and not hidden:
                reached.append(route)
        yield HostPlan(host, tuple(reached))
    portal = urlsplit(config.server.public_url).hostname or ""
    if not any(covers_host(host, portal) for host in hosts):
        yield HostPlan(portal, (), portal=True)


def _generality(host: str) -> tuple[int, int]:
    return (2 if host == "*" else int(host.startswith("*.")), -len(host))


def addresses(route: Route) -> list[EngineUpstream]:
    return [address_of(url) for url in route.upstreams]


def address_of(url: str) -> EngineUpstream:
    """Read an upstream's URL."""
    if url.startswith("unix:"):
        return EngineUpstream(url, tls=False)
    parts = urlsplit(url)
    tls = parts.scheme in ("https", "h2")
    port = parts.port or (443 if tls else 80)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return EngineUpstream(f"{host}:{port}", tls, parts.path.rstrip("/"))


def path_change(route: Route) -> tuple[str, str] | None:
    """What takes the place of what at the beginning of a path on its way to the app, or None."""
    gone = route.path.rstrip("/") if route.strip_path else ""
    base = addresses(route)[0].base
    return (gone, base) if gone or base else None


def cookie_pattern(config: Config) -> str:
    """A regular expression for our cookies' names, with every prefix that browsers give a meaning to.

    Whatever begins with the session cookie's name and an underscore is ours: pass, remembered device, trail and more.
    """
    return f"(?:__Host-|__Secure-)?{config.session.cookie_name}(?:_[a-z]+)?"


MOST_COOKIES = 6
"""More of ours than a browser has at one time, for engines that cut them out one by one."""


def path_pattern(route: Route) -> str:
    """A regular expression for the paths of a route, by whole segments."""
    bare = re.escape(route.path.rstrip("/"))
    return f"^{bare}(?:/|;|$)" if bare else "^/"
