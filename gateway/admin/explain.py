"""Explains, for the page of routes, which rule decides about a request of a real user, and why."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.errors import RequestRefused
from gateway.model import Principal, SessionRecord, Target, User
from gateway.policy.decide import Routes
from gateway.policy.explain import Explanation, explain
from gateway.request.target import CountryOf, check_spelling, supposed_target


@dataclass(frozen=True, slots=True)
class Answered:
    """What the rules say of a request that nobody has made. `refused` says why no rule was asked."""

    route: str = ""
    explanation: Explanation | None = None
    refused: str = ""


def answered(
    routes: Routes,
    url: str,
    method: str,
    ip: str,
    user: User | None,
    amr: tuple[str, ...],
    now: float,
    country_of: CountryOf,
) -> Answered:
    """Ask the rules about a request that nobody has made. `user` None is nobody; `amr` are the factors that we suppose
    to be proven just now.
    """
    try:
        target = _target(url, method, ip, country_of)
        route = routes.find(target)
        if route is None:
            return Answered(refused=f"no route for {target.host}{target.path}")
        check_spelling(target.path, route.allow_in_path)
    except RequestRefused as refusal:
        return Answered(refused=refusal.detail)
    except ValueError as error:
        return Answered(refused=str(error))
    return Answered(route.label, explain(route, target, _principal(user, amr, now), now))


def _target(url: str, method: str, ip: str, country_of: CountryOf) -> Target:
    """Raises RequestRefused and ValueError."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("the address must begin with http:// or https://")
    return supposed_target(url, method or "GET", ip, country_of)


def _principal(user: User | None, amr: tuple[str, ...], now: float) -> Principal | None:
    if user is None:
        return None
    session = SessionRecord(
        sid="explained",
        username=user.username,
        amr=amr,
        proven_at=dict.fromkeys(amr, now),
        created_at=now,
        last_seen=now,
        expires_at=now + 1,
    )
    return Principal(user, session)
