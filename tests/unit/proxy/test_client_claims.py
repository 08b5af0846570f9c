"""What a client says of itself: nothing passes that an app may take for the gateway's word or a proxy's."""

import pytest

from gateway.config.schema import Headers
from gateway.proxy.request_headers import Peer
from tests.header_rig import FRIEND, STRANGER, prepared, rules, values

FORGED = [
    (b"X-Forwarded-For", b"1.2.3.4"),
    (b"X_Forwarded_For", b"1.2.3.4"),
    (b"X-Forwarded-Proto", b"gopher"),
    (b"X-Forwarded-Server", b"evil"),
    (b"Forwarded", b"for=1.2.3.4"),
    (b"Via", b"1.0 evil"),
    (b"X-Real-IP", b"1.2.3.4"),
    (b"X-Original-URL", b"/admin"),
    (b"Proxy", b"http://evil"),
]


def test_a_strangers_word_about_addresses_is_not_passed_on() -> None:
    out = prepared(*FORGED)
    assert not [value for _, value in out if b"1.2.3.4" in value or b"evil" in value or b"/admin" in value]
    assert values(out, "X-Forwarded-For") == [b"203.0.113.9"]
    assert values(out, "X-Forwarded-Proto") == [b"http"]


@pytest.mark.parametrize(
    "name",
    [
        *("Client-IP", "client_ip", "X-Client-IP", "Proxy-Client-IP", "WL-Proxy-Client-IP", "Fly-Client-IP"),
        *("CF-Connecting-IPv6", "CF-Pseudo-IPv4", "X-AppEngine-User-IP", "X-Azure-ClientIP"),
        *("X-Envoy-External-Address", "True-Client-IP", "CF-Connecting-IP", "Forwarded-For"),
    ],
)
def test_no_header_in_which_apps_look_for_the_client_is_the_clients_own(name: str) -> None:
    """PHP's HTTP_CLIENT_IP, the lists of Rails, django-ipware, request-ip and Java web apps, clouds' own names."""
    assert b"1.2.3.4" not in [value for _, value in prepared((name.encode(), b"1.2.3.4"))]


def test_a_server_that_compresses_for_direct_clients_alone_compresses_for_ours() -> None:
    assert not values(prepared(), "Via")
    assert not values(prepared((b"Via", b"1.0 evil")), "Via")
    assert values(prepared(compiled=rules(headers=Headers(via=True))), "Via") == [b"1.1 auth-gateway"]


def test_a_trusted_proxys_word_is_kept_and_continued() -> None:
    out = prepared(*FORGED, peer=FRIEND, scheme="https")
    assert values(out, "X-Forwarded-For") == [b"1.2.3.4, 10.0.0.1"]
    assert values(out, "Forwarded") == [b'for=1.2.3.4, for=10.0.0.1;host="app.example.com";proto=https']
    assert values(out, "Via") == [b"1.0 evil, 1.1 auth-gateway"]
    assert values(out, "X-Forwarded-Proto") == [b"https"]
    assert values(out, "X-Forwarded-Port") == [b"443"]
    assert not values(out, "X_Forwarded_For") + values(out, "Proxy")


@pytest.mark.parametrize("peer", [STRANGER, FRIEND])
def test_of_what_a_trusted_proxy_says_only_what_we_rewrite_is_passed_on(peer: Peer) -> None:
    """A load balancer passes on what it does not know, so these are its client's."""
    names = (
        *(
            "X-Original-URL",
            "X-Rewrite-URL",
            "X_Rewrite.URL",
            "X-Real-IP",
            "True-Client-IP",
            "CF-Connecting-IP",
        ),
        *("X-Forwarded-Server", "X-Forwarded-Uri", "X-Forwarded-Client-Cert", "Proxy", "HTTP2-Settings"),
    )
    out = prepared(*((name.encode(), b"/admin") for name in names), peer=peer)
    assert not [name for name, value in out if value == b"/admin"]


def test_a_kept_address_comes_from_a_trusted_proxy_alone() -> None:
    compiled = rules(headers={"keep": ["X-Real-IP", "X-Webauth-Role"]})
    sent = ((b"X-Real-IP", b"1.2.3.4"), (b"X-WEBAUTH-ROLE", b"Viewer"), (b"X-WEBAUTH-USER", b"root"))
    assert [
        name for name, value in prepared(*sent, compiled=compiled, peer=FRIEND) if (name, value) in sent
    ] == [
        b"X-Real-IP",
        b"X-WEBAUTH-ROLE",
    ]
    out = prepared(*sent, compiled=compiled)
    assert not values(out, "X-Real-IP") + values(out, "X-WEBAUTH-USER")
    assert values(out, "X-WEBAUTH-ROLE") == [b"Viewer"]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "X-WEBAUTH-USER",
            "X_WebAuth.Anything",
            "X-Pomerium-Claim-Roles",
            "X-Token-User-Email",
            "X-Token-Foo",
        ),
        *("Auth-User", "auth_user", "X-Auth-Userid", "X-Auth-Email", "X-Auth-Roles", "X-Auth-Username"),
        *(
            "X-Remote-User",
            "X-Remote-Extra-Scopes",
            "OIDC_CLAIM_sub",
            "X-Vouch-IdP-Claims-Sub",
            "Remote.User",
        ),
    ],
)
def test_what_other_gateways_tell_apps_is_taken_from_clients(name: str) -> None:
    assert b"root" not in [value for _, value in prepared((name.encode(), b"root"))]


@pytest.mark.parametrize(
    "limit",
    [
        {"tokens": True},
        {"cors_preflight": True},
        {"policy": {"methods": ["GET"]}},
        {"rules": [{"methods": ["GET"]}, {"require": "deny"}]},
    ],
)
def test_where_a_method_decides_no_header_names_another(limit: dict[str, object]) -> None:
    sent = (
        (b"X-HTTP-Method-Override", b"DELETE"),
        (b"X_Http_Method", b"DELETE"),
        (b"X-Method-Override", b"DELETE"),
    )
    assert b"DELETE" not in [value for _, value in prepared(*sent, compiled=rules(**limit))]
    assert len([value for _, value in prepared(*sent) if value == b"DELETE"]) == 3


def test_a_name_of_no_gateway_passes() -> None:
    names = (
        "X-Auth-Token",
        "X-Token",
        "Authorization",
        "X-Remote",
        "X-Webauth",
        "X-Api-Key",
        "X-Oidc-Claim-X",
    )
    out = prepared(*((name.encode(), b"mine") for name in names))
    assert [name.decode() for name, value in out if value == b"mine"] == list(names)
