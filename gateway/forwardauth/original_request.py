"""Where each proxy puts the original request: headers in, `Asked` out.

Every reader has a fixed set of headers that it requires, and looks at no other. An optional one would be the
client's: proxies pass on what they don't set themselves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from multidict import CIMultiDictProxy, MultiMapping

from gateway.config.sections.header_presets import HeaderFact
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.model import Decision, Principal, Target, Verdict
from gateway.request.target import make_target

_ANY_METHOD = "GET"
_ANY_PATH = "/"


class NotBelieved(RequestRefused):
    """The asking proxy, not its client, must be mended. The log tells the operator how."""

    status = 403
    public = N_("This proxy is not set up to ask here. Its operator finds the reason in the gateway's log.")


@dataclass(frozen=True, slots=True)
class OriginalRequest:
    """The original request. What its proxy does not say is not guessed: rules that ask for it are then refused."""

    target: Target
    knows_path: bool = True
    knows_method: bool = True


class Question(Protocol):
    """What is looked at of the request to us: aiohttp's has it, and the fast path makes its own."""

    @property
    def headers(self) -> CIMultiDictProxy[str]: ...
    @property
    def query(self) -> MultiMapping[str]: ...


Reader = Callable[[Question, Target, str], OriginalRequest]
"""The request to us, where it was sent, and what follows our own path in it."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """An endpoint that proxies ask at: how it is asked, and in which words it answers.

    `told` are headers beside those of the route; `redirects` says whether browsers are sent to sign in by 302 or,
    since nginx can't pass that on, by 401 with Location; `meets` is what the request itself demands of the user.
    """

    read: Reader
    told: Mapping[str, HeaderFact] = field(default_factory=dict)
    yes: int = 200
    redirects: bool = True
    names_route: bool = False
    meets: Callable[[Question, Principal], bool] | None = None


def from_forwarded(request: Question, here: Target, suffix: str) -> OriginalRequest:
    """Traefik ForwardAuth and Caddy forward_auth: X-Forwarded-Method, -Proto, -Host and -Uri. Raises RequestRefused."""
    names = ("Proto", "Host", "Method", "Uri")
    scheme, authority, method, uri = (one(request, f"X-Forwarded-{name}") for name in names)
    return OriginalRequest(make_target(scheme, authority, method, uri, here.client, here.country))


def from_original(request: Question, here: Target, suffix: str) -> OriginalRequest:
    """nginx auth_request: X-Original-URL (the whole URL) and X-Original-Method. Raises RequestRefused."""
    return OriginalRequest(_original(request, here, one(request, "X-Original-Method")))


def from_original_url(request: Question, here: Target, suffix: str) -> OriginalRequest:
    """nginx as authentik's users have it: X-Original-URL alone."""
    return OriginalRequest(_original(request, here, _ANY_METHOD), knows_method=False)


def from_path(request: Question, here: Target, suffix: str) -> OriginalRequest:
    """Envoy ext_authz: the original request itself, its path behind ours."""
    uri = f"{suffix}?{here.query}" if here.query else suffix
    return OriginalRequest(
        make_target(here.scheme, here.authority, here.method, uri, here.client, here.country)
    )


def from_uri(scheme: str) -> Reader:
    """nginx as oauth2-proxy's users have it: Host and X-Forwarded-Uri; the scheme is that of `public_url`."""

    def read(request: Question, here: Target, suffix: str) -> OriginalRequest:
        uri = one(request, "X-Forwarded-Uri")
        target = make_target(scheme, one(request, "Host"), _ANY_METHOD, uri, here.client, here.country)
        return OriginalRequest(target, knows_method=False)

    return read


def from_host(scheme: str) -> Reader:
    """nginx as Vouch's users have it: Host and nothing else."""

    def read(request: Question, here: Target, suffix: str) -> OriginalRequest:
        target = make_target(scheme, one(request, "Host"), _ANY_METHOD, _ANY_PATH, here.client, here.country)
        return OriginalRequest(target, knows_path=False, knows_method=False)

    return read


def from_either(request: Question, here: Target, suffix: str) -> OriginalRequest:
    """Authelia's old /api/verify takes both dialects; where both are spoken, they must say the same.

    Few nginx configurations of its time name the method, so it is not believed beside X-Original-URL. Raises
    NotBelieved if the two disagree.
    """
    if not has(request, "X-Original-URL"):
        return from_forwarded(request, here, suffix)
    target = _original(request, here, _ANY_METHOD)
    if has(request, "X-Forwarded-Uri"):
        scheme, authority, uri = (one(request, f"X-Forwarded-{name}") for name in ("Proto", "Host", "Uri"))
        if make_target(scheme, authority, _ANY_METHOD, uri, here.client, here.country) != target:
            raise NotBelieved("forward-auth: X-Original-URL and X-Forwarded-Uri disagree", status=400)
    return OriginalRequest(target, knows_method=False)


def dialect_of(request: Question, suffix: str) -> Reader:
    """Return the one dialect of our own that the request speaks. Raises NotBelieved if it is none, or two.

    A client may send the headers of another one through its proxy; picking either could be picking the client's.
    """
    signs: tuple[tuple[Reader, bool], ...] = (
        (from_path, bool(suffix)),
        (from_original, has(request, "X-Original-URL", "X-Original-Method")),
        (from_forwarded, has(request, "X-Forwarded-Uri", "X-Forwarded-Method")),
    )
    spoken = [dialect for dialect, present in signs if present]
    if len(spoken) != 1:
        problem = "no headers that name the original request" if not spoken else "headers of two dialects"
        raise NotBelieved(
            f"forward-auth: {problem}; `auth-gateway export` writes a proxy configuration that sends one "
            "dialect and removes the others",
            status=400,
        )
    return spoken[0]


def has(request: Question, *names: str) -> bool:
    """Whether one of these headers is there and says something."""
    return any(request.headers.get(name) for name in names)


def one(request: Question, name: str) -> str:
    """Return the value of a header that must stand exactly once. Raises NotBelieved.

    Of two, the proxy may have written one and its client the other.
    """
    values = request.headers.getall(name, [])
    if len(values) != 1 or not values[0]:
        raise NotBelieved(f"forward-auth: {len(values)} {name} headers, must be one", status=400)
    return values[0]


def _original(request: Question, here: Target, method: str) -> Target:
    scheme, _, rest = one(request, "X-Original-URL").partition("://")
    authority, slash, path = rest.partition("/")
    return make_target(scheme, authority, method, slash + path, here.client, here.country)


def demanded(question: Question, door: Dialect, principal: Principal | None, decision: Decision) -> Decision:
    """The rules' yes, unless the request to the door demands more of the user."""
    if decision.verdict is not Verdict.ALLOW or door.meets is None:
        return decision
    if principal is None:
        return Decision(Verdict.SIGN_IN, decision.rule, "no_session")
    if not door.meets(question, principal):
        return Decision(Verdict.DENY, decision.rule, "asked_for_others")
    return decision
