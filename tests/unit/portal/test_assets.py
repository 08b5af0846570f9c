from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from gateway.config.schema import Branding
from gateway.errors import ConfigError
from gateway.portal.rendering import assets
from gateway.portal.rendering.render import Pages
from tests.page_samples import ENGLISH, application
from tests.sign_in_samples import LOGIN

Client = TestClient[web.Request, web.Application]
ClientFor = Callable[[web.Application], Awaitable[Client]]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(24)
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'


def pages(**branding: Any) -> Pages:
    return Pages(Branding(**branding))


async def test_an_address_with_the_right_hash_is_kept_for_ever(aiohttp_client: ClientFor) -> None:
    ours = pages()
    client = await aiohttp_client(application(ours))
    response = await client.get(ours.asset_url("style.css"))
    assert response.status == 200
    assert response.content_type == "text/css"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("query", ["", "?v=", "?v=0000000000000000"])
async def test_an_address_with_another_hash_is_asked_for_again(aiohttp_client: ClientFor, query: str) -> None:
    client = await aiohttp_client(application(pages()))
    response = await client.get(f"/_auth/static/style.css{query}")
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-cache"


async def test_an_unchanged_file_is_not_sent_twice(aiohttp_client: ClientFor) -> None:
    client = await aiohttp_client(application(pages()))
    first = await client.get("/_auth/static/app.js")
    again = await client.get("/_auth/static/app.js", headers={"If-None-Match": first.headers["ETag"]})
    other = await client.get("/_auth/static/app.js", headers={"If-None-Match": '"other"'})
    assert (again.status, await again.read()) == (304, b"")
    assert other.status == 200


@pytest.mark.parametrize("path", ["", "nothing.css", "../style.css", "..%2fstyle.css", "%2e%2e/__main__.py"])
async def test_nothing_else_is_served(aiohttp_client: ClientFor, path: str) -> None:
    client = await aiohttp_client(application(pages()))
    assert (await client.get(f"/_auth/static/{path}")).status == 404


def test_another_colour_is_another_address() -> None:
    assert pages(color="#112233").asset_url("brand.css") != pages(color="#332211").asset_url("brand.css")
    assert pages(color="#112233").asset_url("style.css") == pages(color="#332211").asset_url("style.css")


@pytest.mark.parametrize(("body", "content_type"), [(PNG, "image/png"), (SVG, "image/svg+xml")])
async def test_the_logo_from_the_configuration_is_served(
    aiohttp_client: ClientFor, tmp_path: Path, body: bytes, content_type: str
) -> None:
    file = tmp_path / "logo"
    file.write_bytes(body)
    ours = pages(logo_file=file)
    client = await aiohttp_client(application(ours))
    response = await client.get(ours.asset_url("logo"))
    assert (response.content_type, await response.read()) == (content_type, body)
    assert "sandbox" in response.headers["Content-Security-Policy"]
    text = ours.render("login.html", reader=ENGLISH, **LOGIN).text
    assert text is not None
    assert '<img class="logo"' in text


def test_without_a_logo_there_is_a_mark_in_the_brand_colour() -> None:
    assert b'fill="#123456"' in assets.load(Branding(color="#123456"))["favicon.svg"].body


@pytest.mark.parametrize("body", [None, b"GIF89a", b"<html>"])
def test_a_logo_that_cannot_be_used_is_a_mistake_in_the_configuration(
    tmp_path: Path, body: bytes | None
) -> None:
    file = tmp_path / "logo"
    if body is not None:
        file.write_bytes(body)
    with pytest.raises(ConfigError) as raised:
        pages(logo_file=file)
    assert [mistake.key for mistake in raised.value.mistakes] == ["branding.logo_file"]
