"""The OpenID provider under attack at its token endpoints: codes, refresh tokens, clients, device codes, revocation."""

import asyncio
from dataclasses import replace
from pathlib import Path

from sqlalchemy import update

from gateway.oidc.clients import secret_hash
from gateway.stores.protocols.core import AccessAsked
from gateway.stores.sql.schema import users
from gateway.stores.sql.transactions import writing
from tests.oidc_rig import (
    CALLBACK,
    SECRET,
    WEB,
    AppCalls,
    claims_of,
    code_for,
    events,
    pkce,
    provider,
    tokens_for,
)
from tests.rig import PASSWORD, FakeClock


async def test_a_code_that_comes_twice_ends_what_it_gave(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        proof, calls = pkce(), AppCalls(rig)
        code = await code_for(browser, proof)
        _, tokens = await calls.redeem(code, proof.verifier)
        assert (await calls.userinfo(tokens["access_token"]))[0] == 200
        status, again = await calls.redeem(code, proof.verifier)
        assert (status, again["error"]) == (400, "invalid_grant")
        assert (await calls.userinfo(tokens["access_token"]))[0] == 401
        assert (await calls.refresh(tokens["refresh_token"]))[1]["error"] == "invalid_grant"
        assert "oidc_grant_voided" in await events(rig)


async def test_of_many_who_bring_a_code_at_once_at_most_one_gets_tokens(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        proof, calls = pkce(), AppCalls(rig)
        code = await code_for(browser, proof)
        answers = await asyncio.gather(*(calls.redeem(code, proof.verifier) for _ in range(8)))
        won = [tokens for status, tokens in answers if status == 200]
        assert len(won) <= 1
        for tokens in won:  # and whoever got them has lost them, since somebody else had the code as well
            assert (await calls.userinfo(tokens["access_token"]))[0] == 401


async def test_a_code_is_for_one_app_one_address_one_verifier_and_a_minute(tmp_path: Path) -> None:
    other = {**WEB, "id": "other", "secrets": [secret_hash("other-secret")]}
    old = {**WEB, "id": "old", "pkce": False}
    async with provider(tmp_path, WEB, other, old) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        proof, calls = pkce(), AppCalls(rig)

        async def refused(by: AppCalls, verifier: str | None, proof: object = proof, **more: str) -> None:
            code = await code_for(browser, proof, client_id=more.pop("client_id", "web"))  # type: ignore[arg-type]
            status, answer = await by.redeem(code, verifier, **more)
            assert (status, answer["error"]) == (400, "invalid_grant")
            status, answer = await calls.redeem(code, proof.verifier)  # type: ignore[attr-defined]
            assert answer["error"] == "invalid_grant"

        await refused(AppCalls(rig, "other", "other-secret"), proof.verifier)
        await refused(calls, proof.verifier, redirect_uri=CALLBACK + "/")
        await refused(calls, pkce().verifier)
        await refused(calls, None)
        await refused(calls, proof.challenge)
        code = await code_for(browser, None, client_id="old")  # downgrade: challenge taken out of the request
        status, answer = await AppCalls(rig, "old").redeem(code, proof.verifier)
        assert (status, answer["error"]) == (400, "invalid_grant")
        late = await code_for(browser, proof)
        rig.clock.advance(61)
        assert (await calls.redeem(late, proof.verifier))[1]["error"] == "invalid_grant"


async def test_a_refresh_token_that_comes_twice_ends_the_family(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        calls = AppCalls(rig)
        first = (await tokens_for(browser, calls))["refresh_token"]
        _, second = await calls.refresh(first)
        rig.clock.advance(5)
        status, lost_answer = await calls.refresh(first)  # an app with a secret may ask again shortly after
        assert status == 200
        rig.clock.advance(6)
        assert (await calls.refresh(first))[1]["error"] == "invalid_grant"
        for token in (second["refresh_token"], lost_answer["refresh_token"]):
            assert (await calls.refresh(token))[1]["error"] == "invalid_grant"
        assert (await calls.userinfo(second["access_token"]))[0] == 401


async def test_an_app_without_a_secret_gets_no_second_chance(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        calls = AppCalls(rig, "spa", None)
        first = (await tokens_for(browser, calls, scope="openid"))["refresh_token"]
        answers = await asyncio.gather(*(calls.refresh(first) for _ in range(6)))
        won = [tokens["refresh_token"] for status, tokens in answers if status == 200]
        assert len(won) <= 1
        for token in won:
            assert (await calls.refresh(token))[1]["error"] == "invalid_grant"


async def test_a_refresh_token_is_for_its_own_app(tmp_path: Path) -> None:
    other = {**WEB, "id": "other"}
    async with provider(tmp_path, WEB, other) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        token = (await tokens_for(browser, AppCalls(rig)))["refresh_token"]
        assert (await AppCalls(rig, "other").refresh(token))[1]["error"] == "invalid_grant"
        assert (await AppCalls(rig).refresh(token))[1]["error"] == "invalid_grant"


async def test_tokens_end_with_session_password_group_and_user(tmp_path: Path) -> None:
    staff = {**WEB, "policy": {"groups": ["staff"]}}
    offline = "openid offline_access"

    async with provider(tmp_path, staff) as rig:
        calls = AppCalls(rig)
        alice = await rig.add_user(groups=("staff",))

        async def fresh(scope: str) -> dict[str, str]:
            async with rig.browser() as browser:
                rig.clock.advance(400)
                await browser.sign_in()
                return await tokens_for(browser, calls, scope=scope)

        async def are_void(tokens: dict[str, str]) -> None:
            assert (await calls.userinfo(tokens["access_token"]))[0] == 401
            assert (await calls.post("introspect", token=tokens["access_token"]))[1] == {"active": False}
            assert (await calls.refresh(tokens["refresh_token"]))[1]["error"] == "invalid_grant"

        for scope in ("openid", offline):
            tokens = await fresh(scope)
            await rig.gateway.stores.sessions.delete_for_user("alice")
            await are_void(tokens)
        tokens = await fresh(offline)
        for record in await rig.gateway.stores.sessions.list("alice"):
            await rig.gateway.stores.sessions.delete(record.sid)
        await are_void(tokens)
        tokens = await fresh(offline)
        rig.clock.advance(1)
        await rig.directory.set_password("alice", PASSWORD)
        await are_void(tokens)
        tokens = await fresh(offline)
        await rig.directory.replace(replace(alice, groups=("guests",)))
        await are_void(tokens)
        await rig.directory.replace(alice)
        tokens = await fresh(offline)
        await rig.directory.replace(replace(alice, disabled=True))
        await are_void(tokens)
        await rig.directory.replace(alice)
        await are_void(tokens)  # being enabled again brings nothing back


async def test_an_app_that_is_shut_gets_nothing_more(tmp_path: Path) -> None:
    clock = FakeClock()
    async with provider(tmp_path, clock=clock) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        tokens = await tokens_for(browser, AppCalls(rig), scope="openid offline_access")
        assert (await AppCalls(rig).userinfo(tokens["access_token"]))[0] == 200
    shut = {**WEB, "policy": {"require": "deny"}}
    async with provider(tmp_path, shut, clock=clock) as rig:
        status, answer = await AppCalls(rig).refresh(tokens["refresh_token"])
        assert (status, answer["error"]) == (400, "invalid_grant")


async def test_a_user_who_is_disabled_behind_our_back_gets_nothing_new(tmp_path: Path) -> None:
    """As in LDAP or a file, where no transaction of ours ends the grants."""
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        calls = AppCalls(rig)
        tokens = await tokens_for(browser, calls, scope="openid offline_access")
        async with writing(rig.gateway.stores.engine) as connection:
            await connection.execute(update(users).values(disabled=True))
        assert (await calls.userinfo(tokens["access_token"]))[0] == 401
        assert (await calls.refresh(tokens["refresh_token"]))[1]["error"] == "invalid_grant"


async def test_a_group_that_was_lent_counts_while_it_is_lent(tmp_path: Path) -> None:
    staff = {**WEB, "policy": {"groups": ["staff"]}}
    lending = [{"group": "staff", "approvers": ["chiefs"]}]
    async with provider(tmp_path, staff, access_requests=lending) as rig, rig.browser() as browser:
        await rig.add_user()
        now = rig.clock()
        lent = AccessAsked("a", "alice", "staff", "/", "", "granted", now, now + 600, "bob", now)
        assert await rig.gateway.stores.access_requests.add(lent)
        await browser.sign_in()
        calls = AppCalls(rig)
        tokens = await tokens_for(browser, calls, scope="openid groups")
        assert claims_of(tokens["id_token"])["groups"] == ["staff"]
        rig.clock.advance(601)
        assert (await calls.userinfo(tokens["access_token"]))[0] == 401
        assert (await calls.refresh(tokens["refresh_token"]))[1]["error"] == "invalid_grant"


async def test_only_offline_access_outlives_a_session_that_ends_by_itself(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        calls = AppCalls(rig)
        short = await tokens_for(browser, calls, scope="openid")
        long = await tokens_for(browser, calls, scope="openid offline_access")
        rig.clock.advance(13 * 3600)
        assert (await browser.get("/")).status == 303
        assert (await calls.refresh(short["refresh_token"]))[1]["error"] == "invalid_grant"
        status, fresh = await calls.refresh(long["refresh_token"])
        assert status == 200
        rig.clock.advance(15 * 86400)
        assert (await calls.refresh(fresh["refresh_token"]))[1]["error"] == "invalid_grant"


async def test_nothing_secret_is_stored_or_logged(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        proof, calls = pkce(), AppCalls(rig)
        unused = await code_for(browser, proof)
        code = await code_for(browser, proof)
        _, tokens = await calls.redeem(code, proof.verifier)
        _, start = await AppCalls(rig, "spa", None).post("device_authorization", scope="openid")
        await rig.gateway.services.audit.flush()
        stored = b"".join(file.read_bytes() for file in tmp_path.glob("gateway.db*"))
        for secret in (
            unused,
            code,
            tokens["refresh_token"],
            tokens["access_token"],
            start["device_code"],
            start["user_code"],
            start["user_code"].replace("-", ""),
            SECRET,
            proof.verifier,
        ):
            assert secret.encode() not in stored
