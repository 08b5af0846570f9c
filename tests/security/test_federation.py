"""Sign-in through other accounts: one browser, one use, one factor; ID tokens are believed only when all is right."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

from gateway.config.schema import Policy
from gateway.policy.decide import has_factors, has_two
from tests.rig import Browser, Rig, running_gateway, running_upstream

KEY, OTHER = RSAKey.generate_key(2048, auto_kid=True), RSAKey.generate_key(2048, auto_kid=True)


@dataclass
class ForgingProvider:
    """An OpenID provider whose ID token each test spoils in its own way."""

    url: str = ""
    nonce: str = ""
    forge: Callable[[dict[str, Any], str], str] = lambda claims, url: sign(claims)
    asked: list[dict[str, str]] = field(default_factory=list)
    iss_supported: bool = False
    userinfo: dict[str, Any] = field(default_factory=dict)
    issuer: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("openid-configuration"):
            return web.json_response(
                {
                    "issuer": self.issuer or self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/jwks",
                    "authorization_response_iss_parameter_supported": self.iss_supported,
                    **({"userinfo_endpoint": f"{self.url}/userinfo"} if self.userinfo else {}),
                }
            )
        if request.path == "/userinfo":
            return web.json_response(self.userinfo)
        if request.path == "/jwks":
            return web.json_response({"keys": [KEY.as_dict(private=False)]})
        self.asked.append({key: str(value) for key, value in (await request.post()).items()})
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": "gateway",
            "sub": "m1",
            "exp": now + 300,
            "iat": now,
            "nonce": self.nonce,
            "email": "mira@example.com",
            "email_verified": True,
            "amr": ["pwd", "otp"],
        }
        return web.json_response(
            {"access_token": "a", "token_type": "Bearer", "id_token": self.forge(claims, self.url)}
        )


def sign(claims: dict[str, Any], key: Any = KEY, **header: Any) -> str:
    return jwt.encode({"alg": "RS256", "kid": KEY.kid, **header}, claims, key, algorithms=["RS256"])


@asynccontextmanager
async def forging_rig(
    folder: Path, routes: list[dict[str, Any]] | None = None, **settings: Any
) -> AsyncIterator[tuple[Rig, ForgingProvider]]:
    provider = ForgingProvider()
    async with running_upstream(provider.handle) as server:
        provider.url = server.url
        corp = {
            "kind": "oidc",
            "name": "corp",
            "issuer": server.url,
            "client_id": "gateway",
            "client_secret": "hush",
            **settings,
        }
        partner = {**corp, "name": "partner"}
        more = {"routes": routes} if routes else {}
        async with running_gateway(folder, identity_providers=[corp, partner], **more) as rig:
            rig.clock.now = time.time()
            await rig.add_user("mira", email="mira@example.com")
            yield rig, provider


async def leave(browser: Browser, provider: ForgingProvider) -> dict[str, str]:
    location = (await browser.get("/_auth/federated/corp?rd=/wiki")).headers["Location"]
    query = {key: values[0] for key, values in parse_qs(urlsplit(location).query).items()}
    provider.nonce = query["nonce"]
    return query


async def come_back(browser: Browser, state: str, more: str = "") -> int:
    return (await browser.get(f"/_auth/federated/corp/callback?code=c&state={state}{more}")).status


async def arrive(browser: Browser, provider: ForgingProvider) -> int:
    return await come_back(browser, (await leave(browser, provider))["state"])


def part(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(claims: dict[str, Any], url: str) -> str:
    return f"{part({'alg': 'none'})}.{part(claims)}."


def by_hmac(claims: dict[str, Any], key: bytes) -> str:
    text = f"{part({'alg': 'HS256', 'kid': KEY.kid})}.{part(claims)}"
    return f"{text}.{part(hmac.new(key, text.encode(), 'sha256').digest())}"


FORGERIES: dict[str, Callable[[dict[str, Any], str], str]] = {
    "unsigned": unsigned,
    "another key": lambda claims, url: sign(claims, OTHER),
    "another key under its own name": lambda claims, url: sign(claims, OTHER, kid=OTHER.kid),
    "an HMAC by the client secret": lambda claims, url: by_hmac(claims, b"hush"),
    "an HMAC by the public key": lambda claims, url: by_hmac(claims, KEY.as_pem(private=False)),
    "another issuer": lambda claims, url: sign({**claims, "iss": "https://evil.test"}),
    "another audience": lambda claims, url: sign({**claims, "aud": "other"}),
    "several audiences without azp": lambda claims, url: sign({**claims, "aud": ["gateway", "other"]}),
    "another authorized party": lambda claims, url: sign({**claims, "azp": "other"}),
    "expired": lambda claims, url: sign({**claims, "exp": claims["iat"] - 120}),
    "without expiry": lambda claims, url: sign({key: value for key, value in claims.items() if key != "exp"}),
    "from the future": lambda claims, url: sign(
        {**claims, "iat": claims["iat"] + 600, "exp": claims["iat"] + 900}
    ),
    "another nonce": lambda claims, url: sign({**claims, "nonce": "other"}),
    "no nonce": lambda claims, url: sign({key: value for key, value in claims.items() if key != "nonce"}),
    "no subject": lambda claims, url: sign({**claims, "sub": ""}),
    "no token": lambda claims, url: "",
    "garbage": lambda claims, url: "a.b.c",
}


async def test_what_is_right_is_believed_and_every_forgery_is_refused(tmp_path: Path) -> None:
    async with forging_rig(tmp_path) as (rig, provider):
        async with rig.browser() as browser:
            assert await arrive(browser, provider) == 303
        for name, forge in FORGERIES.items():
            provider.forge = forge
            async with rig.browser() as browser:
                assert await arrive(browser, provider) == 403, name
                assert (await browser.get("/wiki")).headers["Location"] == "/_auth/login?rd=/wiki"


async def test_an_answer_is_good_for_the_browser_that_asked_and_once(tmp_path: Path) -> None:
    async with forging_rig(tmp_path) as (rig, provider):
        async with rig.browser() as mine, rig.browser() as victim:
            state = (await leave(mine, provider))["state"]
            await victim.get("/_auth/login")
            assert await come_back(victim, state) == 403  # nobody is signed in as somebody else by a link
            assert (await victim.get("/wiki")).headers["Location"] == "/_auth/login?rd=/wiki"
            assert await come_back(mine, state) == 403  # and the state is used up
        async with rig.browser() as browser:
            state = (await leave(browser, provider))["state"]
            assert await come_back(browser, state) == 303
            asked = len(provider.asked)
            await come_back(browser, state)
            assert len(provider.asked) == asked
            assert await come_back(browser, "made-up") == 303  # signed in: nothing of it is used
            assert len(provider.asked) == asked


async def test_an_answer_is_good_for_its_own_provider_only(tmp_path: Path) -> None:
    async with forging_rig(tmp_path) as (rig, provider), rig.browser() as browser:
        state = (await leave(browser, provider))["state"]
        mixed_up = await browser.get(f"/_auth/federated/partner/callback?code=c&state={state}")
        assert mixed_up.status == 403
        assert not provider.asked


async def test_userinfo_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    async with forging_rig(tmp_path) as (rig, provider):
        provider.forge = lambda claims, url: sign(
            {name: value for name, value in claims.items() if not name.startswith("email")}
        )
        for subject, status in (("m2", 403), ("m1", 303)):
            provider.userinfo = {"sub": subject, "email": "mira@example.com", "email_verified": True}
            async with rig.browser() as browser:
                assert await arrive(browser, provider) == status


async def test_an_address_names_one_user_as_a_whole_or_nobody(tmp_path: Path) -> None:
    async with forging_rig(tmp_path) as (rig, provider):
        await rig.directory.delete("mira")
        await rig.add_user("boss", email="amira@example.com")
        await rig.add_user("chief", email="mira@example.com.au")
        async with rig.browser() as browser:
            assert await arrive(browser, provider) == 403
        await rig.add_user("one", email="mira@example.com")
        await rig.add_user("two", email="Mira@example.com")
        async with rig.browser() as browser:
            assert await arrive(browser, provider) == 403


async def test_the_code_goes_out_with_its_verifier_and_an_old_journey_is_over(tmp_path: Path) -> None:
    async with forging_rig(tmp_path) as (rig, provider), rig.browser() as browser:
        query = await leave(browser, provider)
        assert query["code_challenge_method"] == "S256"
        rig.clock.advance(601)
        assert await come_back(browser, query["state"]) == 403
        rig.clock.now = time.time()
        assert await arrive(browser, provider) == 303
        assert len(provider.asked[-1]["code_verifier"]) >= 43


async def test_the_issuer_of_an_answer_is_checked_where_the_provider_names_it(tmp_path: Path) -> None:
    async with forging_rig(tmp_path) as (rig, provider):
        provider.iss_supported = True
        for more, status in (("", 403), ("&iss=https://evil.test", 403), (f"&iss={provider.url}", 303)):
            async with rig.browser() as browser:
                state = (await leave(browser, provider))["state"]
                assert await come_back(browser, state, more) == status


async def test_a_foreign_issuer_in_an_answer_is_refused_where_the_provider_promises_none(
    tmp_path: Path,
) -> None:
    async with forging_rig(tmp_path) as (rig, provider):
        for more, status in (("&iss=https://evil.test", 403), ("", 303)):
            async with rig.browser() as browser:
                state = (await leave(browser, provider))["state"]
                assert await come_back(browser, state, more) == status


async def test_a_document_that_names_another_issuer_sends_nobody_anywhere(tmp_path: Path) -> None:
    async with forging_rig(tmp_path) as (rig, provider), rig.browser() as browser:
        provider.issuer = "https://evil.test"
        leaving = await browser.get("/_auth/federated/corp?rd=/wiki")
        assert (leaving.status, "Location" in leaving.headers) == (503, False)
        assert "evil.test" not in await leaving.text()


async def test_a_disabled_user_does_not_come_in_by_another_door(tmp_path: Path) -> None:
    async with forging_rig(tmp_path) as (rig, provider):
        user = await rig.directory.get("mira")
        assert user is not None
        for linked in (False, True):
            await rig.directory.replace(replace(user, disabled=True))
            async with rig.browser() as browser:
                assert await arrive(browser, provider) == 403, linked
            await rig.directory.replace(user)
            async with rig.browser() as browser:
                assert await arrive(browser, provider) == 303


async def test_a_providers_second_factor_counts_only_where_it_is_trusted(tmp_path: Path) -> None:
    for trust, place in ((False, "/_auth/verify?rd=/wiki"), (True, "/wiki")):
        async with (
            forging_rig(tmp_path / str(trust), trust_mfa=trust) as (rig, provider),
            rig.browser() as browser,
        ):
            state = (await leave(browser, provider))["state"]
            back = await browser.get(f"/_auth/federated/corp/callback?code=c&state={state}")
            assert back.headers["Location"] == place
            # The account page changes factors: that wants one that was proven here.
            account = await browser.get("/_auth/account")
            if trust:
                form = {"csrf_token": await browser.token("/_auth/logout"), "do": "recovery"}
                account = await browser.post("/_auth/account", form)
            assert account.headers.get("Location") == "/_auth/verify?rd=/_auth/account"


@pytest.mark.parametrize(
    ("amr", "two", "exactly"),
    [
        (("password", "federated"), False, False),
        (("federated", "sms"), True, True),
        (("federated", "upstream_mfa"), True, False),
        (("password", "device"), True, False),
        (("password", "sms"), True, True),
        (("webauthn", "user_verification"), True, True),
        (("federated",), False, False),
    ],
)
def test_two_first_factors_are_one_and_borrowed_ones_count_only_loosely(
    amr: tuple[str, ...], two: bool, exactly: bool
) -> None:
    assert has_factors(Policy(), amr) is two
    assert has_factors(Policy(max_age=60), amr) is exactly
    assert has_two(amr) is exactly


async def test_the_return_address_stays_on_our_hosts(tmp_path: Path) -> None:
    async with forging_rig(tmp_path) as (rig, provider), rig.browser() as browser:
        location = (await browser.get("/_auth/federated/corp?rd=https://evil.test/")).headers["Location"]
        query = parse_qs(urlsplit(location).query)
        provider.nonce = query["nonce"][0]
        back = await browser.get(f"/_auth/federated/corp/callback?code=c&state={query['state'][0]}")
        assert back.headers["Location"] == "/_auth/verify?rd=/"
