"""Twin of gateway/proxy/websocket.py: which pages may open a WebSocket."""

import pytest

from gateway.config.schema import Route
from gateway.proxy.websocket import origin_allowed
from tests.proxy_rig import make_target

ROUTE = Route(upstream="http://app", websocket_origins=("https://partner.example:8443",))


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("https://app.example.com", True),
        ("https://APP.example.com:443", True),
        ("https://partner.example:8443", True),
        ("http://app.example.com", False),
        ("https://app.example.com:8443", False),
        ("https://partner.example", False),
        ("https://app.example.com.evil.example", False),
        ("https://evil.example/https://app.example.com", False),
        ("https://app.example.com@evil.example", False),
        ("null", False),
        ("", False),
        ("https://[", False),
        ("https://app.example.com:x", False),
    ],
)
def test_only_our_own_and_listed_origins_may_open_websockets(origin: str | None, allowed: bool) -> None:
    assert origin_allowed(origin, make_target(scheme="https"), ROUTE) is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("capacitor://localhost", True),
        ("CAPACITOR://localhost", True),
        ("capacitor://localhost.evil.test", False),
        ("capacitor://localhost:1", False),
        ("ionic://localhost", False),
        ("null", False),
        ("file://", False),
        ("javascript://localhost", False),
        ("capacitor://localhost/path", False),
    ],
)
def test_the_scheme_of_an_app_counts_where_it_is_listed(origin: str, allowed: bool) -> None:
    route = ROUTE.model_copy(
        update={"websocket_origins": ("capacitor://localhost", "javascript://localhost")}
    )
    assert origin_allowed(origin, make_target(scheme="https"), route) is allowed
