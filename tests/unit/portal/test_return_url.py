"""Where people may be sent after signing in (security rule 5)."""

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.schema import Route
from gateway.model import Target
from gateway.policy.decide import Routes
from gateway.portal.return_url import href, read_return

HERE = Target("https", "app.test", None, "POST", "/_auth/login", "", ip_address("192.0.2.1"))
ROUTES = Routes(
    [
        Route(host="app.test", upstream="http://127.0.0.1:1"),
        Route(host="*.wiki.test", upstream="http://127.0.0.1:1"),
        Route(host="*", upstream="http://127.0.0.1:1"),
    ]
)
HOSTILE = (
    (Path(__file__).parents[2] / "data" / "hostile_return_urls.txt").read_text(encoding="utf-8").splitlines()
)


def landing(rd: str) -> str:
    return href(read_return(rd, HERE, ROUTES, "/_auth"), HERE)


@pytest.mark.parametrize("rd", HOSTILE)
def test_hostile_return_urls_fall_back_to_the_root(rd: str) -> None:
    assert landing(rd) == "/"


@pytest.mark.parametrize(
    ("rd", "expected"),
    [
        ("/", "/"),
        ("/dash?x=1&y=%2F", "/dash?x=1&y=%2F"),
        ("/a?b#part", "/a?b#part"),
        ("https://en.wiki.test/p#a?b/c", "https://en.wiki.test/p#a?b/c"),
        ("/_auth/login#part", "/"),
        ("https://evil.test/#part", "/"),
        ("https://app.test/x", "/x"),
        ("https://en.wiki.test/page?q", "https://en.wiki.test/page?q"),
        ("https://en.wiki.test", "https://en.wiki.test/"),
        ("http://en.wiki.test:8080/p", "http://en.wiki.test:8080/p"),
        ("", "/"),
    ],
)
def test_our_own_addresses_are_kept(rd: str, expected: str) -> None:
    assert landing(rd) == expected


@given(st.text(max_size=60) | st.from_regex(r"(https?:)?[/\\]{0,4}[a-z.@:%\\/]{0,30}", fullmatch=True))
def test_no_text_leads_to_a_foreign_host(rd: str) -> None:
    where = landing(rd)
    assert not where.startswith(("//", "/\\"))
    if not where.startswith("/"):
        host = urlsplit(where).hostname or ""
        assert host == "app.test" or host.endswith(".wiki.test")
    assert "\r" not in where
    assert "\n" not in where


BELOW = Routes(
    [
        Route(host="app.test", path="/sso/wiki", upstream="http://127.0.0.1:1"),
        Route(host="app.test", path="/grafana", upstream="http://127.0.0.1:1"),
        Route(host="other.test", upstream="http://127.0.0.1:1"),
    ],
    portal="app.test",
    base="/sso",
)


@pytest.mark.parametrize(
    ("rd", "expected"),
    [
        *((rd, "/sso/") for rd in HOSTILE),
        ("/", "/sso/"),
        ("/beside", "/sso/"),
        ("/ssox", "/sso/"),
        ("https://app.test/beside", "/sso/"),
        ("/sso/../beside", "/sso/"),
        ("/sso", "/sso"),
        ("/sso/wiki?a=b", "/sso/wiki?a=b"),
        ("/grafana/d", "/grafana/d"),  # the proxy of that host asks us about it
        ("https://other.test/x", "https://other.test/x"),
        ("/sso/auth/account", "/sso/auth/account"),
        ("/sso/auth/login", "/sso/"),
    ],
)
def test_below_a_path_of_a_host_nothing_beside_it_is_ours(rd: str, expected: str) -> None:
    assert href(read_return(rd, HERE, BELOW, "/sso/auth"), HERE) == expected


@pytest.mark.parametrize("path", ["//evil.test", "//evil.test/x", "///evil.test", "//"])
def test_a_path_with_two_slashes_in_front_stays_on_its_host(path: str) -> None:
    """An app may have such a path (`allow_in_path: [double_slash]`); alone in Location it would be another host."""
    where = href(replace(HERE, method="GET", path=path), HERE)
    assert where == f"https://app.test{path}"
