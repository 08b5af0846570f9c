"""Routes without an app: where a redirect leads, what a fixed answer says, and what can't be meant."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.loader import read_text
from gateway.config.schema import Route
from gateway.errors import ConfigError, RequestRefused
from gateway.forwardauth.engine_pass import is_settled
from gateway.request.target import make_target
from gateway.server.fixed_answers import location
from tests.unit.config.test_rules import target as sample


def led(to: str, uri: str, path: str = "/old", **more: Any) -> str:
    route = Route.model_validate({"path": path, "redirect": {"to": to, **more}})
    assert route.redirect is not None
    return location(route, route.redirect, make_target("https", "app.test", "GET", uri, sample().client))


@pytest.mark.parametrize(
    ("to", "uri", "keep", "expected"),
    [
        ("https://wiki.test", "/old/a?b=c", False, "https://wiki.test"),
        ("https://wiki.test", "/old/a?b=c", True, "https://wiki.test/a?b=c"),
        ("https://wiki.test/w/", "/old/a", True, "https://wiki.test/w/a"),
        ("https://wiki.test/w", "/old", True, "https://wiki.test/w"),
        ("/new?x=1#y", "/old/a", False, "https://app.test/new?x=1#y"),
        ("/", "/old//evil.test/", True, "https://app.test//evil.test/"),
        ("https://wiki.test", "/old;@evil.test", True, "https://wiki.test/;@evil.test"),
        ("https://wiki.test", "/old/%C3%A4?q=\udce4é", True, "https://wiki.test/%C3%A4?q=%E4%C3%A9"),
    ],
)
def test_a_redirect_leads_to_the_host_that_it_names(to: str, uri: str, keep: bool, expected: str) -> None:
    assert led(to, uri, keep_path=keep) == expected


@given(st.text(alphabet="/\\;:@?#.%2fe\udcff evil", max_size=16))
def test_no_path_changes_the_host(rest: str) -> None:
    for to, host in (("https://wiki.test", "wiki.test"), ("/", "app.test"), ("/new", "app.test")):
        try:
            where = led(to, "/old" + rest, keep_path=True)
        except RequestRefused:
            continue
        assert (urlsplit(where).scheme, urlsplit(where).netloc) == ("https", host)
        assert where.isascii()
        assert not any(character <= " " for character in where)


@pytest.mark.parametrize(
    ("route", "problem"),
    [
        ("{host: a.test}", "routes[0].upstream: is missing"),
        (
            "{upstream: 'http://127.0.0.1:1', redirect: {to: /x}}",
            "routes[0].redirect: is given beside `upstream`",
        ),
        ("{redirect: {to: 'https://a.test'}, respond: {}}", "routes[0].respond: is given beside `redirect`"),
        ("{respond: {}, strip_path: true}", "routes[0].strip_path: has no effect: `respond` asks no app"),
        ("{redirect: {to: '//evil.test'}}", "is not where browsers can be sent"),
        ("{redirect: {to: '/\\evil.test'}}", "is not where browsers can be sent"),
        ("{redirect: {to: 'ftp://a.test'}}", "is not where browsers can be sent"),
        ("{redirect: {to: 'https://u:p@a.test'}}", "is not where browsers can be sent"),
        ("{redirect: {to: a.test}}", "is not where browsers can be sent"),
        ('{redirect: {to: "https://a.test/\\r\\nX: y"}}', "is not where browsers can be sent"),
        ("{redirect: {to: 'https://a.test?x', keep_path: true}}", "behind which no path can be"),
        ("{path: /a, redirect: {to: /a/b}}", "leads to this route again: a loop"),
        ("{host: a.test, redirect: {to: 'https://a.test/x'}}", "leads to this route again: a loop"),
        ("{redirect: {to: 'https://a.test', status: 305}}", "routes[0].redirect.status"),
        ("{respond: {status: 302}}", "use `redirect`"),
        ("{respond: {status: 204, body: x}}", "has no place in a 204"),
        ("{respond: {status: 99}}", "routes[0].respond.status"),
        ('{respond: {content_type: "text/plain\\r\\nX: y"}}', "is not a media type"),
    ],
)
def test_what_can_not_be_meant_is_a_mistake(route: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_text(f"routes:\n  - {route}\n", "config.yaml", {})
    assert problem in str(caught.value)
    assert "config.yaml:2" in str(caught.value)


def test_haproxy_leaves_them_to_the_gateway() -> None:
    route = {"policy": {"require": "one_factor"}, "respond": {}}
    assert not is_settled(Route.model_validate(route))
