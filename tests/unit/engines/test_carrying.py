"""Which routes Envoy carries with `server.engine: envoy`, why not the others, and by which names."""

from typing import Any

import pytest

from gateway.config.schema import Config
from gateway.engines.carrying import carried, carrier_of
from gateway.server.carried import difference


def config(route: dict[str, Any] | None = None, **sections: Any) -> Config:
    one = {"host": "app.test", "upstream": "http://127.0.0.1:9000", **(route or {})}
    return Config.model_validate({"routes": [one], **sections})


@pytest.mark.parametrize(
    "route",
    [{}, {"upstream": "unix:/run/app.sock"}, {"preserve_host": False}],
)
def test_a_plain_route_is_carried_by_envoy(route: dict[str, Any]) -> None:
    made = config(route)
    assert carrier_of(made, made.routes[0]).name == "envoy"
    assert list(carried(made).values()) == [made.routes[0]]


@pytest.mark.parametrize(
    ("route", "why"),
    [
        ({"upstream": None, "respond": {"status": 204}}, "the gateway itself answers"),
        ({"upstream": ["http://127.0.0.1:1", "http://127.0.0.1:2"]}, "several upstreams"),
        ({"path": "/app", "strip_path": True}, "strip_path"),
        ({"upstream": "h2c://127.0.0.1:9000"}, "HTTP/2"),
        ({"upstream": "http://127.0.0.1:9000/base"}, "base path"),
        ({"upstream": "unix:/run/app.sock", "preserve_host": False}, "unix socket"),
        ({"rewrite": {"cookie_path": {"/a": "/b"}}}, "cookie_path"),
        ({"max_body": "1MiB"}, "max_body"),
        ({"health": {"path": "/"}}, "health"),
        ({"client_cert": True}, "client certificates"),
        ({"upstream_http": "lenient"}, "lenient"),
        ({"timeouts": {"response": "5s"}}, "timeouts.response"),  # short: read, not waited for
    ],
)
def test_what_envoy_would_not_do_as_we_do_goes_through_the_workers(route: dict[str, Any], why: str) -> None:
    made = config(route)
    carrier = carrier_of(made, made.routes[0])
    assert carrier.name == "workers"
    assert why in carrier.why
    assert carried(made) == {}


@pytest.mark.parametrize(
    "sections",
    [
        {"server": {"fast_path": False}},
        {"tracing": {"endpoint": "http://127.0.0.1:4318/v1/traces"}},
        {"server": {"proxy_headers": "forwarded"}},
    ],
)
def test_what_concerns_all_requests_sends_all_through_the_workers(sections: dict[str, Any]) -> None:
    made = config(**sections)
    assert carrier_of(made, made.routes[0]).name == "workers"


@pytest.mark.parametrize(
    "changed",
    [{"upstream": "http://127.0.0.1:9001"}, {"headers": {"add": {"X-Key": "2"}}}, {"cacheable": True}],
)
def test_a_name_changes_with_whatever_envoy_does_for_the_route(changed: dict[str, Any]) -> None:
    """Else a worker of one configuration could have Envoy, which has another, carry to the wrong app."""
    assert set(carried(config())).isdisjoint(carried(config(changed)))
    assert set(carried(config())) == set(carried(config()))


def test_envoy_is_told_what_to_set_and_to_remove_and_no_more() -> None:
    received = [
        (b"host", b"app.test"),
        (b"accept", b"*/*"),
        (b"remote_user", b"root"),
        (b"Remote-User", b"root"),
        (b"cookie", b"auth_session=x; theirs=1"),
        (b"x-twice", b"1"),
        (b"x-twice", b"2"),
        (b"x-forwarded-proto", b"https"),
        (b"te", b"trailers"),
    ]
    block = (
        b"accept: */*\r\ncookie: theirs=1\r\nx-twice: 1\r\nx-twice: 2\r\n"
        b"Remote-User: alice\r\nX-Forwarded-Proto: https\r\n"
    )
    found = difference(received, block, named=True)
    assert found == (
        [("cookie", "theirs=1"), ("remote-user", "alice"), ("x-forwarded-proto", "https")],
        ["remote_user", "x-envoy-external-address"],
    )


def test_what_can_not_be_told_to_envoy_is_not_carried() -> None:
    twice = b"X-New: 1\r\nX-New: 2\r\n"
    assert difference([], twice, named=False) is None
    assert difference([], b"TE: gzip\r\n", named=False) is None
