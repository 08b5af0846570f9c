"""Twin of gateway/proxy/webdav.py: URLs of ours in WebDAV's headers become those of the app."""

import pytest

from gateway.config.schema import Route
from gateway.errors import RequestRefused
from gateway.proxy.client_headers import Pairs
from gateway.proxy.request_headers import host_header
from gateway.proxy.upstreams import PreparedRoute, UpstreamAddress
from gateway.proxy.webdav import destination_of, for_upstream
from tests.proxy_rig import COOKIES, make_target

UPSTREAM = "http://backend.internal:9000"
HERE = make_target("/app/a", method="MOVE", scheme="https")


def sent_on(name: str, value: str, upstream: str = UPSTREAM, **settings: object) -> str:
    site = PreparedRoute.of(Route(upstream=upstream, **settings), COOKIES, lambda: 0.0)
    address = UpstreamAddress.parse(upstream)
    origin = f"{address.scheme}://{host_header(site.route, HERE, address.authority)}"
    pairs: Pairs = [(b"Host", b"x"), (name.encode(), value.encode())]
    sent = for_upstream(pairs, HERE, origin=origin, base=address.base, prefix=site.rules.prefix)
    return sent[1][1].decode()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("https://app.example.com/app/b", "http://app.example.com/b"),
        ("https://APP.example.com:443/app/b%7e", "http://app.example.com/b~"),
        ("/app/b", "http://app.example.com/b"),
        ("https://app.example.com/app", "http://app.example.com/"),
        ("https://elsewhere.example/app/b", "https://elsewhere.example/app/b"),
        ("https://app.example.com:444/app/b", "https://app.example.com:444/app/b"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_destination_below_a_stripped_prefix_is_the_apps_own(asked: str, told: str) -> None:
    assert sent_on("Destination", asked, path="/app", strip_path=True) == told


def test_where_tls_ends_here_and_where_the_app_has_its_own_name_and_base() -> None:
    asked = "https://app.example.com/app/b"
    assert sent_on("Destination", asked) == "http://app.example.com/app/b"
    assert sent_on("Destination", asked, UPSTREAM + "/base") == "http://app.example.com/base/app/b"
    assert sent_on("destination", asked, preserve_host=False) == f"{UPSTREAM}/app/b"


def test_the_resources_of_an_if_header_are_mapped_and_its_tokens_are_not() -> None:
    token = '(<urn:uuid:181d4fae> ["etag"])'
    said = f"<https://app.example.com/app/b> {token} <https://elsewhere.example/x> {token}"
    expected = f"<http://app.example.com/b> {token} <https://elsewhere.example/x> {token}"
    assert sent_on("If", said, path="/app", strip_path=True) == expected


@pytest.mark.parametrize(
    "values", [[b"/a", b"/b"], [b"/a/../b"], [b"/a%2e%2e/b\x00"], [b"/a?b"], [b"https://app.example.com/%5c"]]
)
def test_a_destination_that_could_be_read_in_two_ways_is_refused(values: list[bytes]) -> None:
    with pytest.raises(RequestRefused):
        destination_of([(b"Destination", value) for value in values], HERE)
