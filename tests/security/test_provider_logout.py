"""A provider ends sessions with a token that it signed: those that it names and no others, and nobody else does."""

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from sqlalchemy import text

from tests.federation_trip import MIRA, ONE_FACTOR, signed_in
from tests.programmable_provider import SECRET, ProgrammableProvider, provider_and_gateway
from tests.rig import Browser, Rig, running_gateway

WHERE = "/_auth/federated/corp/backchannel-logout"
OTHER = ECKey.generate_key("P-256", {"kid": "k1"}, auto_kid=False)


@asynccontextmanager
async def crew(folder: Path, **settings: Any) -> AsyncIterator[tuple[Rig, ProgrammableProvider]]:
    provider = ProgrammableProvider(id_token=dict(MIRA))
    async with provider_and_gateway(folder, provider, sections={"routes": ONE_FACTOR}, **settings) as (
        rig,
        _,
    ):
        await rig.add_user("mira", email="mira@example.com")
        await rig.add_user("otto", email="otto@example.com")
        yield rig, provider


async def session_of(browser: Browser, provider: ProgrammableProvider, sid: str | None, **who: Any) -> None:
    browser.rig.clock.advance(1)  # a session is known by its user and when it began
    provider.id_token = {**MIRA, **who, **({"sid": sid} if sid else {})}
    await signed_in(browser, provider)


async def tell(rig: Rig, token: str, **more: Any) -> aiohttp.ClientResponse:
    async with aiohttp.ClientSession() as provider:
        answer = await provider.post(rig.url + WHERE, data={"logout_token": token, **more})
        await answer.read()
        return answer


async def living(rig: Rig) -> int:
    return len(await rig.gateway.stores.sessions.list())


async def noted(rig: Rig, event: str) -> list[dict[str, Any]]:
    await rig.gateway.services.audit.flush()
    rows = await rig.gateway.stores.audit_log.tail(1000)
    return [{"username": row.username, **row.data} for row in rows if row.event == event]


def unsigned(provider: ProgrammableProvider) -> str:
    claims = jwt.decode(provider.logout_token(), provider.key).claims
    parts = [{"alg": "none", "typ": "logout+jwt"}, claims]
    return (
        ".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."
    )


def by_secret(provider: ProgrammableProvider) -> str:
    claims = jwt.decode(provider.logout_token(), provider.key).claims
    return jwt.encode({"alg": "HS256", "kid": "k1"}, claims, OctKey.import_key(SECRET), algorithms=["HS256"])


async def test_nothing_but_a_logout_token_of_this_provider_ends_a_session(tmp_path: Path) -> None:
    async with crew(tmp_path) as (rig, provider), rig.browser() as browser:
        await session_of(browser, provider, "p1")
        make = provider.logout_token
        event = {"http://schemas.openid.net/event/backchannel-logout": {}}
        now = int(rig.clock())
        forged = {
            "nothing": "",
            "no token": "a.b.c",
            "unsigned": unsigned(provider),
            "by the client secret": by_secret(provider),
            "by another key": make(key=OTHER),
            "an ID token": make(events=None, nonce="n", header={"typ": "JWT"}),
            "another event": make(events={"urn:other": {}}),
            "with a nonce": make(nonce="n"),
            "of another issuer": make(iss="https://evil.test"),
            "for somebody else": make(aud="other"),
            "of yesterday": make(iat=now - 90000),
            "of tomorrow": make(iat=now + 600),
            "over": make(exp=now - 61),
            "without an end": make(exp=None),
            "without an id": make(jti=None),
            "of nobody": make(sub=None),
            "another kind": make(header={"typ": "at+jwt"}),
            "an event that is no object": make(events=list(event)),
        }
        for name, token in forged.items():
            answer = await tell(rig, token)
            assert answer.status == 400, name
            assert answer.headers["Cache-Control"] == "no-store"
            assert await answer.json() == {"error": "invalid_request"}
        assert await living(rig) == 1
        assert (await browser.get("/wiki")).status == 200
        refused = await noted(rig, "provider_logout_refused")
        assert len(refused) == len(forged)
        assert all(one["provider"] == "corp" and one["cause"] for one in refused)
        good = await tell(rig, make(sid="p1"))
        assert (good.status, good.headers["Cache-Control"], await good.read()) == (200, "no-store", b"")
        assert (await browser.get("/wiki")).status == 303


