"""Who comes in by an account elsewhere: nobody who is disabled, and with no more factors than were proven."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.config.schema import Policy
from gateway.policy.decide import has_factors, has_two
from tests.forging_provider import arrive, forging_rig, leave


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
