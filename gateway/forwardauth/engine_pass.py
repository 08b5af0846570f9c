"""The pass: a short-lived signed cookie that says which routes of a host its owner may use.

An exported HAProxy checks it by itself (jwt_verify). It names only routes whose rules ask nothing but who somebody
is; all other requests HAProxy sends through the gateway. A pass is good for `forward.pass_lifetime`, which
therefore bounds how long a revoked session goes on there.
"""

import hashlib
from urllib.parse import urlsplit

from aiohttp import web

from gateway.config.patterns import host_matches
from gateway.config.schema import Config, Route
from gateway.config.sections.header_presets import Fact, told_by
from gateway.model import Principal, Target, Verdict
from gateway.observability.access_log import Trace
from gateway.policy.decide import Routes, decide
from gateway.portal.return_url import href, read_return
from gateway.proxy.identity import Assertions, clean, facts_of
from gateway.request.target import agent_of, cookie_header, cookie_value
from gateway.session import Sessions
from gateway.session.cookie import cookie_flags, cookie_name, cookie_path

_LARGEST_COOKIE = 4000
"""Characters: with its name and attributes it must stay below what browsers keep (RFC 6265 §6.1)."""
_NONE = "none"
"""Stands where there is no session, or a pass would not fit. HAProxy then asks the gateway; were there no cookie at
all, it would send the browser for a pass again."""


def pass_cookie(config: Config) -> str:
    secure = config.server.public_url.startswith("https:")
    return cookie_name(f"{config.session.cookie_name}_pass", secure=secure, path=cookie_path(config))


def pass_audience(host: str) -> str:
    """Not the host alone: no app may take a pass for an assertion, nor HAProxy an assertion for a pass."""
    return f"pass:{host}"


def route_id(route: Route) -> str:
    """Changes with everything that the route says, so a pass never outlives the rules it was made for."""
    facts = "\n".join((route.model_dump_json(), *(rule.model_dump_json() for rule in route.access)))
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def is_settled(route: Route) -> bool:
    """Whether it is an app's, and whether one may depends on nothing but the user: then a pass can hold that."""
    asks = ("hosts", "paths", "query", "methods", "networks", "countries", "times", "max_age")
    if route.headers.of_user or route.headers.basic:  # a pass has no room for them
        return False
    return bool(route.upstreams) and not any(getattr(rule, key) for rule in route.access for key in asks)


class Passes:
    """Gives out passes, at an address to which an exported HAProxy sends browsers that have none."""

    def __init__(self, config: Config, routes: Routes, sessions: Sessions, assertions: Assertions) -> None:
        self._routes, self._sessions, self._assertions = routes, sessions, assertions
        self._prefix, self._cookie = config.server.prefix, pass_cookie(config)
        self.path = f"{self._prefix}/pass"
        self._lifetime = int(config.forward.pass_lifetime)
        self._flags = cookie_flags(
            secure=config.server.public_url.startswith("https:"),
            path=cookie_path(config),
            same_site=config.session.same_site,
        )
        self._portal = urlsplit(config.server.public_url)

    async def handle(
        self, request: web.BaseRequest, here: Target, trace: Trace, *, trusted_peer: bool = False
    ) -> web.StreamResponse:
        """GET {prefix}/pass?rd=…: a fresh pass for the session, and back to where the browser came from."""
        destination = read_return(request.query.get("rd", ""), here, self._routes, self._prefix)
        cookies = cookie_header(request.headers)
        principal = await self._sessions.load(cookies, here.host, here.client, agent_of(request.headers))
        where = href(destination, here)
        response = web.Response(status=303, headers={"Location": where, "Cache-Control": "no-store"})
        cookie = _as_sent(cookies, self._sessions.cookie_name)
        self._give(response, self.issue(principal, here, cookie) if principal else _NONE)
        return response

    def _give(self, response: web.Response, value: str) -> None:
        """The browser drops the cookie when the pass expires: an absent one means "fetch", a bad one "ask us"."""
        response.set_cookie(self._cookie, value, max_age=self._lifetime, **self._flags)

    def issue(self, principal: Principal, here: Target, cookie: str) -> str:
        """Bound to the session's cookie: useless beside another one, or none."""
        now = self._sessions.now()
        facts = facts_of(principal, self._assertions.issue(principal, here.host))
        claims: dict[str, object] = {fact: _text(facts[fact]) for fact in self._facts(here)}
        claims |= {
            "iss": self._assertions.issuer,
            "aud": pass_audience(here.host),
            "sub": _text(principal.username),
            "cookie": hashlib.sha256(cookie.encode()).hexdigest().upper(),
            "routes": f" {' '.join(self._allowed(principal, here, now))} ",
            "iat": int(now),
            "exp": int(min(now + self._lifetime, principal.session.expires_at)),
        }
        # What would not fit is not cut: half a list of routes would be another list.
        token = self._assertions.sign(claims)
        return token if len(token) <= _LARGEST_COOKIE else _NONE

    def _facts(self, here: Target) -> list[Fact]:
        """What the apps of this host are told, and no more: a cookie has little room."""
        routes = [route for route in self._routes.all if host_matches(route.host, here.host)]
        said = {told.fact for route in routes for told in told_by(route.headers.preset).values()}
        return sorted(said - {"username"})

    def _allowed(self, principal: Principal, here: Target, now: float) -> list[str]:
        return [
            route_id(route)
            for route in self._routes.all
            if host_matches(route.host, here.host)
            and is_settled(route)
            and decide(route, here, principal, now).verdict is Verdict.ALLOW
        ]


def _as_sent(cookies: str, name: str) -> str:
    """The session cookie with its quotes, if the browser sends any: HAProxy compares bytes."""
    value = cookie_value(cookies, name)
    return f'"{value}"' if f'{name}="{value}"' in cookies else value


def _text(value: str) -> str:
    return clean(value).decode()
