"""Twin of gateway/proxy/request_headers.py: what an upstream is told, and what it can't be told by a client."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.schema import Headers
from gateway.config.sections.header_presets import IDENTITY, PRESETS
from gateway.errors import RequestRefused
from gateway.proxy.client_headers import HOP_BY_HOP, Pairs
from gateway.proxy.request_headers import Peer, canonical, request_target
from tests.header_rig import prepared, rules, values
from tests.proxy_rig import make_target, principal


@st.composite
def respelled(draw: st.DrawFn, names: tuple[str, ...]) -> bytes:
    """A header name in any case, with dashes turned into what CGI would turn back into the same thing."""
    name = draw(st.sampled_from(names))
    letters = [draw(st.sampled_from((c.lower(), c.upper()))) if c.isalpha() else c for c in name]
    return "".join(draw(st.sampled_from("-_.")) if c == "-" else c for c in letters).encode()


VALUES = st.binary(max_size=20).filter(lambda v: not set(v) & {0, 10, 13})
NOISE = st.tuples(st.from_regex(rb"X-[A-Za-z]{1,8}", fullmatch=True), VALUES)
RENAMED = {"Remote-User": "X-WebAuth-User"}


@given(
    st.lists(st.one_of(NOISE, st.tuples(respelled((*IDENTITY, *RENAMED.values())), VALUES))), st.booleans()
)
def test_no_identity_header_survives_in_any_spelling(received: Pairs, trusted: bool) -> None:
    compiled = rules(headers=Headers(rename=RENAMED))
    out = prepared(*received, compiled=compiled, peer=Peer("10.0.0.1", trusted=trusted))
    ours = {canonical(name) for name in (*IDENTITY, *RENAMED.values())}
    assert not [name for name, _ in out if canonical(name) in ours]


@given(st.lists(st.tuples(respelled(IDENTITY), VALUES)))
def test_the_user_has_exactly_one_value_whatever_the_client_sent(received: Pairs) -> None:
    out = prepared(*received, who=principal())
    assert [value for name, value in out if canonical(name) == "remote-user"] == [b"alice"]


@given(
    st.lists(st.one_of(NOISE, st.tuples(respelled(tuple(HOP_BY_HOP)), VALUES))), st.lists(st.integers(0, 20))
)
def test_no_hop_by_hop_header_passes_nor_what_connection_names(received: Pairs, named: list[int]) -> None:
    options = [received[i][0] for i in named if i < len(received)]
    out = prepared(*received, (b"Connection", b" , ".join(options)))
    gone = HOP_BY_HOP | {canonical(option) for option in options}
    allowed = {canonical(name) for name, _ in prepared()}
    assert {canonical(name) for name, _ in out} & (gone - allowed) == set()


COOKIE_NAMES = st.one_of(
    st.sampled_from(["auth_session", "__Host-auth_session", "AUTH_SESSION"]),
    st.from_regex(r"[a-z]{1,6}", fullmatch=True),
)
CRUMBS = st.lists(st.tuples(COOKIE_NAMES, st.from_regex(r"[!-:<-~]{0,12}", fullmatch=True)))


@given(CRUMBS, st.sampled_from(["; ", ";", " ;  "]))
def test_our_cookie_never_passes_and_others_keep_order_and_value(
    crumbs: list[tuple[str, str]], glue: str
) -> None:
    header = glue.join(f"{name}={value}" for name, value in crumbs).encode()
    (sent,) = values(prepared((b"Cookie", header)), "Cookie") or [b""]
    pieces = [piece.strip() for piece in sent.decode().split(";") if piece.strip()]
    assert pieces == [f"{n}={v}" for n, v in crumbs if "auth_session" not in n.lower()]


@pytest.mark.parametrize(
    "value", [b'a="1;2" ;b=\xe9;;c', b"a=1; b=2; ", b"auth_sessions=1", b"x=auth_session=1"]
)
def test_cookies_without_ours_are_untouched_byte_for_byte(value: bytes) -> None:
    assert values(prepared((b"Cookie", value)), "Cookie") == [value]


def test_a_cookie_header_with_only_our_cookie_disappears() -> None:
    assert values(prepared((b"Cookie", b"auth_session=secret")), "Cookie") == []


def test_duplicates_keep_their_order_and_bytes() -> None:
    sent = [(b"X-A", b"1"), (b"x-b", b"\xe9\xff"), (b"X-A", b""), (b"Accept-Encoding", b"br")]
    assert prepared(*sent)[:4] == sent


def test_without_a_user_no_identity_header_is_sent() -> None:
    assert not {canonical(n) for n, _ in prepared(assertion="x")} & {canonical(n) for n in IDENTITY}


def test_identity_comes_from_the_principal_and_the_assertion() -> None:
    out = dict(prepared(who=principal(), assertion="j.w.t"))
    assert out[b"Remote-Name"] == "Alice Ähren".encode()
    assert out[b"Remote-Groups"] == out[b"X-Forwarded-Groups"] == b"staff,ops"
    assert out[b"X-Auth-Assertion"] == b"j.w.t"


def test_facts_from_a_directory_cannot_end_a_header_line_or_add_a_group() -> None:
    out = dict(prepared(who=principal(name="A\r\nX-Admin: 1", groups=("a,admin", "b"))))
    assert out[b"Remote-Name"] == b"A  X-Admin: 1"
    assert out[b"Remote-Groups"] == b"a%2Cadmin,b"


def test_each_preset_tells_who_it_is_in_the_dialect_of_its_gateway() -> None:
    who = principal(name="Alice Ähren", email="a@x.test", groups=("staff", "ops"))
    expected = {
        "x-auth-request": {"X-Auth-Request-User": "alice", "X-Auth-Request-Groups": "staff,ops"},
        "authentik": {
            "X-authentik-groups": "staff|ops",
            "X-authentik-name": "Alice Ähren",
            "X-authentik-jwt": "j",
        },
        "goog-iap": {
            "X-Goog-Authenticated-User-Email": "accounts.google.com:a@x.test",
            "X-Goog-IAP-JWT-Assertion": "j",
        },
        "cf-access": {"Cf-Access-Authenticated-User-Email": "a@x.test", "Cf-Access-Jwt-Assertion": "j"},
    }
    for preset, told in expected.items():
        out = dict(prepared(who=who, assertion="j", compiled=rules(headers=Headers(preset=(preset,)))))
        assert {name: out[name.encode()].decode() for name in told} == told
        sent = {name.decode() for name in out} & set(IDENTITY)
        assert sent == {*PRESETS[preset], "X-Auth-Assertion"}


@pytest.mark.parametrize(
    "name",
    [
        "X-Auth-Request-Access-Token",
        "X-authentik-meta-jwks",
        "X-authentik-entitlements",
        "Cf-Access-Jwt-Assertion",
        "X-Goog-IAP-JWT-Assertion",
        "X-Vouch-User",
        "X-Pomerium-Jwt-Assertion",
    ],
)
def test_names_of_every_dialect_are_taken_from_clients_whatever_the_route_speaks(name: str) -> None:
    for spelling in (name, name.upper(), name.replace("-", "_"), name.replace("-", "_", 1).lower()):
        assert not [value for _, value in prepared((spelling.encode(), b"mallory")) if value == b"mallory"]


def test_no_fact_about_the_user_is_told_by_a_prefix_alone() -> None:
    compiled = rules(headers=Headers(preset=("goog-iap",)))
    out = dict(prepared(who=principal(email=""), compiled=compiled))
    assert b"X-Goog-Authenticated-User-Email" not in out


def test_a_group_can_not_pass_for_two_behind_either_sign() -> None:
    who = principal(groups=("a|admins", "b,root"))
    out = dict(prepared(who=who, compiled=rules(headers=Headers(preset=("authentik", "remote-user")))))
    assert out[b"X-authentik-groups"] == b"a%7Cadmins|b,root"
    assert out[b"Remote-Groups"] == b"a|admins,b%2Croot"


def test_no_two_groups_are_written_alike() -> None:
    groups = ("a,b", "a%2Cb", "a%252Cb", "50%", "a|b")
    out = dict(prepared(who=principal(groups=groups)))
    assert out[b"Remote-Groups"] == b"a%2Cb,a%252Cb,a%25252Cb,50%,a|b"


def test_a_route_renames_adds_and_drops() -> None:
    headers = Headers(
        rename={"remote-user": "X-User"}, add={"X-Tenant": "one"}, drop=("Remote-Email", "X-Debug")
    )
    out = prepared(
        (b"X-Debug", b"1"), (b"x_tenant", b"two"), who=principal(), compiled=rules(headers=headers)
    )
    assert values(out, "X-User") == [b"alice"]
    assert [v for n, v in out if canonical(n) == "x-tenant"] == [b"one"]
    assert not values(out, "Remote-User") + values(out, "Remote-Email") + values(out, "X-Debug")


def test_an_ipv6_client_is_quoted_in_forwarded() -> None:
    out = prepared(peer=Peer(None, trusted=False), client=ip_address("2001:db8::1"))
    assert values(out, "Forwarded") == [b'for="[2001:db8::1]";host="app.example.com";proto=http']


def test_strip_path_takes_whole_segments_off_and_tells_the_app() -> None:
    compiled = rules(path="/app", strip_path=True)
    assert request_target(make_target("/app/x", "q=1"), "", compiled.prefix) == b"/x?q=1"
    assert request_target(make_target("/app"), "/base", compiled.prefix) == b"/base/"
    assert values(prepared(compiled=compiled), "X-Forwarded-Prefix") == [b"/app"]


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/a\x00"])
def test_a_target_that_would_break_the_request_line_is_refused(path: str) -> None:
    with pytest.raises(RequestRefused):
        request_target(make_target(path), "", "")
