"""Who calls the OpenID provider's endpoints for programs, and how it proves that it is itself."""

import json
from pathlib import Path

import aiohttp
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.oidc.clients import secret_hash
from tests.oidc_rig import (
    SECRET,
    SPA,
    WEB,
    AppCalls,
    claims_of,
    provider,
    tokens_for,
)


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
        assertion = rig.gateway._composed.assertions.sign({**claims_of(tokens["access_token"])})
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
