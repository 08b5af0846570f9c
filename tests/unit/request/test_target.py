"""Reading the target of a request: one canonical path, an honest client address, and no trust by default."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.errors import RequestRefused
from gateway.model import Target
from gateway.request.target import (
    canonical_path,
    check_spelling,
    parse_authority,
    read_target,
    split_request_target,
)

PROXY = ip_network("10.0.0.0/8")


def read(raw: str = "/", peer: str = "192.0.2.9", method: str = "GET", **headers: str | list[str]) -> Target:
    fields = CIMultiDict[str]()
    for name, values in {"Host": "app.test", **headers}.items():
        for value in [values] if isinstance(values, str) else values:
            fields.add(name.replace("_", "-"), value)
    return read_target(
        method, raw, CIMultiDictProxy(fields), secure=False, peer=ip_address(peer), trusted=[PROXY]
    )


@pytest.mark.parametrize(
    "path",
    [
        "/..",
        "/a/../b",
        "/./a",
        "/%2e%2e/b",
        "/%2E./b",
        "/a%2f..%2fb",
        "/a/..;x/b",
        "/a\\b",
        "/a%5cb",
        "/%00",
        "/a%0d%0ab",
        "/%",
        "/%g1",
        "/%2",
        "/a b",
        "/\x01",
        "/ä",
        "",
        "a",
        "/%7f",
    ],
)
def test_paths_that_apps_read_differently_are_refused(path: str) -> None:
    with pytest.raises(RequestRefused):
        canonical_path(path)


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("/a%41", "/aA"),
        ("/%7Euser", "/~user"),
        ("/%c3%a4", "/%C3%A4"),
        ("/a%2fb", "/a%2Fb"),
        ("/x%20y", "/x%20y"),
    ],
)
def test_a_path_has_one_spelling(raw: str, canonical: str) -> None:
    assert canonical_path(raw) == canonical


@given(st.text(st.sampled_from("/.%2fFeE5cC;ab01\\\x00?# "), max_size=30))
def test_a_canonical_path_is_stable_and_free_of_tricks(raw: str) -> None:
    try:
        path = canonical_path("/" + raw)
    except RequestRefused:
        return
    assert canonical_path(path) == path
    assert "\\" not in path
    assert ".." not in path.replace("%2F", "/").split("/")
    assert "." not in path.replace("%2F", "/").split("/")


@pytest.mark.parametrize(
    ("path", "name"),
    [("/a%2Fb", "encoded_slash"), ("/a;b", "semicolon"), ("/a%3Bb", "semicolon"), ("//a", "double_slash")],
)
def test_unusual_spellings_pass_only_where_a_route_allows_them(path: str, name: str) -> None:
    with pytest.raises(RequestRefused):
        check_spelling(path, ())
    check_spelling(path, (name,))


def test_forwarded_headers_of_strangers_are_ignored() -> None:
    target = read(X_Forwarded_For="1.1.1.1", X_Forwarded_Proto="https", X_Forwarded_Host="evil.test")
    assert (target.scheme, target.host, str(target.client)) == ("http", "app.test", "192.0.2.9")


def test_forwarded_headers_of_a_trusted_proxy_count() -> None:
    target = read(
        peer="10.1.1.1",
        X_Forwarded_For="6.6.6.6, 1.1.1.1, 10.2.2.2",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="wiki.test",
    )
    assert (target.scheme, target.host, str(target.client)) == ("https", "wiki.test", "1.1.1.1")


@pytest.mark.parametrize(
    "host", ["", "a b", "a/b", "a@b", "a:b", "a:70000", "[::1", "[zz]", "a\r\nb", "a:0", "a,b"]
)
def test_bad_hosts_are_refused(host: str) -> None:
    with pytest.raises(RequestRefused):
        parse_authority(host)


def test_hosts_are_lower_case_without_trailing_dot() -> None:
    assert parse_authority("App.Test.:8080") == ("app.test", 8080)
    assert parse_authority("[::1]:80") == ("::1", 80)


def test_two_hosts_are_refused() -> None:
    with pytest.raises(RequestRefused):
        read(Host=["a.test", "b.test"])


def test_absolute_form_names_the_host_itself() -> None:
    assert read("http://other.test/x?y").host == "other.test"
    assert split_request_target("http://other.test/x?y=1?2") == ("/x", "y=1?2")
    assert split_request_target("http://other.test") == ("/", "")


def test_the_query_of_an_absolute_form_without_path_is_no_path() -> None:
    assert split_request_target("http://other.test?at=/admin") == ("/", "at=/admin")
    assert split_request_target("http://other.test?a") == ("/", "a")
    assert read("http://other.test?at=/admin").path == "/"


@pytest.mark.parametrize("raw", ["/a#b", "ftp://x/y", "nonsense", "/a?b c", "/a?\x00"])
def test_bad_request_targets_are_refused(raw: str) -> None:
    with pytest.raises(RequestRefused):
        split_request_target(raw)
