"""Sign-in through other accounts: one browser, one use, one factor; ID tokens are believed only when all is right."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.forging_provider import KEY, OTHER, arrive, come_back, forging_rig, leave, sign


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
