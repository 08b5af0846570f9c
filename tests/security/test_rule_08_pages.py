"""Rule 8: every answer of ours carries the headers that keep pages from being framed, sniffed, cached or scripted."""

from pathlib import Path

from tests.rig import running_gateway

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


async def test_pages_and_errors_carry_the_headers(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        pages = {path: await browser.get(path) for path in ("/_auth/login", "/_auth/logout", "/_auth/none")}
        pages["json"] = await browser.session.get(rig.url + "/", headers={"Accept": "application/json"})
        pages["wrong"] = await browser.password(password="not the password")
        await browser.password()
        pages["/_auth/verify"] = await browser.get("/_auth/verify")
        for name, response in pages.items():
            for header, value in ALWAYS.items():
                assert response.headers[header] == value, (name, header)
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy, name


async def test_the_code_field_helps_phones_to_fill_it_in(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        page = await (await browser.get("/_auth/verify")).text()
        assert 'autocomplete="one-time-code"' in page
        assert 'inputmode="numeric"' in page
        assert f"@127.0.0.1 #{rig.codes[-1]}" in rig.terminal.getvalue()


async def test_nothing_of_a_user_is_put_into_a_page_unescaped(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        attack = '"><script>alert(1)</script>'
        response = await browser.password(attack, "whatever it is")
        page = await response.text()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


async def test_our_redirects_are_not_cached_and_tell_no_secret(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        response = await browser.get("/secret?token=1")
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Server"] == "auth-gateway"
        response = await browser.get("/_auth/verify?rd=/x")
        assert response.status == 303
        assert response.headers["Cache-Control"] == "no-store"
