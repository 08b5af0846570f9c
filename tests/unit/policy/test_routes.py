"""The route of a host and path is remembered: the one that would be found anew, within bounds."""

import ipaddress

from gateway.config.schema import Route
from gateway.model import Target
from gateway.policy.decide import Routes

ROUTES = [
    Route.model_validate({"host": "a.example", "path": path, "upstream": "http://127.0.0.1:1", **more})
    for path, more in (("/admin", {}), ("/", {"allow_in_path": ["double_slash"]}))
]
ADDRESS = ipaddress.ip_address("127.0.0.1")


def target(host: str, path: str) -> Target:
    return Target("http", host, None, "GET", path, "", ADDRESS)


def test_a_remembered_route_is_the_one_that_is_found_anew() -> None:
    routes = Routes(ROUTES)
    for host in ("a.example", "b.example"):
        for path in ("/", "/admin", "/admin/x", "//admin", "/adminx", "/" + "x" * 300):
            first = routes.find(target(host, path))
            assert routes.find(target(host, path)) is first is Routes(ROUTES).find(target(host, path))
    assert routes.find(target("a.example", "//admin")) is None
    assert routes.find(target("b.example", "/")) is None


def test_what_strangers_make_up_is_remembered_within_bounds() -> None:
    routes = Routes(ROUTES)
    for number in range(3000):
        routes.find(target(f"{number}.example", f"/{number}"))
    routes.find(target("a.example", "/" + "x" * 10_000))
    known = routes._remembered.cache_info()
    assert known.maxsize is not None
    assert known.currsize == known.maxsize <= 1024
    assert known.misses == 3000
