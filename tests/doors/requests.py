"""One request of the corpus, and the routes that it is sent to."""

from dataclasses import dataclass
from typing import Any

OPEN, TWO = "/open/x", "/two/x"
HOST = "app.test"


SIGNS = "_.!#$%&'*+^`|~"
"""All that may stand in a header's name beside letters, digits and the dash (RFC 9110 §5.6.2)."""


KEY = (("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13"))


Headers = tuple[tuple[str, str], ...]


# `upstream` is the base path of the app, if it has one.
ROUTES: list[dict[str, Any]] = [
    {"path": "/open", "policy": {"require": "bypass"}},
    {"path": "/one", "policy": {"require": "one_factor"}},
    {"path": "/shut", "policy": {"require": "deny"}},
    {"path": "/ops", "policy": {"require": "two_factor", "groups": ["ops"]}},
    {
        "path": "/rules",
        "rules": [
            {"paths": ["/rules/open"], "require": "bypass"},
            {"methods": ["GET", "HEAD", "POST"], "require": "one_factor"},
            {"methods": ["OPTIONS"], "require": "bypass"},
            {"require": "deny"},
        ],
    },
    {
        "path": "/set",
        "policy": {"require": "bypass"},
        "headers": {
            "preset": ["x-auth-request"],
            "rename": {"X-Auth-Request-User": "X-Who"},
            "add": {"X-Api-Key": 'ours $1 %v {x} "q"'},
            "drop": ["X-Debug", "Authorization", "X-Auth-Request-Groups", "X-Forwarded-Port"],
            "keep": ["X-Webauth-Role"],
        },
    },
    {
        "path": "/two-set",
        "policy": {"require": "one_factor"},
        "headers": {
            "rename": {"Remote-User": "X-Who"},
            "add": {"X-Api-Key": "ours"},
            "drop": ["Remote-Groups"],
        },
    },
    {"path": "/strip", "policy": {"require": "bypass"}, "strip_path": True},
    {"path": "/based", "policy": {"require": "bypass"}, "upstream": "/base"},
    {
        "path": "/strip-based",
        "policy": {"require": "one_factor"},
        "strip_path": True,
        "upstream": "/base/deep",
    },
    {
        "path": "/strip-odd",
        "policy": {"require": "bypass"},
        "strip_path": True,
        "allow_in_path": ["encoded_slash"],
    },
    {
        "path": "/machines",
        "name": "machines",
        "policy": {"require": "one_factor"},
        "tokens": True,
        "basic": True,
    },
    {"path": "/still", "policy": {"require": "bypass"}, "websocket": False},
    {"host": "shut.test", "policy": {"require": "deny"}},
    {"host": "*.wild.test", "policy": {"require": "bypass"}},
    {"path": "/"},
]


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `who` is "" for a stranger, else a user; `kind` names what differences may be told of."""

    kind: str
    path: str = OPEN
    who: str = ""
    headers: Headers = ()
    method: str = "GET"
    body: bytes = b""
    host: str = HOST
    html: bool = False
    chunked: bool = False

    @property
    def websocket(self) -> bool:
        return any(name.lower() == "upgrade" for name, _ in self.headers)

    def __str__(self) -> str:
        shown = " ".join(f"{name}: {value};" for name, value in self.headers)
        return f"[{self.kind}] {self.who or 'stranger'} {self.method} {self.host} {self.path} {shown[:200]}"
