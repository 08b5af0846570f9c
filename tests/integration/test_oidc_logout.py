"""Apps hear of a session's end, beside the requests and until they have understood."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.stores.protocols.core import Change
from tests.oidc_rig import WEB, AppCalls, claims_of, events, provider, tokens_for
from tests.rig import Rig, csrf_of, running_upstream


@dataclass
class Hearing:
    """An app's logout endpoint. It answers with `statuses` in turn, then always 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        self.tokens.append(str(form["logout_token"]))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    async def heard(self, count: int) -> None:
        while len(self.tokens) < count:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def hearing_app(folder: Path, *statuses: int) -> AsyncIterator[tuple[Rig, Hearing, AppCalls]]:
    app = Hearing(statuses=list(statuses))
    async with running_upstream(app.handle) as server:
        client = {**WEB, "backchannel_logout_uri": f"{server.url}/logout"}
        async with provider(folder, client) as rig:
            yield rig, app, AppCalls(rig)


def read(rig: Rig, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    assert rig.gateway._provider.logouts is not None
    keys = rig.gateway._provider.logouts._tokens._keys.published()
    token = jwt.decode(text, KeySet.import_key_set(keys), algorithms=["RS256"])  # type: ignore[arg-type]
    return token.header, token.claims


async def test_a_logout_token_names_session_and_user_and_is_sent_again_until_it_is_taken(
    tmp_path: Path,
) -> None:
    async with hearing_app(tmp_path, 500, 302) as (rig, app, calls), rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        tokens = await tokens_for(browser, calls)
        await rig.gateway.stores.sessions.delete_for_user("alice")
        await app.heard(1)
        header, claims = read(rig, app.tokens[0])
        assert header["typ"] == "logout+jwt"
        assert claims["iss"] == rig.url
        assert claims["aud"] == "web"
        assert claims["sub"] == claims_of(tokens["id_token"])["sub"]
        assert claims["sid"] == claims_of(tokens["id_token"])["sid"]
        assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
        assert claims["jti"]
        assert "nonce" not in claims
        for number, pause in ((2, 5), (3, 30)):
            while (await events(rig)).count("oidc_logout_failed") < number - 1:
                await asyncio.sleep(0.01)
            rig.clock.advance(pause)
            rig.gateway._provider.logouts.hear(Change("user", "alice"))  # type: ignore[union-attr]
            await app.heard(number)
        while "oidc_logout_sent" not in await events(rig):
            await asyncio.sleep(0.01)
        assert list(await rig.gateway.stores.logins.due(rig.clock() + 1e6, 1.0)) == []


async def test_every_way_to_end_a_session_early_is_heard_of(tmp_path: Path) -> None:
    async with hearing_app(tmp_path) as (rig, app, calls):
        alice = await rig.add_user()
        for number, way in enumerate(("logout", "end-session", "grants", "disable"), 1):
            async with rig.browser() as browser:
                rig.clock.advance(400)
                await browser.sign_in()
                hint = (await tokens_for(browser, calls))["id_token"]
                if way == "logout":
                    token = await browser.token("/_auth/logout")
                    await browser.post("/_auth/logout", {"csrf_token": token})
                elif way == "end-session":
                    await browser.get(f"/_auth/oidc/end-session?id_token_hint={hint}")
                elif way == "grants":
                    page = await (await browser.get("/_auth/oidc/grants")).text()
                    form = {"client": "web", "csrf_token": csrf_of(page)}
                    await browser.post("/_auth/oidc/grants", form)
                    rig.gateway._provider.logouts.hear(Change("user", "alice"))  # type: ignore[union-attr]
                else:
                    await rig.directory.replace(replace(alice, disabled=True))
                await app.heard(number)
                assert read(rig, app.tokens[-1])[1]["sid"] == claims_of(hint)["sid"], way


async def test_a_session_that_rises_or_ends_in_its_own_time_is_not_reported(tmp_path: Path) -> None:
    async with hearing_app(tmp_path) as (rig, app, calls), rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        tokens = await tokens_for(browser, calls)
        rig.clock.advance(1000)
        await browser.password()  # proven again: the session gets a new id, and is the same one to apps
        again = await tokens_for(browser, calls)
        assert claims_of(again["id_token"])["sid"] == claims_of(tokens["id_token"])["sid"]
        assert (await calls.refresh(tokens["refresh_token"]))[0] == 200
        rig.clock.advance(4000)
        assert (await browser.get("/")).status == 303  # idle for too long
        assert await rig.gateway.stores.sessions.purge(rig.clock(), 3600.0) == 1
        assert list(await rig.gateway.stores.sessions.list()) == []
        assert list(await rig.gateway.stores.logins.due(rig.clock(), 1.0)) == []
        assert app.tokens == []
