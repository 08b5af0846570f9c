"""What people do at a sign-in that is no mistake: long addresses, blanks, odd digits, downloads, old links."""

import itertools
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, quote, unquote, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from tests.rig import PASSWORD, Rig, running_gateway
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """One gateway for all: each test has a user of its own."""

    session = {"sign_out": {"url": "https://www.other.test/", "allowed": ["https://www.other.test"]}}
    folder = tmp_path_factory.mktemp("forgiving")
    async with running_gateway(
        folder,
        session=session,
        sms={"budgets": {"ip_hourly": 500, "prefix_hourly": 500}},
        passwords={"by_email": True},
        branding={"name": "Acme: Intranet"},
    ) as one:
        yield one


NUMBERS = itertools.count(100_000)


async def user(rig: Rig, name: str, **fields: str) -> None:
    """Of a number of their own: budgets of SMS are counted by number."""
    await rig.add_user(name, **{"phone": f"+4915112{next(NUMBERS):06d}", **fields})


@pytest.mark.parametrize("length", [4_200, 16_000])
async def test_a_long_address_survives_the_sign_in(rig: Rig, length: int) -> None:
    name, page = f"long{length}", "/report?filter=" + "abc=d/e&" * (length // 8)
    await user(rig, name)
    async with rig.browser() as browser:
        await browser.session.close()
        limits = {
            "max_line_size": 1 << 16,
            "max_field_size": 1 << 16,
        }  # this client's own are smaller than ours
        browser.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), **limits)
        to_login = (await browser.get(page)).headers["Location"]
        assert parse_qs(urlsplit(to_login).query)["rd"] == [page]
        token = await browser.token(to_login)
        form = {"username": name, "password": PASSWORD, "csrf_token": token, "rd": page}
        to_verify = (await browser.post("/_auth/login", form)).headers["Location"]
        token = await browser.token(to_verify)
        form = {"code": rig.codes[-1], "csrf_token": token, "rd": page}
        assert (await browser.post("/_auth/verify", form)).headers["Location"] == page


async def test_the_part_behind_the_hash_of_a_return_address_survives(rig: Rig) -> None:
    await user(rig, "hash")
    async with rig.browser() as browser:
        page = "/app/x?y=1#/deep?z=ü".replace("ü", "%C3%BC")
        answer = await browser.password("hash", rd=page)
        assert answer.headers["Location"] == f"/_auth/verify?rd={quote(page, safe='/')}"
        token = await browser.token(answer.headers["Location"])
        form = {"code": rig.codes[-1], "csrf_token": token, "rd": page}
        assert (await browser.post("/_auth/verify", form)).headers["Location"] == page


@pytest.mark.parametrize("typed", ["blanks ", " blanks", "blanks\u00a0", "Blanks\t", "\u3000blanks"])
async def test_blanks_around_a_username_do_not_count(rig: Rig, typed: str) -> None:
    if await rig.directory.get("blanks") is None:
        await user(rig, "blanks")
    async with rig.browser() as browser:
        assert (await browser.password(typed)).status == 303


async def test_a_mail_address_is_a_username_where_it_is_switched_on_and_one_users_alone(rig: Rig) -> None:
    await user(rig, "mailed", email="Mailed.One@Example.test")
    await user(rig, "twin-a", email="twin@example.test")
    await user(rig, "twin-b", email="twin@example.test")
    async with rig.browser() as browser:
        assert "Username or e-mail address" in await (await browser.get("/_auth/login")).text()
        assert (await browser.password("mailed.one@example.test")).status == 303
    async with rig.browser() as browser:
        assert (await browser.password("twin@example.test")).status == 401
        assert (await browser.password("nobody@example.test")).status == 401


async def test_guesses_by_mail_address_are_counted_for_the_user(rig: Rig) -> None:
    await user(rig, "counted", email="counted@example.test")
    async with rig.browser() as browser:
        names = ["counted", "counted@example.test"] * 5
        statuses = [(await browser.password(name, "wrong")).status for name in names]
        assert statuses == [401] * 10
        assert (await browser.password("counted@example.test")).status == 429


@pytest.mark.parametrize(
    "shape",
    [
        "{}",
        "{:.3} {:.3}",
        "\u00a0{}\u2009",
        "{0[0]}{0[1]}{0[2]}.{0[3]}{0[4]}{0[5]}",
        "{0[0]}{0[1]}{0[2]}\u2009{0[3]}{0[4]}{0[5]}",
        "{} is your Acme code. Never share it.",
        "Ihr Code: {0[0]}{0[1]}{0[2]}-{0[3]}{0[4]}{0[5]}!",
        "{0} is your code. Never share it.\n\n@sub.test #{0}",
    ],
)
async def test_a_code_is_read_however_it_was_typed_or_pasted(rig: Rig, shape: str) -> None:
    name = f"typed{next(NUMBERS)}"
    await user(rig, name)
    async with rig.browser() as browser:
        await browser.password(name)
        await browser.token("/_auth/verify")
        code = rig.codes[-1]
        typed = f"{code[:3]} {code[3:]}" if ":.3" in shape else shape.format(code)
        assert (await browser.code(typed)).status == 303


