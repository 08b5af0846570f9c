"""Who the client is, in every form in which proxies write it: one reading, or a refusal; never the proxy instead."""

import contextlib
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.errors import RequestRefused
from gateway.request.forwarded import Forwarded, address_of, is_trusted, peer_address, read_forwarded
from gateway.request.target import read_target

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def headers(**fields: str | list[str]) -> CIMultiDictProxy[str]:
    made = CIMultiDict[str]()
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            made.add(name.replace("_", "-"), value)
    return CIMultiDictProxy(made)


def read(peer: str | None = "10.0.0.1", *, rfc7239: bool = False, **fields: str | list[str]) -> Forwarded:
    return read_forwarded(headers(**fields), ip_address(peer) if peer else None, TRUSTED, rfc7239=rfc7239)


SPELLINGS = {
    "203.0.113.9": "203.0.113.9",
    "203.0.113.9:51234": "203.0.113.9",  # Azure Application Gateway, IIS
    "2001:db8::9": "2001:db8::9",
    "[2001:db8::9]": "2001:db8::9",
    "[2001:DB8::9]:443": "2001:db8::9",  # Caddy's {remote}
    "fe80::1%eth0": "fe80::1",
    "[fe80::1%25eth0]:80": "fe80::1",
    "[fe80::1%eth0]:80": "fe80::1",
    "::ffff:203.0.113.9": "203.0.113.9",
    "[::ffff:203.0.113.9]:99": "203.0.113.9",
    "203.0.113.9:_hidden": "203.0.113.9",
    "unknown": None,
    "_hidden": None,
    "-": None,
    "nonsense": None,
    "203.0.113": None,
    "203.0.113.9.1": None,
    "203.0.113.09": None,
    "203.0.113.9:123456": None,
    "203.0.113.9:": None,
    "[203.0.113.9]": None,
    "[2001:db8::9": None,
    "2001:db8::9]": None,
    "[2001:db8::9]443": None,
    "1:2:3:4:5:6:7:8:443": None,
    "203.0.113.9 evil": None,
    "203.0.113.9\t1": None,
    '"203.0.113.9"': None,
    "٢٠٣.0.113.9": None,
    "0xcb007109": None,
    "3405803785": None,
    ":443": None,
    "::": "::",
}


@pytest.mark.parametrize(("written", "address"), SPELLINGS.items())
def test_a_client_is_read_in_one_way_or_refused(written: str, address: str | None) -> None:
    if address is None:
        with pytest.raises(RequestRefused) as refused:
            read(X_Forwarded_For=f"6.6.6.6, {written}")
        assert "X-Forwarded-For" in refused.value.detail
    else:
        assert str(read(X_Forwarded_For=f"6.6.6.6, {written}").client) == address


@pytest.mark.parametrize("lines", [[], [""], [" , ,"], ["6.6.6.6", ""], ["6.6.6.6,", " ,"]])
def test_an_empty_list_names_nobody_and_empty_elements_do_not_count(lines: list[str]) -> None:
    expected = "6.6.6.6" if any("6.6.6.6" in line for line in lines) else "10.0.0.1"
    assert str(read(X_Forwarded_For=lines).client) == expected


def test_what_stands_left_of_the_client_is_not_even_read() -> None:
    assert str(read(X_Forwarded_For=["nonsense", "7.7.7.7, 10.0.0.2"]).client) == "7.7.7.7"
    assert str(read(X_Forwarded_For="10.9.9.9, 7.7.7.7, 10.0.0.2, fd00::2").client) == "7.7.7.7"


def test_where_all_are_trusted_the_first_of_them_asks() -> None:
    assert str(read(X_Forwarded_For="10.0.0.9, 10.0.0.2").client) == "10.0.0.9"
    assert str(read("::ffff:10.0.0.1", X_Forwarded_For="6.6.6.6").client) == "6.6.6.6"
    assert str(read(None, X_Forwarded_For="6.6.6.6").client) == "6.6.6.6"
    assert str(read(None).client) == "0.0.0.0"


