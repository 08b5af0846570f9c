"""Checks of how apps are shown, and of the operator's own page."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.config import addresses
from gateway.config.checks.finding import Check, Finding
from gateway.config.patterns import host_matches, path_matches
from gateway.config.schema import Config, Route
from gateway.config.yaml_document import KeyPath

_PICTURES = (".svg", ".png", ".webp", ".jpg", ".jpeg", ".gif", ".ico")


def apps(config: Config) -> Iterator[Finding]:
    """Find apps that open nowhere, and pictures that are none."""
    for index, route in enumerate(config.routes):
        app, path = route.app, ("routes", index, "app")
        if app is None:
            continue
        yield from _url(route, app.url, (*path, "url"))
        if not app.url and route.host.startswith("*.") and not app.hidden:
            mend = "write `url: https://name…`, the host that people open"
            yield Finding((*path, "url"), f"is missing: {route.host} is many hosts", mend)
        if app.icon and not app.icon.is_file():
            yield Finding((*path, "icon"), f"there is no file {app.icon}")
        elif app.icon and app.icon.suffix.lower() not in _PICTURES:
            yield Finding((*path, "icon"), f"{app.icon.name} is none of {', '.join(_PICTURES)}")


def _url(route: Route, url: str, path: KeyPath) -> Iterator[Finding]:
    if not url:
        return
    if url.startswith("/") and not url.startswith("//"):
        if not path_matches(route.path, urlsplit(url).path):
            yield Finding(path, f"`{url}` is not below the route's path {route.path}")
        return
    parts = addresses.split(url)
    if parts is None or "@" in parts.netloc:
        yield Finding(path, f"`{url}` is no address", "write a URL, or a path on the route's host")
    elif not host_matches(route.host, parts.hostname or "") or not path_matches(
        route.path, parts.path or "/"
    ):
        mend = "write an address that this route serves, or put `app` at the route that does"
        yield Finding(path, f"`{url}` is not served by this route", mend)


def home_url(config: Config) -> Iterator[Finding]:
    """Find an own page that leads to ours, which leads there."""
    url, base = config.server.home_url, config.server.base
    if not url:
        return
    beyond = url.removeprefix(config.server.origin)
    circle = beyond in (base, f"{base}/") or path_matches(config.server.prefix, beyond)
    is_path = url.startswith("/") and not url.startswith("//")
    if not is_path and addresses.split(url) is None:
        mend = "write a URL such as `https://intranet.example.com/`, or a path that a route serves"
        yield Finding(("server", "home_url"), f"`{url}` is no address", mend)
    elif circle:
        mend = "write the address of a page of yours, or remove it for the page of apps"
        yield Finding(("server", "home_url"), "is the gateway's own page, which leads there", mend)


def frame_ancestors(config: Config) -> Iterator[Finding]:
    """Find what is no origin: a wildcard would let any page there take clicks meant for ours."""
    for index, text in enumerate(config.server.frame_ancestors):
        if addresses.origin(text) is None:
            mend = "write scheme and host alone, such as `https://intranet.example.com`"
            yield Finding(("server", "frame_ancestors", index), f"`{text}` is not an origin", mend)


APP_CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    (frozenset({"routes"}), apps),
    (frozenset({"server"}), home_url),
    (frozenset({"server"}), frame_ancestors),
)
