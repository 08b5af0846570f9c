"""What Envoy says of the hop before it: read once, believed for nothing else, never the client's."""

from ipaddress import ip_address, ip_network

import pytest

from gateway.request.framing import Malformed
from gateway.request.hop import Hop, read_hop

LOCAL = (ip_network("10.0.0.0/8"),)


def head(*lines: str, start: str = "GET / HTTP/1.1") -> bytes:
    return "\r\n".join((start, "host: app.test", *lines, "", "")).encode()


def hop(
    scheme: str = "http",
    protocol: str = "HTTP/1.1",
    direct: str = "9.9.9.9",
    remote: str = "",
    proto: str = "",
    framing: str = ",",
) -> str:
    return f"x-gateway-hop: {scheme} {protocol} {direct} {remote or direct} len={framing} {proto}"


def test_the_client_is_who_connected_to_envoy_and_the_head_is_as_it_was_sent() -> None:
    sent = head("x-forwarded-for: 1.2.3.4", "accept: */*")
    came = head("x-forwarded-for: 1.2.3.4", "accept: */*", hop("https"), "x-forwarded-proto: https")
    assert read_hop(came, ()) == (sent, Hop(ip_address("9.9.9.9"), secure=True))


def test_what_a_proxy_says_of_the_scheme_is_what_it_said_before_envoy_wrote_its_own() -> None:
    found, _ = read_hop(head("x-forwarded-proto: http", hop(proto="https, http")), ())
    assert found == head("x-forwarded-proto: https, http")


def test_a_certificate_is_what_envoy_says_of_one_and_never_part_of_the_head() -> None:
    shown = "x-gateway-certificate: 3 -----BEGIN%20CERTIFICATE-----%0AMII"
    found, said = read_hop(head("accept: */*", hop("https"), shown), ())
    assert (found, said.authorities) == (head("accept: */*"), 3)
    assert said.certificate == "-----BEGIN%20CERTIFICATE-----%0AMII"
    for none in ((), ("x-gateway-certificate: 3 ",)):
        found, said = read_hop(head("accept: */*", hop("https"), *none), ())
        assert (found, said.certificate) == (head("accept: */*"), "")
    for odd in ((shown, shown), ("x-gateway-certificate: MII",)):
        with pytest.raises(Malformed):
            read_hop(head(hop("https"), *odd), ())


def test_an_ipv6_client_and_a_client_on_a_unix_socket_are_known() -> None:
    assert read_hop(head(hop(direct="2001:db8::1")), ())[1].peer == ip_address("2001:db8::1")
    assert read_hop(head(hop(direct="unix")), ())[1].peer is None


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (hop(), hop(direct="10.0.0.1")),
        ("x-gateway-hop: http HTTP/1.1",),
        (hop(direct="nobody"),),
        (hop(scheme="gopher"),),
    ],
    ids=["none", "two", "short", "no address", "another scheme"],
)
def test_a_hop_that_cannot_be_read_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(Malformed) as caught:
        read_hop(head(*lines), ())
    assert caught.value.status == 400


def test_a_proxy_protocol_header_counts_from_the_named_networks_alone() -> None:
    announced = hop(direct="10.1.1.1", remote="7.7.7.7")
    assert read_hop(head(announced), LOCAL)[1].peer == ip_address("7.7.7.7")
    for forged, networks in ((hop(direct="8.8.8.8", remote="7.7.7.7"), LOCAL), (announced, ())):
        with pytest.raises(Malformed, match="PROXY protocol"):
            read_hop(head(forged), networks)


def test_a_websocket_over_http2_gets_the_key_that_http_1_1_wants() -> None:
    lines = ("upgrade: websocket", "connection: upgrade")
    found, _ = read_hop(head(*lines, hop(protocol="HTTP/2")), ())
    assert b"\r\nsec-websocket-key: " in found
    unchanged, _ = read_hop(head(*lines, hop()), ())
    assert b"sec-websocket-key" not in unchanged


def test_a_question_is_known_and_has_no_framing_of_its_own() -> None:
    asked = head(
        "x-gateway-asks: 1", hop(framing="7,"), "content-length: 0", "accept: */*", start="POST / HTTP/1.1"
    )
    found, told = read_hop(asked, ())
    assert found == head("accept: */*", start="POST / HTTP/1.1")
    assert (told.asks, told.framed) == ("1", True)
    assert not read_hop(head(hop()), ())[1].asks
    for framing, framed in ((",", False), ("0,", True), (",chunked", True)):
        assert read_hop(head(hop(framing=framing)), ())[1].framed is framed
