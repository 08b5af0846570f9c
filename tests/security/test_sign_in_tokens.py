"""An old sign-in form is taken only with a token of ours, from our own page, in a browser that has our cookie."""

from pathlib import Path

import pytest

from gateway.portal.forms import SignInTokens
from tests.rig import PASSWORD, FakeClock, running_gateway

CASES = {
    "another site": {"Origin": "https://evil.test"},
    "another site on the same host": {"Sec-Fetch-Site": "same-site"},
    "a browser that does not say": {"Origin": ""},
}


@pytest.mark.parametrize("case", CASES)
async def test_a_token_that_an_attacker_fetched_is_worthless_elsewhere(tmp_path: Path, case: str) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as attacker, rig.browser() as victim:
        await rig.add_user()
        token = await attacker.token("/_auth/login")
        await victim.token("/_auth/login")
        form = {"username": "alice", "password": PASSWORD, "csrf_token": token, "rd": "/"}
        headers = {key: value for key, value in {"Origin": rig.url, **CASES[case]}.items() if value}
        response = await victim.session.post(
            rig.url + "/_auth/login", data=form, headers=headers, allow_redirects=False
        )
        assert response.status == 403
        assert (await victim.post("/_auth/login", form)).status == 303  # from our own page it is an old form


async def test_without_any_cookie_of_ours_no_form_is_taken(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser, rig.browser() as bare:
        await rig.add_user()
        token = await browser.token("/_auth/login")
        form = {"username": "alice", "password": PASSWORD, "csrf_token": token, "rd": "/"}
        assert (await bare.post("/_auth/login", form)).status == 403


def test_only_tokens_made_here_and_lately_are_known() -> None:
    clock, keys = FakeClock(), [b"new", b"old"]
    tokens = SignInTokens(lambda: keys, clock)
    token = tokens.new()
    assert tokens.is_recent(token)
    keys.insert(0, b"newest")
    assert tokens.is_recent(token)  # a rotated key still knows what it made
    text, _, signature = token.rpartition(".")
    forged = (
        f"{text[:-1]}9.{signature}",
        f"{text}.{signature[:-1]}",
        "",
        "a.b.c",
        f"x.٣.{signature}",
        "." * 9,
    )
    assert not any(tokens.is_recent(one) for one in forged)
    clock.advance(12 * 3600 + 1)
    assert not tokens.is_recent(token)
