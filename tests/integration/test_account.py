"""The account page: look, change, end; each change asks for a second factor proven just now."""

import re
from pathlib import Path

from tests.integration.test_factor_enrolment import begin_totp, code_of, enrol_totp
from tests.mailbox import running_mailbox
from tests.rig import PASSWORD, Browser, running_gateway

ACCOUNT = "/_auth/account"
NEW = "a quite different sentence"


async def act(browser: Browser, do: str, **fields: str) -> tuple[int, str]:
    """Post one of the page's forms; the status and where it leads, or the page that came back."""
    form = {"csrf_token": await browser.token(ACCOUNT), "do": do, **fields}
    response = await browser.post(ACCOUNT, form)
    return response.status, response.headers.get("Location") or await response.text()


async def page(browser: Browser) -> str:
    response = await browser.get(ACCOUNT)
    assert response.status == 200, response.headers.get("Location")
    return await response.text()


def ids(text: str, do: str) -> list[str]:
    """The ids of the forms that do `do`."""
    return re.findall(rf'name="do" value="{do}">\s*<input type="hidden" name="id" value="([^"]+)"', text)


async def add_app(browser: Browser, name: str = "") -> str:
    secret, token = await begin_totp(browser, ACCOUNT)
    form = {
        "factor": "totp",
        "code": code_of(browser.rig, secret),
        "csrf_token": token,
        "rd": ACCOUNT,
        "name": name,
    }
    assert (await browser.post("/_auth/enrol", form)).status in (200, 303)
    return secret


