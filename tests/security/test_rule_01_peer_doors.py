"""Rule 1 at the addresses of other gateways: what a proxy does not say is not taken from its client."""

from pathlib import Path

from tests.peer_dialects import (
    ALL,
    OUTPOST,
    Dialect,
    ask,
    by_host,
    by_uri,
    dialects,
    fetch,
    forwarded,
    gateway,
    original,
    original_url,
)
from tests.rig import running_gateway


@dialects
async def test_a_peers_address_believes_nobody_but_trusted_proxies(dialect: Dialect, tmp_path: Path) -> None:
    forward = {"compatible": ALL, **dialect.forward}
    async with running_gateway(tmp_path, forward=forward) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await browser.sign_in()
        answer = await ask(browser, dialect, "/")
        assert (answer.status, dialect.user_header in answer.headers) == (403, False)
        assert rig.upstream.requests == []


@dialects
async def test_what_a_proxy_does_not_say_is_not_taken_from_its_client(
    dialect: Dialect, tmp_path: Path
) -> None:
    """Rules about methods are refused where the method is unknown, whatever a client adds."""
    routes = [
        {"path": "/open", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
        {"upstream": "UPSTREAM", "rules": [{"methods": ["GET"], "require": "bypass"}]},
    ]
    async with gateway(tmp_path, routes, **dialect.forward) as rig, rig.browser() as browser:
        expected = dialect.yes if dialect.knows_method and dialect.yes == 200 else 403
        if dialect.name == "oauth2-proxy caddy":
            expected = 401  # it always wants a user
        assert (await ask(browser, dialect, "/x")).status == expected
        if not dialect.knows_method:
            forged = {"X-Forwarded-Method": "GET", "X-Original-Method": "GET"}
            assert (await ask(browser, dialect, "/x", **forged)).status == 403


async def test_a_forged_host_or_uri_opens_nothing_where_the_proxy_sends_others(tmp_path: Path) -> None:
    routes = [
        {"host": "open.test", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
        {"host": "127.0.0.1", "path": "/open", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
        {"host": "127.0.0.1", "path": "/own", "upstream": "UPSTREAM"},
        {"host": "127.0.0.1", "upstream": "UPSTREAM", "policy": {"groups": ["ops"]}},
    ]
    forged = forwarded("open.test", "/") | {"X-Forwarded-Server": "open.test"}
    async with gateway(tmp_path, routes) as rig, rig.browser() as browser:
        here = f"127.0.0.1:{rig.port}"
        await rig.add_user("alice")  # oauth2-proxy's door wants a user even where all may pass
        await browser.sign_in(rd="/own")
        for path, headers in (
            ("/oauth2/auth", forged | by_uri(here, "/x")),
            ("/validate", forged | {"X-Original-URL": "http://open.test/"} | by_host(here, "")),
            ("/api/authz/auth-request", forged | original(here, "/x")),
            (f"{OUTPOST}/nginx", forged | original_url(here, "/x")),
        ):
            assert (await fetch(browser, path, headers)).status == 403, path
        for headers in (
            forged | original_url(here, "/x"),
            forwarded(here, "/x") | original_url(here, "/open"),
        ):
            assert (await fetch(browser, "/api/verify", headers)).status == 400


async def test_vouch_knows_the_host_alone_so_the_answer_is_right_for_all_of_it(tmp_path: Path) -> None:
    routes = [
        {"host": "a.test", "path": "/open", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
        {"host": "a.test", "upstream": "UPSTREAM", "policy": {"groups": ["ops"]}},
        {"host": "b.test", "upstream": "UPSTREAM", "rules": [{"paths": ["/x"], "require": "bypass"}]},
        {"host": "c.test", "path": "/part", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
        {"host": "127.0.0.1", "upstream": "UPSTREAM"},
    ]
    async with gateway(tmp_path, routes) as rig, rig.browser() as browser:
        await rig.add_user("alice", groups=("ops",))
        await rig.add_user("bob")
        assert (await fetch(browser, "/validate", {"Host": "a.test"})).status == 401
        await browser.sign_in()
        cookie = {"Cookie": f"auth_session={browser.cookie()}"}
        yes = await fetch(browser, "/validate", {"Host": "a.test", **cookie})
        assert (yes.status, yes.headers["X-Vouch-User"]) == (200, "alice")
        for host in ("b.test", "c.test", "unknown.test"):
            assert (await fetch(browser, "/validate", {"Host": host, **cookie})).status == 403
        async with rig.browser() as other:
            await other.sign_in("bob")
            cookie = {"Cookie": f"auth_session={other.cookie()}"}
            assert (await fetch(other, "/validate", {"Host": "a.test", **cookie})).status == 403


async def test_addresses_of_peers_that_are_named_never_reach_an_app(tmp_path: Path) -> None:
    routes = [{"upstream": "UPSTREAM", "policy": {"require": "bypass"}}]
    async with gateway(tmp_path, routes) as rig, rig.browser() as browser:
        for path in (
            "/api/verify",
            "/oauth2/auth",
            "/validate",
            f"{OUTPOST}/nginx",
            f"{OUTPOST}/envoy/x",
            "/login",
        ):
            for _ in range(2):
                await browser.get(path)
        assert (await browser.get("/")).status == 200
        assert len(rig.upstream.requests) == 1
