"""Tells a program that may not pass yet that it must sign in, and where; and (CORS) which pages may read that.

Only what the gateway itself answers gets these headers. Answers of an app are the app's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.config import addresses
from gateway.config.schema import Route
from gateway.model import Decision, Target, Verdict
from gateway.portal.return_url import with_return

LOGIN_HEADER = "X-Auth-Login"
_VARY = "Cookie, Accept, X-Requested-With, Sec-Fetch-Mode, Sec-Fetch-Dest"
_LONGEST = 2000  # a longer address of a page is not put into a header


@dataclass(frozen=True, slots=True)
class UnauthorizedAnswer:
    """An answer to whoever may not pass. `reason` and `fields` are for the JSON body."""

    reason: str
    headers: dict[str, str]
    fields: dict[str, str]


def page_for(decision: Decision) -> str:
    """Return the page of ours (`login`, `verify` …) on which the missing proof is given."""
    return "login" if decision.verdict is Verdict.SIGN_IN else "verify"


def tell_program(
    route: Route,
    target: Target,
    decision: Decision,
    asked: Mapping[str, str],
    *,
    page_url: str,
    offer: str = "",
) -> UnauthorizedAnswer:
    """The 401. `page_url` is where the missing proof is given; `offer` one more way, for WWW-Authenticate.

    The address to come back to is that of the page whose script asked, never that of its API call.
    """
    here = _calling_page(route, target, asked)
    login = with_return(page_url, here) if here else page_url
    challenge = f'Cookie realm="{target.host}", form-action="{urlsplit(page_url).path}"'
    reason = "sign_in_required" if page_for(decision) == "login" else "second_factor_required"
    headers = {
        "WWW-Authenticate": f"{offer}, {challenge}" if offer else challenge,
        LOGIN_HEADER: login,
        **readable_by(route, asked),
    }
    return UnauthorizedAnswer(reason, headers, {"login_url": login})


def readable_by(route: Route, asked: Mapping[str, str]) -> dict[str, str]:
    """Headers that let a page of an allowed origin read a refusal; nothing of the kind for any other origin."""
    if not route.cors_origins:
        return {"Vary": _VARY}
    headers = {"Vary": f"{_VARY}, Origin"}
    origin = asked.get("Origin", "")
    if _allowed(route, origin):
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Allow-Credentials"] = "true"
        headers["Access-Control-Expose-Headers"] = f"WWW-Authenticate, Retry-After, {LOGIN_HEADER}"
    return headers


def _allowed(route: Route, origin: str) -> bool:
    """Browsers write an origin in one spelling only (HTML standard, "serialization of an origin")."""
    given = addresses.page_origin(origin)
    return given is not None and given in [addresses.page_origin(one) for one in route.cors_origins]


def _calling_page(route: Route, target: Target, asked: Mapping[str, str]) -> str:
    """The page that Referer names, if it is on the target's own origin or an allowed one; else ""."""
    referer = asked.get("Referer", "")
    parts = addresses.split(referer) if referer.isascii() and len(referer) <= _LONGEST else None
    if parts is None or "@" in parts.netloc:
        return ""
    own = parts.scheme == target.scheme and parts.netloc.lower() == target.authority
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    if own:
        return path if path.startswith("/") and not path.startswith("//") else ""
    return referer.partition("#")[0] if _allowed(route, f"{parts.scheme}://{parts.netloc}") else ""
