"""The doors and pages of other gateways, under their addresses: swap the container, keep the proxy's configuration.

Only tables and what each peer's own documentation has proxies send. Off unless `forward.compatible` names the peer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from aiohttp import web

from gateway.config.schema import Config
from gateway.config.sections.header_presets import PRESETS, HeaderFact
from gateway.forwardauth.original_request import (
    Dialect,
    Question,
    Reader,
    from_either,
    from_forwarded,
    from_host,
    from_original,
    from_original_url,
    from_path,
    from_uri,
)
from gateway.model import Principal, Target, Verdict
from gateway.observability.access_log import Trace
from gateway.policy.decide import Routes, decide
from gateway.portal.rendering.render import Pages
from gateway.portal.request import PROGRAM
from gateway.portal.return_url import read_return
from gateway.request.target import agent_of, cookie_header
from gateway.session import Sessions


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a peer: where it leads (`login`, `logout`), or `userinfo`; `back` names its return address."""

    leads_to: str
    back: str = "rd"


@dataclass(frozen=True, slots=True)
class Addresses:
    """What stands where. `below` are doors that have the original path behind theirs; `portal` is for our own host."""

    doors: Mapping[str, Dialect] = field(default_factory=dict)
    below: Mapping[str, Dialect] = field(default_factory=dict)
    pages: Mapping[str, Page] = field(default_factory=dict)
    portal: Mapping[str, Page] = field(default_factory=dict)


def addresses_of(config: Config) -> Addresses:
    """The addresses of all peers that the configuration names."""
    all_peers = {
        "authelia": _authelia,
        "oauth2-proxy": _oauth2_proxy,
        "vouch": _vouch,
        "authentik": _authentik,
    }
    chosen = [all_peers[name](config) for name in config.forward.compatible]
    return Addresses(
        *(
            {path: it for peer in chosen for path, it in getattr(peer, part).items()}
            for part in Addresses.__slots__
        )
    )


def find_door(addresses: Addresses, question: Question, target: Target) -> tuple[Dialect, str] | None:
    """The door at this address, and the original path behind it."""
    for start, door in addresses.below.items():
        if target.path.startswith(start):
            return door, "/" + target.path.removeprefix(start).removeprefix("/")
    found = addresses.doors.get(target.path)
    if found is None:
        return None
    if target.path == _LEGACY:  # Authelia redirects only those who say where its portal is
        found = replace(found, redirects="rd" in question.query)
    return found, ""


def find_page(addresses: Addresses, target: Target, portal_host: str) -> Page | None:
    """Return the page of a peer at this address, None if there is none or an app's own stands there."""
    page = addresses.pages.get(target.path)
    if page is None and target.host == portal_host:
        page = addresses.portal.get(target.path)
        if target.path.endswith("/") and page is not None and f"{page.back}=" not in target.query:
            return None  # the front page of an app on our host
    return page


class CompatiblePages:
    """The pages of other gateways: most lead on to ours, and `userinfo` tells an app who is signed in."""

    def __init__(
        self,
        config: Config,
        *,
        routes: Routes,
        sessions: Sessions,
        pages: Pages,
        page_for: Callable[[str, Target], str],
    ) -> None:
        """`page_for` gives the URL of a page of ours (`login`, `logout`) that leads back to a target."""
        self._prefix, self._scheme = config.server.prefix, _scheme(config)
        self._routes, self._sessions, self._pages, self._page_for = routes, sessions, pages, page_for

    async def answer(
        self, request: web.BaseRequest, here: Target, trace: Trace, page: Page
    ) -> web.StreamResponse:
        """Answer at a page of a peer: lead on to ours, or tell an app who is signed in."""
        trace.route = "portal"
        if "X-Forwarded-Proto" not in request.headers:  # few of the peers' configurations send it
            here = replace(here, scheme=self._scheme)
        if page.leads_to == "userinfo":
            return await self._userinfo(request, here, trace)
        back: str = request.query.get(page.back) or request.headers.get("X-Auth-Request-Redirect") or ""
        destination = read_return(back, here, self._routes, self._prefix)
        return self._onward(request, trace, self._page_for(page.leads_to, destination))

    def _onward(self, request: web.BaseRequest, trace: Trace, where: str) -> web.Response:
        """A redirect that also works as the body of another status: nginx' `error_page 401 =403 /oauth2/sign_in`."""
        response = self._pages.error(
            401,
            reader=self._pages.readers.of(request),
            reason="sign_in_required",
            request_id=trace.request_id,
            actions=[("Go on", where)],
            headers={"Location": where, "Refresh": f"0; url={where}"},
        )
        response.set_status(303)
        return response

    async def _userinfo(self, request: web.BaseRequest, here: Target, trace: Trace) -> web.Response:
        """Whom the app at this host would be told of, and nobody else: a half finished sign-in is none."""
        principal = await self._sessions.load(
            cookie_header(request.headers), here.host, here.client, agent_of(request.headers)
        )
        if principal is None or not self._is_in(principal, here):
            return self._pages.error(
                401,
                reader=PROGRAM,
                reason="sign_in_required",
                request_id=trace.request_id,
                accepts_html=False,
            )
        user = principal.user
        facts = {"user": user.username, "email": user.email, "groups": list(user.groups)}
        return web.json_response(
            {**facts, "preferredUsername": user.username}, headers={"Cache-Control": "no-store"}
        )

    def _is_in(self, principal: Principal, here: Target) -> bool:
        root = replace(here, method="GET", path=self._routes.front(here.host), query="")
        route = self._routes.find(root)
        return (
            route is not None
            and decide(route, root, principal, self._sessions.now()).verdict is Verdict.ALLOW
        )