def test_nothing_that_strangers_say_is_read() -> None:
    said = read(
        "192.0.2.1",
        X_Forwarded_For="x",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="a",
        X_Forwarded_Port="1",
    )
    assert said == Forwarded(ip_address("192.0.2.1"))
    assert read("192.0.2.1", rfc7239=True, Forwarded='for="') == Forwarded(ip_address("192.0.2.1"))


@pytest.mark.parametrize(
    ("chain", "proto", "expected"),
    [
        ("6.6.6.6", "https", "https"),
        ("6.6.6.6", "http, https", "https"),  # one trusted proxy: what is before it, its client said
        ("6.6.6.6, 10.0.0.2", "https, http", "https"),  # Apache behind a load balancer
        ("6.6.6.6, 10.0.0.2", "http, https, http", "https"),
        ("6.6.6.6, 10.0.0.2, 10.0.0.3", "https", "https"),
        ("6.6.6.6, 10.0.0.2", ["https", "http"], "https"),
        ("6.6.6.6", "", ""),
    ],
)
def test_lists_are_read_where_the_proxy_nearest_to_the_client_wrote(
    chain: str, proto: str | list[str], expected: str
) -> None:
    assert read(X_Forwarded_For=chain, X_Forwarded_Proto=proto).scheme == expected


def test_hosts_of_a_chain_are_read_likewise() -> None:
    said = read(X_Forwarded_For="6.6.6.6, 10.0.0.2", X_Forwarded_Host="evil.test, app.test, inner.test")
    assert said.authority == "app.test"


@pytest.mark.parametrize(
    ("host", "scheme", "port", "origin"),
    [
        ("app.test", "https", "8443", "https://app.test:8443"),
        ("app.test", "https", "443", "https://app.test"),
        ("app.test", "https", "80", "https://app.test"),  # the port between two proxies
        ("app.test:9443", "https", "8443", "https://app.test:9443"),
        ("[2001:db8::1]", "http", "8080", "http://[2001:db8::1]:8080"),
        ("app.test", "http", "8080, 8080", "http://app.test:8080"),
    ],
)
def test_the_port_that_a_trusted_proxy_names_counts(host: str, scheme: str, port: str, origin: str) -> None:
    for fields in ({"Host": host}, {"Host": "inner.test", "X_Forwarded_Host": host}):
        given = headers(**fields, X_Forwarded_Proto=scheme, X_Forwarded_Port=port)
        for peer, believed in (("10.0.0.1", True), ("192.0.2.1", False)):
            target = read_target("GET", "/", given, secure=False, peer=ip_address(peer), trusted=TRUSTED)
            assert (f"{target.scheme}://{target.authority}" == origin) == believed


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "8443;", "٨", "1e3"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(RequestRefused, match="X-Forwarded-Port"):
        read(X_Forwarded_Port=port)


ELEMENTS = {
    "for=203.0.113.9": ("203.0.113.9", "", ""),
    'For="[2001:db8::9]:4711";Proto=https;Host="app.test:8443";by=10.0.0.1': (
        "2001:db8::9",
        "https",
        "app.test:8443",
    ),
    "for=6.6.6.6;proto=http, for=7.7.7.7;proto=https;host=app.test, for=10.0.0.2;proto=http;host=inner": (
        "7.7.7.7",
        "https",
        "app.test",
    ),
    'for="203.0.113.9:_port" ; proto=https': ("203.0.113.9", "https", ""),
    "for=[2001:db8::9]:80": ("2001:db8::9", "", ""),
    'for="\\203.0.113.9"': ("203.0.113.9", "", ""),
}


@pytest.mark.parametrize(("line", "said"), ELEMENTS.items())
def test_forwarded_is_read_where_it_is_what_the_proxies_write(line: str, said: tuple[str, str, str]) -> None:
    found = read(rfc7239=True, Forwarded=line, X_Forwarded_For="9.9.9.9", X_Forwarded_Proto="http")
    assert (str(found.client), found.scheme, found.authority) == said


