"""Rule 5: whoever signs in ends at one of our own hosts, through every door that takes a return address."""

from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.rig import PASSWORD, running_gateway

HOSTILE = [
    line
    for line in (Path(__file__).parent.parent / "data" / "hostile_return_urls.txt")
    .read_text("utf-8")
    .splitlines()
    if line.strip()
]


async def test_no_hostile_address_survives_the_login_form(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        for rd in HOSTILE:  # signed in already: the page sends people on at once
            rig.clock.advance(121)  # else it looks like a browser that goes round in circles
            response = await browser.get(f"/_auth/login?rd={quote(rd)}")
            assert (response.status, response.headers["Location"]) == (303, "/"), rd
            rig.clock.advance(
                121
            )  # again and again at once would be a circle (gateway/portal/signin/next_step.py)


@pytest.mark.parametrize("rd", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)"])
async def test_no_hostile_address_survives_either_step(tmp_path: Path, rd: str) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        token = await browser.token(f"/_auth/login?rd={quote(rd)}")
        form = {"username": "alice", "password": PASSWORD, "csrf_token": token, "rd": rd}
        after_password = await browser.post("/_auth/login", form)
        assert after_password.headers["Location"] == "/_auth/verify?rd=/"
        after_code = await browser.code(rd=quote(rd))
        assert after_code.headers["Location"] == "/"


async def test_a_host_of_another_route_is_a_fine_place_to_return_to(tmp_path: Path) -> None:
    routes = [{"host": host, "path": "/", "upstream": "UPSTREAM"} for host in ("127.0.0.1", "wiki.test")]
    async with running_gateway(tmp_path, routes=routes) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        response = await browser.get(f"/_auth/login?rd={quote('https://wiki.test/page')}")
        assert urlsplit(response.headers["Location"]).hostname == "wiki.test"
        response = await browser.get(f"/_auth/login?rd={quote('https://other.test/page')}")
        assert response.headers["Location"] == "/"