async def test_strangers_sign_in_and_a_password_alone_shows_nothing(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        assert (await browser.get(ACCOUNT)).headers["Location"] == f"/_auth/login?rd={ACCOUNT}"
        response = await browser.password(rd=ACCOUNT)
        assert response.headers["Location"] == f"/_auth/verify?rd={ACCOUNT}"
        assert (await browser.get(ACCOUNT)).headers["Location"] == f"/_auth/verify?rd={ACCOUNT}"
        assert (await browser.code(rd=ACCOUNT)).headers["Location"] == ACCOUNT
        text = await page(browser)
        assert "+49•••••678" in text
        assert "4915112345678" not in text


async def test_an_hour_after_the_second_factor_one_may_look_but_not_change(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        await add_app(browser)
        token = await browser.token(ACCOUNT)
        rig.clock.advance(901)
        text = await page(browser)
        assert "confirm that it’s you" in text
        assert 'value="remove"' not in text
        for do in ("rename", "prefer", "remove", "recovery", "password"):
            answer = await browser.post(ACCOUNT, {"csrf_token": token, "do": do, "id": "sms", "kind": "totp"})
            assert (answer.status, answer.headers["Location"]) == (303, f"/_auth/verify?rd={ACCOUNT}")
        user = await rig.directory.get("alice")
        assert user is not None
        assert user.phone


async def test_factors_are_named_preferred_and_removed_but_not_the_last(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        text = await page(browser)
        assert 'value="remove"' not in text
        assert (await act(browser, "remove", id="sms"))[0] == 409
        await add_app(browser, "Old phone")
        text = await page(browser)
        assert "Old phone" in text
        [app, *_] = ids(text, "rename")
        assert await act(browser, "rename", id=app, name="  New\tphone ") == (303, f"{ACCOUNT}?done=renamed")
        assert "New phone" in await page(browser)
        assert (await act(browser, "prefer", kind="totp"))[0] == 303
        async with rig.browser() as other:
            await other.password()
            assert "authenticator app" in await (await other.get("/_auth/verify")).text()
        assert (await act(browser, "remove", id="sms"))[0] == 303
        user = await rig.directory.get("alice")
        assert user is not None
        assert user.phone == ""
        assert (await act(browser, "remove", id=app))[0] == 409


async def test_new_recovery_codes_void_the_old(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(phone="")
        await browser.password()
        _, old = await enrol_totp(rig, browser)
        status, text = await act(browser, "recovery")
        new = re.findall(r"<li><code>([a-z0-9-]+)</code>", text)
        assert (status, len(set(new))) == (200, 10)
        assert not set(new) & set(old)
        assert "10 of them" in await page(browser)
        async with rig.browser() as other:
            await other.password()
            assert (await other.code(old[0], method="recovery")).status == 401
            assert (await other.code(new[0], method="recovery")).status == 303
        assert "9 of them" in await page(browser)


async def test_a_new_password_needs_the_old_one_and_ends_all_other_sessions(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser, rig.browser() as other:
        await rig.add_user(email="alice@example.com")
        await other.sign_in()
        rig.clock.advance(60)
        await browser.sign_in()
        before = browser.cookie()
        assert (await act(browser, "password", old_password="wrong", password=NEW))[0] == 401
        status, text = await act(browser, "password", old_password=PASSWORD, password="short")
        assert (status, "at least" in text) == (422, True)
        answer = await act(browser, "password", old_password=PASSWORD, password=NEW)
        assert answer == (303, f"{ACCOUNT}?done=password")
        assert browser.cookie() != before
        assert (await browser.get("/")).status == 200
        async with rig.browser() as thief:
            assert (await thief.get("/", Cookie=f"auth_session={before}")).status == 303
            assert (await thief.password(password=PASSWORD)).status == 401
            assert (await thief.password(password=NEW)).status == 303
        assert (await other.get("/", **{"Cache-Control": "no-cache"})).status == 303
        assert "The password was changed" in rig.terminal.getvalue()


async def test_wrong_old_passwords_are_counted_like_those_of_strangers(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        statuses = [
            (await act(browser, "password", old_password=f"wrong {n}", password=NEW))[0] for n in range(11)
        ]
        assert statuses == [401] * 10 + [429]


async def test_sessions_are_listed_and_ended_one_by_one_or_all_at_once(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as mine, rig.browser() as second:
        await rig.add_user()
        await rig.add_user("bob", phone="+4915112345679")
        await mine.sign_in()
        await second.sign_in()
        async with rig.browser() as third, rig.browser() as bobs, rig.browser() as bobs_other:
            for browser, name in ((third, "alice"), (bobs, "bob"), (bobs_other, "bob")):
                await browser.sign_in(name)
            [foreign] = ids(await page(bobs), "end")
            assert (await act(mine, "end", id=foreign))[0] == 409
            assert (await bobs_other.get("/")).status == 200
            one, _ = ids(await page(mine), "end")
            assert (await act(mine, "end", id=one))[0] == 303
            assert sorted([(await browser.get("/")).status for browser in (second, third)]) == [200, 303]
            assert (await act(mine, "end_others"))[0] == 303
            assert [(await browser.get(ACCOUNT)).status for browser in (second, third)] == [303, 303]
            assert (await mine.get("/")).status == 200
            assert (await bobs.get("/")).status == 200


async def test_the_phone_is_changed_by_a_code_to_the_new_number_and_the_owner_hears_of_it(
    tmp_path: Path,
) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(email="alice@example.com")
        await browser.sign_in()
        token = await browser.token(f"/_auth/enrol?factor=sms&rd={ACCOUNT}")
        form = {"factor": "sms", "csrf_token": token, "rd": ACCOUNT}
        await browser.post("/_auth/enrol", {**form, "address": "+4915199999999"})
        user = await rig.directory.get("alice")
        assert user is not None
        assert user.phone == "+4915112345678"
        await browser.post("/_auth/enrol", {**form, "code": rig.codes[-1]})
        assert "+49•••••999" in await page(browser)
        assert "The phone number for codes was set." in rig.terminal.getvalue()


async def test_recent_activity_is_told_in_words(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password(password="wrong password")
        await browser.sign_in()
        await act(browser, "recovery")
        text = await page(browser)
        assert "Wrong password" in text
        assert "New recovery codes" in text


async def test_forms_without_the_token_or_from_elsewhere_change_nothing(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        await add_app(browser)
        form = {"do": "remove", "id": "sms"}
        assert (await browser.post(ACCOUNT, {**form, "csrf_token": "x"})).status == 403
        token = await browser.token(ACCOUNT)
        foreign = await browser.post(ACCOUNT, {**form, "csrf_token": token}, Origin="https://evil.example")
        assert foreign.status == 403
        user = await rig.directory.get("alice")
        assert user is not None
        assert user.phone


async def test_the_mail_address_is_changed_by_a_code_to_the_new_one_and_the_old_one_hears_of_it(
    tmp_path: Path,
) -> None:
    async with running_mailbox() as (mailbox, email), running_gateway(tmp_path, email=email) as rig:
        await rig.add_user(email="old@example.test")
        async with rig.browser() as browser:
            await browser.sign_in()
            token = await browser.token(ACCOUNT)
            form = {"factor": "email", "csrf_token": token, "rd": ACCOUNT}
            await browser.post("/_auth/enrol", {**form, "address": "new@example.test"})
            [(to, mail)] = mailbox.mails
            assert to == "new@example.test"
            user = await rig.directory.get("alice")
            assert user is not None
            assert user.email == "old@example.test"  # not before the code came back
            found = re.search(r"\b(\d{6})\b", mail)
            assert found
            assert (await browser.post("/_auth/enrol", {**form, "code": found[1]})).status in (200, 303)
            await mailbox.wait(2)
            assert mailbox.mails[1][0] == "old@example.test"
            changed = await rig.directory.get("alice")
            assert changed is not None
            assert changed.email == "new@example.test"


async def test_the_page_leads_on_only_to_what_is_for_its_owner(tmp_path: Path) -> None:
    offered = [{"group": "editors", "approvers": ["leads"]}]
    async with running_gateway(tmp_path, access_requests=offered) as rig:
        seen = {}
        for name, groups in (("alice", ()), ("ada", ("admins",)), ("lea", ("leads",))):
            await rig.add_user(name, groups=groups)
            async with rig.browser() as browser:
                await browser.sign_in(name)
                text = await page(browser)
                seen[name] = [
                    path for path in ("/_auth/admin", "/_auth/approvals") if f'href="{path}"' in text
                ]
        assert seen == {"alice": [], "ada": ["/_auth/admin"], "lea": ["/_auth/approvals"]}