BROKEN = [
    "for=unknown",
    "for=_secret",
    "proto=https",
    'for="x',
    'for="x, for=6.6.6.6',
    'for="x, for="[2001:db8::1]"',
    "for=1.1.1.1;for=2.2.2.2",
    "for",
    "for=",
    "=1.1.1.1",
    "for=1.1.1.1 2.2.2.2",
    "for=1.1.1.1;;proto=http",
    'for="1.1.1.1"x',
]


@pytest.mark.parametrize("line", BROKEN)
def test_forwarded_that_can_be_read_in_two_ways_is_refused(line: str) -> None:
    with pytest.raises(RequestRefused, match="Forwarded"):
        read(rfc7239=True, Forwarded=line)


def test_only_one_dialect_is_read() -> None:
    """A proxy that writes one of them passes the other on, as its client sent it."""
    assert str(read(X_Forwarded_For="7.7.7.7", Forwarded="for=10.0.0.9").client) == "7.7.7.7"
    assert str(read(rfc7239=True, Forwarded="for=7.7.7.7", X_Forwarded_For="10.0.0.9").client) == "7.7.7.7"


addresses = st.ip_addresses().filter(lambda one: not is_trusted(one, TRUSTED) and not one.is_unspecified)
proxies = st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fd00::/8")
ports = st.integers(1, 65535)


@st.composite
def spelled(draw: st.DrawFn, address: st.SearchStrategy[object]) -> tuple[object, str]:
    one = draw(address)
    text = str(one)
    if ":" in text:
        shapes = [text, f"[{text}]", f"[{text}]:{draw(ports)}", f"[{text.upper()}]", f"{text}%eth0"]
    else:
        shapes = [text, f"{text}:{draw(ports)}", f"::ffff:{text}", f"[::ffff:{text}]:{draw(ports)}"]
    return getattr(one, "ipv4_mapped", None) or one, draw(st.sampled_from(shapes))


@st.composite
def chains(draw: st.DrawFn) -> tuple[object, list[str]]:
    """The client, and X-Forwarded-For as proxies one after another would have written it, over any number of lines."""
    hearsay = draw(
        st.lists(st.text(st.characters(codec="ascii", exclude_characters=","), max_size=12), max_size=3)
    )
    client, written = draw(spelled(addresses))
    chain = [*hearsay, written, *(text for _, text in draw(st.lists(spelled(proxies), max_size=3)))]
    lines = [chain[0]]
    for element in chain[1:]:
        if draw(st.booleans()):
            lines.append(element)
        else:
            lines[-1] += draw(st.sampled_from([",", ", ", " ,\t", ", ,"])) + element
    return client, lines


@given(chains())
def test_the_client_is_the_rightmost_that_is_no_proxy_however_it_is_written(
    chain: tuple[object, list[str]],
) -> None:
    client, lines = chain
    assert read(X_Forwarded_For=lines).client == client


@given(st.lists(st.text(max_size=30), max_size=4))
def test_the_proxy_is_taken_for_the_client_only_where_nobody_is_named(lines: list[str]) -> None:
    named = [part for line in lines for part in line.split(",") if part.strip(" \t")]
    with contextlib.suppress(RequestRefused):
        assert (str(read(X_Forwarded_For=lines).client) == "10.0.0.1") == (not named)
    with contextlib.suppress(RequestRefused):
        assert (str(read(rfc7239=True, Forwarded=lines).client) == "10.0.0.1") == (not "".join(lines))


@given(st.text(max_size=40))
def test_an_address_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(RequestRefused):
        assert address_of(text, "X") == ip_address(str(address_of(text, "X")))


def test_a_peer_is_what_the_socket_says() -> None:
    assert str(peer_address(("fe80::1%eth0", 1, 0, 2))) == "fe80::1"
    assert peer_address("") is None
