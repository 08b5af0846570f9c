"""The OpenID provider under attack at its token endpoints: codes, refresh tokens, clients, device codes, revocation."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import aiohttp
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import update

from gateway.oidc.clients import secret_hash
from gateway.stores.protocols.core import AccessAsked
from gateway.stores.sql.engine import writing
from gateway.stores.sql.schema import users
from tests.oidc_rig import (
    CALLBACK,
    SECRET,
    SPA,
    WEB,
    AppCalls,
    claims_of,
    code_for,
    events,
    pkce,
    provider,
    tokens_for,
)
from tests.rig import PASSWORD, FakeClock, csrf_of


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


async def test_an_app_proves_who_it_is_in_one_registered_way(tmp_path: Path) -> None:
    second = "a-second-secret"
    both = {**WEB, "secrets": [secret_hash(SECRET), secret_hash(second)], "grants": ["client_credentials"]}
    basic_only = {**both, "id": "basic", "auth": ["client_secret_basic"]}
    async with provider(tmp_path, both, basic_only, SPA) as rig:

        async def outcome(id: str, secret: str | None, **form: str) -> str:
            _, answer = await AppCalls(rig, id, secret).post("token", grant_type="client_credentials", **form)
            return str(answer.get("error", "fine"))

        assert await outcome("web", SECRET) == await outcome("web", second) == "fine"
        for wrong in ("", SECRET[:-1], SECRET + "x", SECRET.upper(), secret_hash(SECRET)):
            assert await outcome("web", wrong) == "invalid_client"
        assert await outcome("unknown", SECRET) == "invalid_client"
        assert await outcome("web", None) == "invalid_client"
        assert await outcome("web", None, client_secret=SECRET) == "fine"
        assert await outcome("basic", None, client_secret=SECRET) == "invalid_client"
        assert await outcome("web", SECRET, client_secret=SECRET) == "invalid_request"
        assert await outcome("spa", None) == "unauthorized_client"
        status, _ = await AppCalls(rig, "web", "wrong").post("token", grant_type="client_credentials")
        assert status == 401


async def test_a_signed_assertion_counts_once_and_for_us_only(tmp_path: Path) -> None:
    key, foreign = (ECKey.generate_key("P-256", private=True, auto_kid=True) for _ in range(2))
    jwks = tmp_path / "app.jwks"
    jwks.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    app = {
        **WEB,
        "auth": ["private_key_jwt"],
        "secrets": [],
        "jwks_file": str(jwks),
        "grants": ["client_credentials"],
    }
    async with provider(tmp_path, app) as rig:
        numbers = iter(range(100))

        def assertion(by: ECKey = key, **change: object) -> str:
            claims = {
                "iss": "web",
                "sub": "web",
                "aud": rig.url,
                "jti": f"j{next(numbers)}",
                "exp": int(rig.clock()) + 60,
                **change,
            }
            return jwt.encode({"alg": "ES256"}, {k: v for k, v in claims.items() if v is not None}, by)

        async def outcome(text: str) -> str:
            kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            form = {"client_assertion": text, "client_assertion_type": kind, "client_id": "web"}
            _, answer = await AppCalls(rig, "web", None).post(
                "token", grant_type="client_credentials", **form
            )
            return str(answer.get("error", "fine"))

        once = assertion()
        assert await outcome(once) == "fine"
        assert await outcome(once) == "invalid_client"
        for change in (
            {"aud": "https://other.example"},
            {"exp": int(rig.clock()) - 1},
            {"exp": int(rig.clock()) + 7200},
            {"iss": "spa"},
            {"jti": None},
            {"exp": None},
        ):
            assert await outcome(assertion(**change)) == "invalid_client", change
        assert await outcome(assertion(by=foreign)) == "invalid_client"
        unsigned = assertion().split(".")
        assert await outcome(f"eyJhbGciOiJub25lIn0.{unsigned[1]}.") == "invalid_client"


async def test_a_token_is_read_as_what_it_is_only(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        calls = AppCalls(rig)
        tokens = await tokens_for(browser, calls)
        assert (await calls.userinfo(tokens["id_token"]))[0] == 401
        head, body, _ = tokens["access_token"].split(".")
        for forged in (f"{head}.{body}.", f"eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{body}.", "", "x.y.z"):
            assert (await calls.userinfo(forged))[0] == 401
        assertion = rig.gateway.services.assertions.sign({**claims_of(tokens["access_token"])})
        assert (await calls.userinfo(assertion))[0] == 401
        rig.clock.advance(3601)
        assert (await calls.userinfo(tokens["access_token"]))[0] == 401


async def test_introspection_tells_nothing_to_others(tmp_path: Path) -> None:
    other, api = {**WEB, "id": "other"}, {**WEB, "id": "api"}
    app = {**WEB, "audience": ["api"]}
    async with provider(tmp_path, app, other, api, SPA) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        tokens = await tokens_for(browser, AppCalls(rig))
        for token in (tokens["access_token"], tokens["refresh_token"]):
            assert (await AppCalls(rig).post("introspect", token=token))[1]["active"] is True
            assert (await AppCalls(rig, "other").post("introspect", token=token))[1] == {"active": False}
        found = await AppCalls(rig, "api").post("introspect", token=tokens["access_token"])
        assert found[1]["username"] == "alice"
        assert (await AppCalls(rig, "spa", None).post("introspect", token="x"))[0] == 401
        assert (await AppCalls(rig, "other").post("revoke", token=tokens["refresh_token"]))[0] == 200
        assert (await AppCalls(rig).post("introspect", token=tokens["refresh_token"]))[1]["active"] is True
        assert (await AppCalls(rig, "other").post("revoke", token=tokens["access_token"]))[0] == 200
        assert (await AppCalls(rig).userinfo(tokens["access_token"]))[0] == 200
        await AppCalls(rig).post("revoke", token=tokens["refresh_token"])
        assert (await AppCalls(rig).userinfo(tokens["access_token"]))[0] == 401


# -- device flow -----------------------------------------------------------------------------------------------------

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


async def test_a_device_is_connected_by_its_owner_once(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        calls = AppCalls(rig, "spa", None)
        _, start = await calls.post("device_authorization", scope="openid")

        async def poll() -> str:
            _, answer = await calls.post("token", grant_type=DEVICE, device_code=start["device_code"])
            return str(answer.get("error", "tokens"))

        assert await poll() == "authorization_pending"
        assert await poll() == "slow_down"
        rig.clock.advance(5)
        assert await poll() == "slow_down"  # the interval is ten seconds now
        rig.clock.advance(30)
        assert await poll() == "authorization_pending"
        path = f"/_auth/oidc/device?user_code={start['user_code']}"
        assert (await browser.get(path)).headers["Location"].startswith("/_auth/login?")
        await browser.password()
        page = await (await browser.get(path)).text()
        form = {"user_code": start["user_code"].lower(), "csrf_token": csrf_of(page)}
        step_up = await browser.post("/_auth/oidc/device", {**form, "do": "allow"})
        assert step_up.headers["Location"].startswith("/_auth/verify?")
        await browser.code()
        page = await (await browser.get(path)).text()
        form["csrf_token"] = csrf_of(page)
        confirm = await (await browser.post("/_auth/oidc/device", form)).text()
        assert "Connect spa?" in confirm
        forged = await browser.post("/_auth/oidc/device", {**form, "csrf_token": "x", "do": "allow"})
        assert forged.status == 403
        rig.clock.advance(60)
        assert await poll() == "authorization_pending"
        done = await (await browser.post("/_auth/oidc/device", {**form, "do": "allow"})).text()
        assert "Connected" in done
        answers = await asyncio.gather(*(poll() for _ in range(5)))
        assert sorted(answers) == ["expired_token"] * 4 + ["tokens"]
        assert (await browser.post("/_auth/oidc/device", {**form, "do": "allow"})).status == 404


async def test_a_device_code_is_for_its_own_app_and_for_whom_the_policy_lets_in(tmp_path: Path) -> None:
    staff = {**SPA, "id": "staff", "policy": {"groups": ["staff"]}}
    strict = {**SPA, "id": "strict", "policy": {"require": "two_factor", "factors": ["webauthn"]}}
    async with provider(tmp_path, SPA, staff, strict) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        token = await browser.token("/_auth/oidc/device")
        device = AppCalls(rig, "spa", None)
        for app in ("spa", "staff", "strict"):
            _, start = await AppCalls(rig, app, None).post("device_authorization", scope="openid")
            form = {"user_code": start["user_code"], "csrf_token": token, "do": "allow"}
            answer = await browser.post("/_auth/oidc/device", form)
            assert answer.status == {"spa": 200, "staff": 403, "strict": 303}[app]
            _, stolen = await (AppCalls(rig, "staff", None) if app == "spa" else device).post(
                "token", grant_type=DEVICE, device_code=start["device_code"]
            )
            assert stolen["error"] == "invalid_grant"
            if app != "spa":
                own = AppCalls(rig, app, None)
                _, waits = await own.post("token", grant_type=DEVICE, device_code=start["device_code"])
                assert waits["error"] == "authorization_pending"


async def test_device_codes_can_not_be_guessed(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        _, start = await AppCalls(rig, "spa", None).post("device_authorization", scope="openid")
        token = await browser.token("/_auth/oidc/device")
        statuses = [
            (
                await browser.post("/_auth/oidc/device", {"user_code": f"BCDF-{n:04d}", "csrf_token": token})
            ).status
            for n in range(11)
        ]
        assert statuses == [404] * 10 + [429]
        right = {"user_code": start["user_code"], "csrf_token": token, "do": "allow"}
        assert (await browser.post("/_auth/oidc/device", right)).status == 429


async def test_guesses_at_device_codes_count_for_the_address_however_many_accounts_it_has(
    tmp_path: Path,
) -> None:
    async with provider(tmp_path) as rig:
        statuses = []
        for name in ("alice", "bob", "carol"):
            await rig.add_user(name)
            async with rig.browser() as browser:
                await browser.sign_in(name)
                token = await browser.token("/_auth/oidc/device")
                for guess in range(7):
                    form = {"user_code": f"BCDF-{guess:04d}", "csrf_token": token}
                    statuses.append((await browser.post("/_auth/oidc/device", form)).status)
        assert statuses == [404] * 20 + [429]


async def test_a_refused_device_is_told_so(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        calls = AppCalls(rig, "spa", None)
        _, start = await calls.post("device_authorization", scope="openid")
        token = await browser.token("/_auth/oidc/device")
        form = {"user_code": start["user_code"], "csrf_token": token, "do": "refuse"}
        assert "Not connected" in await (await browser.post("/_auth/oidc/device", form)).text()
        _, answer = await calls.post("token", grant_type=DEVICE, device_code=start["device_code"])
        assert answer["error"] == "access_denied"
        assert (await AppCalls(rig).post("device_authorization", scope="openid"))[1][
            "error"
        ] == "unauthorized_client"


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


async def test_a_cookie_opens_no_endpoint_for_programs(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        assert (await browser.get("/_auth/oidc/userinfo")).status == 401
        response = await browser.post(
            "/_auth/oidc/token", {"grant_type": "refresh_token", "client_id": "web"}
        )
        assert response.status == 401
        assert isinstance(browser.session, aiohttp.ClientSession)