async def test_exactly_the_sessions_end_that_the_provider_names(tmp_path: Path) -> None:
    async with (
        crew(tmp_path) as (rig, provider),
        rig.browser() as first,
        rig.browser() as second,
        rig.browser() as other,
        rig.browser() as local,
    ):
        await session_of(first, provider, "p1")
        await session_of(second, provider, "p2")
        await session_of(other, provider, "p3", sub="s2", email="otto@example.com")
        rig.clock.advance(1)
        await local.password("mira")
        assert (await tell(rig, provider.logout_token(sub=None, sid="p9"))).status == 200
        assert await living(rig) == 4
        assert (await tell(rig, provider.logout_token(sub="s2", sid="p1"))).status == 200
        assert await living(rig) == 4  # that session is of another account
        assert (await tell(rig, provider.logout_token(sub=None, sid="p1"))).status == 200
        assert [(await one.get("/wiki")).status for one in (first, second, other, local)] == [
            303,
            200,
            200,
            200,
        ]
        assert (await tell(rig, provider.logout_token())).status == 200
        assert [(await one.get("/wiki")).status for one in (second, other, local)] == [303, 200, 200]
        ended = await noted(rig, "provider_logout")
        assert [(one["username"], one["provider"]) for one in ended] == [("mira", "corp")] * 2
        assert all(len(one["sid"]) == 8 for one in ended)


async def test_a_session_that_was_raised_since_ends_too(tmp_path: Path) -> None:
    async with crew(tmp_path) as (rig, provider), rig.browser() as browser:
        await session_of(browser, provider, "p1")
        before = browser.cookie()
        assert (await browser.code(rd="/_auth/account")).status == 303
        assert browser.cookie() != before
        assert (await tell(rig, provider.logout_token(sub=None, sid="p1"))).status == 200
        assert await living(rig) == 0


async def test_a_token_counts_once_and_again_only_if_it_could_not_be_heeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with crew(tmp_path) as (rig, provider), rig.browser() as browser:
        await session_of(browser, provider, "p1")
        token = provider.logout_token()
        assert (await tell(rig, token)).status == 200
        await session_of(browser, provider, "p2")
        assert (await tell(rig, token)).status == 400
        rig.clock.advance(170)  # it is over, but for those whose clocks differ
        assert (await tell(rig, token)).status == 400
        assert (await browser.get("/wiki")).status == 200
        again = provider.logout_token()
        async with rig.gateway.stores.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE provider_sign_ins RENAME TO away"))
        assert (await tell(rig, again)).status == 503
        async with rig.gateway.stores.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE away RENAME TO provider_sign_ins"))
        assert (await tell(rig, again)).status == 200
        assert (await browser.get("/wiki")).status == 303


async def test_size_kind_and_number_of_what_is_refused_are_limited(tmp_path: Path) -> None:
    async with crew(tmp_path) as (rig, provider), aiohttp.ClientSession() as web:
        url = rig.url + WHERE
        assert (await tell(rig, "x" * 17_000)).status == 413
        assert (await web.post(url, json={"logout_token": provider.logout_token()})).status == 415
        assert (await web.get(url)).status == 405
        for _ in range(60):
            assert (await tell(rig, "a.b.c")).status == 400
        limited = await tell(rig, provider.logout_token())
        assert limited.status == 429
        assert int(limited.headers["Retry-After"]) > 0
        rig.clock.advance(601)
        for _ in range(70):  # what is right costs nothing
            assert (await tell(rig, provider.logout_token())).status == 200


async def test_other_replicas_hear_of_it(tmp_path: Path) -> None:
    async with crew(tmp_path) as (rig, provider), rig.browser() as browser:
        await session_of(browser, provider, "p1")
        corp = rig.config.identity_providers[0].model_dump(mode="json") | {"client_secret": SECRET}
        async with (
            running_gateway(
                tmp_path, identity_providers=[corp], routes=ONE_FACTOR, clock=rig.clock
            ) as replica,
            replica.browser() as there,
        ):
            there.session.cookie_jar.update_cookies({"auth_session": browser.cookie()})
            assert (await there.get("/wiki")).status == 200
            assert (await tell(replica, provider.logout_token(sid="p1"))).status == 200
            await browser.until_status(303, "/wiki")
            await there.until_status(303, "/wiki")


@pytest.mark.parametrize("logout", [False, True])
async def test_the_id_token_is_kept_where_it_is_needed_and_sealed_alone(tmp_path: Path, logout: bool) -> None:
    async with crew(tmp_path, logout=logout) as (rig, provider), rig.browser() as browser:
        await session_of(browser, provider, "p1")
        async with rig.gateway.stores.engine.connect() as connection:
            row = (await connection.execute(text("SELECT * FROM provider_sign_ins"))).one()
        assert (row.username, row.provider, row.subject, row.provider_sid) == ("mira", "corp", "s1", "p1")
        assert bool(row.id_token) is logout
        if logout:
            kept = rig.gateway.services.ring.open(bytes(row.id_token)).decode()
            assert jwt.decode(kept, provider.key).claims["sub"] == "s1"
            assert b"." not in bytes(row.id_token)
