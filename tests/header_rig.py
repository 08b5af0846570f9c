"""Header rules of a route, and the headers that its app gets."""

from gateway.config.schema import Route
from gateway.proxy.client_headers import Pairs
from gateway.proxy.request_headers import HeaderRules, Peer, request_headers
from tests.proxy_rig import COOKIES, make_target

STRANGER = Peer("203.0.113.9", trusted=False)
FRIEND = Peer("10.0.0.1", trusted=True)


def rules(**settings: object) -> HeaderRules:
    return HeaderRules.of(Route(upstream="http://app", **settings), COOKIES)


def prepared(
    *received: tuple[bytes, bytes], who=None, peer=STRANGER, compiled=None, assertion=None, **target
):
    return request_headers(received, compiled or rules(), make_target(**target), peer, who, assertion)


def values(pairs: Pairs, name: str) -> list[bytes]:
    return [value for key, value in pairs if key.decode("latin-1").lower() == name.lower()]
