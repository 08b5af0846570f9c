"""Checks of routes that answer by themselves: exactly one of app, redirect and answer, and no redirect to itself."""

import re
from collections.abc import Iterator

from gateway.config import addresses
from gateway.config.checks.finding import Check, Finding
from gateway.config.patterns import host_matches, path_matches
from gateway.config.schema import Config, Route
from gateway.config.sections.answers import Redirect, Respond
from gateway.config.yaml_document import KeyPath

_OF_APPS = (
    "balance",
    "weights",
    "strip_path",
    "preserve_host",
    "headers",
    "rewrite",
    "timeouts",
    "health",
    "tls",
    "max_body",
    "upstream_http",
    "upgrades",
    "websocket",
    "websocket_origins",
    "cors_preflight",
)
_PRINTABLE = re.compile(r"[!-~]+")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:; *[!-~]+)*")


def answers(config: Config) -> Iterator[Finding]:
    """Find routes with no answer or several, with settings that have no effect, and with redirects that can't work."""
    for index, route in enumerate(config.routes):
        base: KeyPath = ("routes", index)
        own = [key for key in ("redirect", "respond") if getattr(route, key) is not None]
        given = [*(("upstream",) if route.upstream is not None else ()), *own]
        if not given:
            mend = "add `upstream:` with `http://host:port`, `https://host`, `unix:/path.sock`, or a list of them"
            yield Finding((*base, "upstream"), "is missing", f"{mend}; or `redirect` or `respond`")
        elif len(given) > 1:
            yield Finding((*base, given[-1]), f"is given beside `{given[0]}`", "keep one of the two")
        for key in _OF_APPS if own else ():
            if key in route.model_fields_set:
                yield Finding((*base, key), f"has no effect: `{own[0]}` asks no app", "remove it")
        if route.redirect is not None:
            yield from _redirect((*base, "redirect", "to"), route, route.redirect)
        if route.respond is not None:
            yield from _respond((*base, "respond"), route.respond)


def _redirect(place: KeyPath, route: Route, redirect: Redirect) -> Iterator[Finding]:
    to = redirect.to
    parts = addresses.split(to) if not to.startswith("/") else None
    sound = (to.startswith("/") and not to.startswith(("//", "/\\"))) or (
        parts is not None and parts.scheme in ("http", "https") and "@" not in parts.netloc
    )
    if not sound or not _PRINTABLE.fullmatch(to) or "\\" in to:
        mend = 'write "https://wiki.example.com", or a path such as `/wiki`'
        yield Finding(place, f"`{to}` is not where browsers can be sent", mend)
        return
    if redirect.keep_path and re.search(r"[?#]", to):
        yield Finding(place, "has a query or a fragment, behind which no path can be", "remove `keep_path`")
    path = re.split(r"[?#]", to if parts is None else parts.path or "/")[0]
    here = parts is None or (route.host != "*" and host_matches(route.host, parts.hostname or ""))
    if here and path_matches(route.path, path):
        yield Finding(place, f"`{to}` leads to this route again: a loop", "send them to another host or path")


def _respond(base: KeyPath, respond: Respond) -> Iterator[Finding]:
    if 300 <= respond.status <= 399:
        yield Finding((*base, "status"), "sends nobody anywhere without an address", "use `redirect`")
    if respond.status in (204, 205) and respond.body:
        yield Finding(
            (*base, "body"), f"has no place in a {respond.status}", "remove it, or write another status"
        )
    if not _MEDIA_TYPE.fullmatch(respond.content_type):
        mend = 'write "text/plain; charset=utf-8" or "application/json"'
        yield Finding((*base, "content_type"), f"`{respond.content_type}` is not a media type", mend)


ANSWER_CHECKS: tuple[tuple[frozenset[str], Check], ...] = ((frozenset({"routes"}), answers),)
