"""Providers as they are in the field: Cognito's strings, mail that only userinfo vouches for, signed userinfo, answers
by form post (Apple), one issuer for many tenants (Entra)."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.programmable_provider import ProgrammableProvider, provider_and_gateway
from tests.rig import Browser, Rig


async def come_back(
    rig: Rig, provider: ProgrammableProvider, browser: Browser, **more: str
) -> aiohttp.ClientResponse:
    leaving = await browser.get("/_auth/federated/corp?rd=/wiki")
    assert leaving.status == 303, await leaving.text()
    asked = provider.begun(leaving.headers["Location"])
    answer = urlencode({"code": "the-code", "state": asked["state"], **more})
    return await browser.get(f"/_auth/federated/corp/callback?{answer}")


async def signs_in(folder: Path, provider: ProgrammableProvider, **settings: Any) -> int:
    async with provider_and_gateway(folder, provider, **settings) as (rig, _), rig.browser() as browser:
        await rig.add_user("mira", email="mira@example.com")
        return (await come_back(rig, provider, browser)).status


MAIL = {"email": "mira@example.com"}


@pytest.mark.parametrize(
    ("id_token", "userinfo", "status"),
    [
        ({**MAIL, "email_verified": True}, {}, 303),
        ({**MAIL, "email_verified": "true"}, {}, 303),
        ({**MAIL, "email_verified": "false"}, {}, 403),
        ({**MAIL, "email_verified": 1}, {}, 403),
        (MAIL, {**MAIL, "email_verified": True}, 303),
        (MAIL, {"email": "other@example.com", "email_verified": True}, 403),
        (MAIL, {"email_verified": True}, 403),
        ({}, {**MAIL, "email_verified": "true"}, 303),
        ({**MAIL, "email_verified": False}, {**MAIL, "email_verified": True}, 403),
    ],
)
async def test_an_address_counts_when_the_provider_vouches_for_it(
    tmp_path: Path, id_token: dict[str, Any], userinfo: dict[str, Any], status: int
) -> None:
    assert await signs_in(tmp_path, ProgrammableProvider(id_token=id_token, userinfo=userinfo)) == status


@pytest.mark.parametrize(("audience", "status"), [("gateway", 303), ("somebody-else", 403)])
async def test_userinfo_may_be_signed_and_is_then_for_us(tmp_path: Path, audience: str, status: int) -> None:
    provider = ProgrammableProvider(
        userinfo={**MAIL, "email_verified": True}, userinfo_as_jwt=True, userinfo_audience=audience
    )
    assert await signs_in(tmp_path, provider) == status


async def test_an_answer_by_form_post_goes_the_way_of_the_others(tmp_path: Path) -> None:
    provider = ProgrammableProvider(id_token={**MAIL, "email_verified": "true"})
    async with (
        provider_and_gateway(tmp_path, provider, response_mode="form_post") as (rig, _),
        rig.browser() as browser,
        aiohttp.ClientSession() as elsewhere,
    ):
        await rig.add_user("mira", email="mira@example.com")
        leaving = await browser.get("/_auth/federated/corp?rd=/wiki")
        asked = provider.begun(leaving.headers["Location"])
        assert asked["response_mode"] == "form_post"
        form = {"code": "the-code", "state": asked["state"], "user": '{"name": {"firstName": "M"}}'}
        # A browser posts across sites without our cookie (SameSite=Lax), and with the provider's origin.
        posted = await elsewhere.post(
            f"{rig.url}/_auth/federated/corp/callback",
            data=form,
            headers={"Origin": "https://appleid.apple.com", "Sec-Fetch-Site": "cross-site"},
            allow_redirects=False,
        )
        assert posted.status == 303
        back = await browser.get(posted.headers["Location"])
        assert (back.status, back.headers["Location"]) == (303, "/_auth/verify?rd=/wiki")


async def test_a_form_from_elsewhere_can_not_begin_a_session_by_itself(tmp_path: Path) -> None:
    provider = ProgrammableProvider(id_token={**MAIL, "email_verified": True})
    async with (
        provider_and_gateway(tmp_path, provider, response_mode="form_post") as (rig, _),
        rig.browser() as attacker,
        rig.browser() as victim,
    ):
        await rig.add_user("mira", email="mira@example.com")
        asked = provider.begun((await attacker.get("/_auth/federated/corp?rd=/wiki")).headers["Location"])
        answer = urlencode({"code": "the-code", "state": asked["state"]})
        refused = await victim.get(f"/_auth/federated/corp/callback?{answer}")
        assert refused.status == 403


TENANT = "11111111-2222-3333-4444-555555555555"


def entra(tenant: str, issuer_in_token: str = "") -> ProgrammableProvider:
    template = "https://login.example.test/{tenantid}/v2.0"
    return ProgrammableProvider(
        issuer=template,
        issuer_in_token=issuer_in_token or template.replace("{tenantid}", tenant),
        id_token={**MAIL, "email_verified": True, "tid": tenant},
    )


@pytest.mark.parametrize(
    ("tenant", "issuer_in_token", "status"),
    [
        (TENANT, "", 303),
        ("99999999-2222-3333-4444-555555555555", "", 403),
        (TENANT, "https://login.example.test/99999999-2222-3333-4444-555555555555/v2.0", 403),
        (TENANT, "https://login.example.test/{tenantid}/v2.0", 403),
    ],
)
async def test_one_issuer_for_many_tenants_lets_the_named_ones_in(
    tmp_path: Path, tenant: str, issuer_in_token: str, status: int
) -> None:
    assert await signs_in(tmp_path, entra(tenant, issuer_in_token), tenants=[TENANT]) == status


async def test_an_issuer_for_many_tenants_lets_nobody_in_while_none_is_named(tmp_path: Path) -> None:
    async with provider_and_gateway(tmp_path, entra(TENANT)) as (rig, _), rig.browser() as browser:
        assert (await browser.get("/_auth/federated/corp?rd=/wiki")).status == 503
