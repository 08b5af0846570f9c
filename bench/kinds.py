"""What is asked of the servers: each kind of request with its load, and the way in that it takes."""

from dataclasses import dataclass
from typing import Literal

Door = Literal["page", "token", "rules", "forward"]
"""How a request comes in: with a session; with an API token; where rules by path decide; as forward-auth question."""


@dataclass(frozen=True, slots=True)
class Kind:
    label: str
    path: str = "/small"
    connections: int = 32
    door: Door = "page"
    body: int = 0
    """Bytes of a POST; 0 is a GET."""
    tls: bool = False
    http2: bool = False
    """Over TLS, as browsers have it: several requests under way on each connection."""
    fresh: bool = False
    """A new connection for each request."""


MIB = 1024 * 1024

KINDS = {
    "small": Kind("120 B"),
    "medium": Kind("10 KiB", "/medium"),
    "large": Kind("1 MiB", "/large", connections=16),
    "fresh": Kind("120 B, new connections", fresh=True),
    "post": Kind("POST 1 KiB", "/little-sink", body=1024),
    "upload": Kind("1 MiB upload", "/sink", connections=16, body=MIB),
    "huge": Kind("100 MiB", "/huge", connections=1),
    "huge upload": Kind("100 MiB upload", "/sink", connections=1, body=100 * MIB),
    "token": Kind("API token", door="token"),
    "rules": Kind("rules by path", door="rules"),
    "forward": Kind("forward-auth", door="forward"),
    "tls small": Kind("TLS 120 B", tls=True),
    "http2 small": Kind("HTTP/2 120 B", tls=True, http2=True),
    "tls large": Kind("TLS 1 MiB", "/large", connections=16, tls=True),
    "tls fresh": Kind("TLS 120 B, new connections", tls=True, fresh=True),
}

GROUPS = {
    "Pages": ("small", "medium", "large", "fresh"),
    "Bodies": ("post", "upload", "huge", "huge upload"),
    "Ways in": ("token", "rules", "forward"),
    "TLS": ("tls small", "http2 small", "tls large", "tls fresh"),
}
"""Title of a table of the report -> its kinds."""
