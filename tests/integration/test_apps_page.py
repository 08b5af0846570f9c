"""The page of a user's apps: what stands on it, for whom, and what it never names."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from gateway.proxy.favicon import LARGEST
from tests.rig import Browser, Rig, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20
ASKED: list[tuple[str, str, set[str]]] = []
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


async def upstream(request: web.Request) -> web.StreamResponse:
    """An app with a favicon, one that says a page is one, and one that never ends."""
    ASKED.append((request.host, request.path, set(request.headers)))
    if request.host.startswith("wiki") and request.path == "/favicon.ico":
        return web.Response(body=PNG, content_type="text/html")
    if request.host.startswith("evil") and request.path.startswith("/favicon"):
        return web.Response(body=b"<html><script>alert(1)</script>", content_type="image/png")
    if request.host.startswith("large") and request.path == "/favicon.ico":
        return web.Response(body=PNG + b"x" * LARGEST)
    if request.host.startswith("moved") and request.path == "/favicon.ico":
        return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/favicon.ico"})
    return web.Response(status=404)


def route(name: str, **values: object) -> dict[str, object]:
    two = {"policy": {"require": "one_factor", **values.pop("policy", {})}}  # type: ignore[dict-item]
    return {"host": f"{name}.test", "path": "/", "upstream": "UPSTREAM", "name": name, **two, **values}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    folder = tmp_path_factory.mktemp("apps")
    picture = folder / "own.svg"
    picture.write_bytes(SVG)
    routes = [
        route("wiki", app={"name": "Wiki <b>", "description": "What we know", "group": "Work"}),
        route("evil"),
        route("large"),
        route("moved"),
        route("own", app={"name": "Own", "icon": str(picture), "group": "Work", "url": "/start?x=1"}),
        route("secret", app={"name": "Secret plans", "hidden": True}),
        route("payroll", policy={"groups": ["finance"]}, app={"name": "Payroll"}),
        route("editors", policy={"groups": ["editors"]}, app={"name": "Editors' desk"}),
        route("network", policy={"networks": ["192.0.2.0/24"]}, app={"name": "Plant control"}),
        route("closed", policy={"require": "deny"}, app={"name": "Closed shop"}),
        {"host": "127.0.0.1", "path": "/part", "upstream": "UPSTREAM", "policy": {"require": "one_factor"}},
        {"host": "*.many.test", "path": "/", "upstream": "UPSTREAM", "policy": {"require": "one_factor"}},
    ]
    offered = [{"group": "editors", "approvers": ["leads"], "longest": "4h"}]
    values = {"routes": routes, "access_requests": offered}
    async with running_gateway(folder, handler=upstream, **values) as one:
        for name in ("mira", "pins", "other"):
            await one.add_user(name)
        await one.add_user("rich", groups=("finance",))
        yield one


async def names(browser: Browser, page: str = "/") -> list[str]:
    """The names of the apps on the page, in its order."""
    text = await (await browser.get(page)).text()
    return re.findall(r'<b class="app-name"><bdi>(.*?)</bdi>', text)


async def signed_in(rig: Rig, browser: Browser, name: str = "mira") -> None:
    assert (await browser.password(name)).headers["Location"] == "/"


@pytest.mark.parametrize("page", ["/", "/_auth/", "/_auth"])
async def test_a_stranger_signs_in_first_and_is_told_no_name(rig: Rig, page: str) -> None:
    async with rig.browser() as browser:
        answer = await browser.get(page)
        assert answer.status == 303
        assert answer.headers["Location"].startswith("/_auth/login?rd=/")


async def test_the_portal_shows_what_its_user_may_open_and_ask_for(rig: Rig) -> None:
    async with rig.browser() as browser:
        await signed_in(rig, browser)
        expected = ["evil", "large", "moved", "Wiki &lt;b&gt;", "Own", "Editors&#39; desk"]
        for page in ("/", "/_auth/", "/_auth"):
            assert await names(browser, page) == expected
        text = await (await browser.get("/")).text()
        assert f'href="http://wiki.test:{rig.port}/"' in text
        assert f'href="http://own.test:{rig.port}/start?x=1"' in text
        assert 'href="/_auth/access?rd=http%3A//editors.test' in text
        for never in (
            "Secret",
            "secret",
            "Payroll",
            "payroll",
            "Plant",
            "network",
            "Closed",
            "closed",
            "many",
        ):
            assert never not in text


async def test_a_group_shows_its_members_more(rig: Rig) -> None:
    async with rig.browser() as browser:
        await signed_in(rig, browser, "rich")
        assert "Payroll" in await names(browser)


async def test_pins_come_first_and_are_the_users_own(rig: Rig) -> None:
    async with rig.browser() as browser, rig.browser() as other:
        await signed_in(rig, browser, "pins")
        await signed_in(rig, other, "other")
        text = await (await browser.get("/")).text()
        id = re.findall(r'name="app" value="([0-9a-f]+)"', text)[-1]
        form = {"csrf_token": await browser.token("/"), "app": id, "do": "pin"}
        answer = await browser.post("/_auth/", form)
        assert (answer.status, answer.headers["Location"]) == (303, "/_auth/")
        assert (await names(browser))[0] == "Own"
        assert (await names(other))[0] == "evil"
        assert (await browser.post("/_auth/", form | {"csrf_token": "x"})).status == 303
        await browser.post("/_auth/", form | {"do": "unpin"})
        assert (await names(browser))[0] == "evil"


async def test_an_app_that_nobody_may_know_of_can_be_neither_pinned_nor_seen(rig: Rig) -> None:
    async with rig.browser() as rich, rig.browser() as browser:
        await signed_in(rig, rich, "rich")
        await signed_in(rig, browser)
        text = await (await rich.get("/")).text()
        (id,) = re.findall(r'/_auth/icon/([0-9a-f]+)"[^>]*>\s*<span><b class="app-name"><bdi>Payroll', text)
        assert (await rich.get(f"/_auth/icon/{id}")).status == 200
        refused, unknown = (
            await browser.get(f"/_auth/icon/{id}"),
            await browser.get("/_auth/icon/0123456789abcdef"),
        )
        assert (refused.status, unknown.status) == (404, 404)
        form = {"csrf_token": await browser.token("/"), "app": id, "do": "pin"}
        assert (await browser.post("/_auth/", form)).status == 404
        async with rig.browser() as stranger:
            assert (await stranger.get(f"/_auth/icon/{id}")).status == 404


@pytest.mark.parametrize(
    ("name", "kind", "body"),
    [
        ("Wiki &lt;b&gt;", "image/png", PNG),
        ("Own", "image/svg+xml", SVG),
        ("evil", "image/svg+xml", b">E<"),
        ("large", "image/svg+xml", b">L<"),
        ("moved", "image/svg+xml", b">M<"),
    ],
)
async def test_a_picture_is_the_file_the_favicon_or_a_letter(
    rig: Rig, name: str, kind: str, body: bytes
) -> None:
    async with rig.browser() as browser:
        await signed_in(rig, browser)
        text = await (await browser.get("/")).text()
        (id,) = re.findall(rf'/_auth/icon/([0-9a-f]+)"[^>]*>\s*<span><b class="app-name"><bdi>{name}<', text)
        answer = await browser.get(f"/_auth/icon/{id}")
        assert answer.headers["Content-Type"] == kind
        assert body in await answer.read()
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_favicon_is_asked_for_once_without_anybodys_cookie(rig: Rig) -> None:
    async with rig.browser() as browser:
        await signed_in(rig, browser)
        text = await (await browser.get("/")).text()
        (id,) = re.findall(r'/_auth/icon/([0-9a-f]+)"[^>]*>\s*<span><b class="app-name"><bdi>Wiki', text)
        for _ in range(3):
            await browser.get(f"/_auth/icon/{id}")
        asked = [headers for host, path, headers in ASKED if host == f"wiki.test:{rig.port}"]
        assert len(asked) == 1
        assert not {"Cookie", "Remote-User", "Authorization"}.intersection(asked[0])


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("http://wiki.test/page", "Wiki &lt;b&gt;"),
        ("http://secret.test/page", "secret.test"),
        ("http://closed.test/page", "closed.test"),
    ],
)
async def test_the_sign_in_says_what_it_is_for_unless_that_is_hidden(rig: Rig, path: str, named: str) -> None:
    async with rig.browser() as browser:
        text = await (await browser.get(f"/_auth/login?rd={path}")).text()
        assert f"Sign in to open <b>{named}" in text
        assert "Secret plans" not in text
        assert "Closed shop" not in text


async def test_who_has_a_page_of_their_own_is_led_there(tmp_path: Path) -> None:
    server, routes = {"home_url": "https://intranet.test/"}, [route("wiki")]
    async with running_gateway(tmp_path, server=server, routes=routes) as rig, rig.browser() as browser:
        for page in ("/", "/_auth/"):
            answer = await browser.get(page)
            assert (answer.status, answer.headers["Location"]) == (303, "https://intranet.test/")
        assert 'href="https://intranet.test/" data-back' in await (await browser.get("/_auth/login")).text()


async def test_apps_that_ask_for_two_factors_ask_for_them_before_they_are_named(tmp_path: Path) -> None:
    routes = [route("wiki", policy={"require": "two_factor"}), route("open")]
    async with running_gateway(tmp_path, routes=routes) as rig, rig.browser() as browser:
        await rig.add_user()
        answer = await browser.password()
        assert answer.headers["Location"] == "/_auth/verify?rd=/"
        page = await browser.get("/")
        assert (page.status, page.headers["Location"]) == (303, "/_auth/verify?rd=/")
        await browser.code()
        assert await names(browser) == ["wiki", "open"]


async def test_a_route_at_the_root_of_the_portals_host_keeps_it(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        assert "Remote-User" in await (await browser.get("/")).text()
        assert (await names(browser, "/_auth/")) == ["127.0.0.1"]