async def test_full_width_and_arabic_digits_are_digits(rig: Rig) -> None:
    for name, zero in (("wide", "\uff10"), ("arabic", "\u0660")):
        await user(rig, name)
        async with rig.browser() as browser:
            await browser.password(name)
            await browser.token("/_auth/verify")
            typed = "".join(chr(ord(zero) + int(digit)) for digit in rig.codes[-1])
            assert (await browser.code(typed)).status == 303


async def test_the_field_of_a_code_refuses_nothing_that_we_can_read(rig: Rig) -> None:
    await user(rig, "field")
    async with rig.browser() as browser:
        await browser.password("field")
        page = await (await browser.get("/_auth/verify")).text()
        field = page[page.index('id="code"') : page.index(">", page.index('id="code"'))]
        assert "pattern=" not in field
        assert 'maxlength="200"' in field


async def test_a_download_whose_session_has_ended_leads_to_the_sign_in(rig: Rig) -> None:
    async with rig.browser() as browser:
        fetched = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}
        answer = await browser.get("/report.pdf", **fetched)
        assert answer.status == 303
        assert answer.headers["Location"] == "/_auth/login?rd=/report.pdf"
        script = await browser.get("/api", **{**fetched, "Sec-Fetch-Mode": "cors"})
        assert script.status == 401


@pytest.mark.parametrize(
    ("asked", "lands"),
    [
        ("/bye?x=1", "/bye?x=1"),
        ("https://www.other.test/bye", "https://www.other.test/bye"),
        ("https://evil.test/", "https://www.other.test/"),
        ("https://www.other.test.evil.test/", "https://www.other.test/"),
        ("https://www.other.test@evil.test/", "https://www.other.test/"),
        ("//evil.test", "https://www.other.test/"),
        ("", "https://www.other.test/"),
    ],
)
async def test_signing_out_leads_where_the_link_says_if_that_is_ours_or_listed(
    rig: Rig, asked: str, lands: str
) -> None:
    name = f"out{next(NUMBERS)}"
    await user(rig, name)
    async with rig.browser() as browser:
        await browser.sign_in(name)
        page = f"/_auth/logout?rd={quote(asked, safe='')}"
        token = await browser.token(page)
        answer = await browser.post(page, {"csrf_token": token, "rd": asked})
        assert (answer.status, answer.headers["Location"]) == (303, lands)
        assert (await browser.get("/")).status == 303


async def test_who_is_signed_out_already_is_offered_the_way_on(rig: Rig) -> None:
    async with rig.browser() as browser:
        page = await (await browser.get("/_auth/logout?rd=/bye")).text()
        assert '<a class="button quiet wide" href="/bye">' in page
        foreign = await (await browser.get("/_auth/logout?rd=https://evil.test/")).text()
        assert "evil.test" not in foreign.partition("<footer>")[0]


async def test_a_used_reset_link_says_so_when_it_is_opened(rig: Rig) -> None:
    await user(rig, "reset", email="reset@example.test")
    async with rig.browser() as browser:
        token = await browser.token("/_auth/reset")
        await browser.post("/_auth/reset", {"csrf_token": token, "username": "reset"})
        link = unquote((await _mailed(rig)).rpartition("token=")[2].split()[0])
        first = await browser.get(f"/_auth/reset?token={link}")
        assert (first.status, "Continue" in await first.text()) == (200, True)
        token = await browser.token(f"/_auth/reset?token={link}")
        assert (await browser.post("/_auth/reset", {"csrf_token": token, "token": link})).status == 200
        again = await browser.get(f"/_auth/reset?token={link}")
        assert again.status == 410
        assert "used already or is too old" in await again.text()
        assert (await browser.get("/_auth/reset?token=made-up")).status == 410


async def _mailed(rig: Rig) -> str:

    return await until(
        lambda: rig.terminal.getvalue() if "reset?token=" in rig.terminal.getvalue() else "",
        "a link is mailed",
    )


async def test_the_label_of_an_authenticator_app_has_no_colon_but_its_own(rig: Rig) -> None:
    await user(rig, "label", phone="")
    async with rig.browser() as browser:
        await browser.password("label")
        page = await (await browser.get("/_auth/enrol?factor=totp&rd=/")).text()
        uri = page[page.index("otpauth://") :].partition('"')[0]
        assert uri.startswith("otpauth://totp/Acme%20Intranet:label?")
        assert "issuer=Acme%20Intranet" in uri