def _forwarded_or(reader: Reader, config: Config) -> Reader:
    return from_forwarded if config.forward.x_forwarded else reader


def _scheme(config: Config) -> str:
    return urlsplit(config.server.public_url).scheme


# -- Authelia ------------------------------------------------------------------------------------------------------

_LEGACY = "/api/verify"


def _authelia(config: Config) -> Addresses:
    told, base = PRESETS["remote-user"], config.server.base
    return Addresses(
        doors={
            _LEGACY: Dialect(from_either, told),
            "/api/authz/forward-auth": Dialect(from_forwarded, told),
            "/api/authz/auth-request": Dialect(from_original, told, redirects=False),
        },
        below={"/api/authz/ext-authz/": Dialect(from_path, told)},
        portal={f"{base}/": Page("login"), f"{base}/logout": Page("logout")},
    )


# -- oauth2-proxy --------------------------------------------------------------------------------------------------


def _oauth2_proxy(config: Config) -> Addresses:
    told = {**PRESETS["x-auth-request"], **PRESETS["x-forwarded"], "GAP-Auth": HeaderFact("email")}
    reader = _forwarded_or(from_uri(_scheme(config)), config)
    return Addresses(
        doors={"/oauth2/auth": Dialect(reader, told, yes=202, redirects=False, meets=_is_allowed)},
        pages={
            "/oauth2/sign_in": Page("login"),
            "/oauth2/start": Page("login"),
            "/oauth2/sign_out": Page("logout"),
            "/oauth2/userinfo": Page("userinfo"),
        },
    )


def _is_allowed(request: Question, principal: Principal) -> bool:
    """`?allowed_groups=`, `allowed_emails=` and `allowed_email_domains=`: one of each that is given must fit."""
    email = principal.user.email.lower()
    domain = email.rpartition("@")[2]
    groups, emails, domains = (
        _listed(request, f"allowed_{name}") for name in ("groups", "emails", "email_domains")
    )
    return (
        (groups is None or bool(groups & set(principal.groups)))
        and (emails is None or email in {one.lower() for one in emails})
        and (domains is None or any(_in_domain(domain, one.lower()) for one in domains))
    )


def _listed(request: Question, name: str) -> set[str] | None:
    """None if it is not asked for; asked for with nothing in it, nobody fits."""
    values = request.query.getall(name, None)
    return None if values is None else {one for value in values for one in value.split(",") if one}


def _in_domain(domain: str, wanted: str) -> bool:
    if wanted.startswith((".", "*.")):
        return bool(domain) and domain.endswith(wanted.removeprefix("*"))
    return bool(domain) and domain == wanted


# -- Vouch ---------------------------------------------------------------------------------------------------------


def _vouch(config: Config) -> Addresses:
    reader, base = _forwarded_or(from_host(_scheme(config)), config), config.server.base
    return Addresses(
        doors={"/validate": Dialect(reader, {"X-Vouch-User": HeaderFact("username")}, redirects=False)},
        portal={f"{base}/login": Page("login", "url"), f"{base}/logout": Page("logout", "url")},
    )


# -- authentik -----------------------------------------------------------------------------------------------------


def _authentik(config: Config) -> Addresses:
    told, base = PRESETS["authentik"], "/outpost.goauthentik.io"
    return Addresses(
        doors={
            f"{base}/auth/nginx": Dialect(from_original_url, told, redirects=False),
            f"{base}/auth/traefik": Dialect(from_forwarded, told),
            f"{base}/auth/caddy": Dialect(from_forwarded, told),
        },
        below={f"{base}/auth/envoy": Dialect(from_path, told)},
        pages={f"{base}/start": Page("login"), f"{base}/sign_out": Page("logout")},
    )
