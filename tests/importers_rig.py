"""What comes out of an import, and what its rules say of a request."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

from gateway.config.loader import read_text
from gateway.model import Principal, SessionRecord, User
from gateway.policy.decide import Routes, decide
from gateway.request.target import make_target

DATA = Path(__file__).parent / "data" / "imports"


def translated(take_over, *arguments: object) -> tuple[Any, str]:
    """The configuration that comes out, checked as `check` does, and what was said about it."""
    result = take_over(*arguments)
    return read_text(result.stdout, "imported.yaml", {}).config, result.stderr


def verdict(
    config: Any, url: str, method: str = "GET", ip: str = "203.0.113.9", who: User | None = None
) -> str:
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    target = make_target(scheme, authority, method, slash + path, ip_address(ip))
    route = Routes(config.routes).find(target)
    if route is None:
        return "deny"
    principal = None
    if who is not None:
        amr = ("password", "totp")
        principal = Principal(who, SessionRecord("s", who.username, amr, dict.fromkeys(amr, 1.0), 1, 1, 9e9))
    return decide(route, target, principal, 2.0).verdict.value
