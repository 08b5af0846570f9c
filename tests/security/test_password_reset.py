"""Rules 2, 3, 4 and 10 for resets: a mailbox alone sets no password, links work once, nothing tells who exists."""

import re
from ipaddress import ip_address
from pathlib import Path

from gateway.authn.login_origin import LoginOrigin
from gateway.authn.password_reset import Resets
from gateway.model import SessionRecord
from gateway.rate_limits import RESETS_IN_ALL
from tests.mailbox import link_in
from tests.reset_rig import MAIL, NEW, ask, follow, prove, running
from tests.rig import running_gateway


async def test_link_then_second_factor_then_password(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser, rig.browser() as elsewhere:
        await rig.add_user(email=MAIL)
        await elsewhere.sign_in()
        rig.clock.advance(5)
        assert (await ask(browser)).status == 200
        [mail] = await mailbox.wait(1)
        response, form = await follow(browser, link_in(mail))
        assert "Check your phone" in await response.text()
        response, form = await prove(browser, rig, form)
        assert "Choose a new password" in await response.text()
        response = await browser.post("/_auth/reset", form | {"password": NEW})
        assert "Your password is changed" in await response.text()
        assert (await browser.get("/")).status == 303, "a reset signs nobody in"
        await elsewhere.until_status(303)
        assert (await browser.password()).status == 401
        assert (await browser.password(password=NEW)).status == 303
        assert "was just changed" in (await mailbox.wait(2))[1]


async def test_a_reset_ends_sessions_that_no_password_began_as_well(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        now = rig.clock()
        passkey = SessionRecord("s", "alice", ("webauthn",), {"webauthn": now}, now, now, now + 9999)
        await rig.gateway.stores.sessions.put(passkey)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        _, form = await follow(browser, link_in(mail))
        _, form = await prove(browser, rig, form)
        assert await rig.gateway.stores.sessions.get("s") is not None
        await browser.post("/_auth/reset", form | {"password": NEW})
        assert await rig.gateway.stores.sessions.get("s") is None


async def test_a_password_set_meanwhile_ends_a_reset_that_was_under_way(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        _, form = await follow(browser, link_in(mail))
        rig.clock.advance(1)
        await rig.directory.set_password("alice", NEW)
        assert (await prove(browser, rig, form))[0].status == 410


async def test_the_answer_is_the_same_whoever_is_named(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        pages = [await (await ask(browser, name)).text() for name in ("alice", "nobody", MAIL, "x@y.test")]
        assert len({re.sub(r'name="csrf_token" value="[^"]*"', "", page) for page in pages}) == 1
        assert {to for to, _ in mailbox.mails} <= {MAIL}
        await mailbox.wait(2)


async def test_the_link_alone_sets_no_password(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        _, form = await follow(browser, link_in(mail))
        for extra in (
            {"password": NEW},
            {"password": NEW, "code": ""},
            {"password": NEW, "step": "password"},
        ):
            response = await browser.post("/_auth/reset", form | extra)
            assert "Your password is changed" not in await response.text()
        wrong = f"{(int(rig.codes[-1]) + 1) % 10**6:06d}"
        response = await browser.post("/_auth/reset", form | {"code": wrong, "password": NEW})
        assert response.status == 401
        assert (await browser.password(password=NEW)).status == 401
        assert (await browser.password()).status == 303


async def test_mail_is_no_second_factor_for_a_mailed_link(tmp_path: Path) -> None:
    email = {"second_factor": True}
    async with running(tmp_path, email=email) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL, phone="")
        await ask(browser)
        [mail] = await mailbox.wait(1)
        assert "token=" not in mail
        assert "ask your administrator" in mail


async def test_weak_passwords_are_refused_and_cost_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        _, form = await follow(browser, link_in(mail))
        _, form = await prove(browser, rig, form)
        for weak in ("short", "password1", ""):
            assert (await browser.post("/_auth/reset", form | {"password": weak})).status == 422
        assert (await browser.post("/_auth/reset", form | {"password": NEW})).status == 200


async def test_asking_is_limited_for_known_and_unknown_names_alike(tmp_path: Path) -> None:
    for number, name in enumerate(("alice", "nobody")):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with running(folder) as (rig, _), rig.browser() as browser:
            await rig.add_user(email=MAIL)
            assert [(await ask(browser, name)).status for _ in range(4)] == [200, 200, 200, 429]


async def test_forms_from_elsewhere_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        token = await browser.token("/_auth/reset")
        form = {"username": "alice", "csrf_token": token}
        assert (await browser.post("/_auth/reset", form, Origin="https://evil.test")).status == 403
        assert (await browser.post("/_auth/reset", form | {"csrf_token": "x"})).status == 403
        assert mailbox.mails == []


async def test_resets_can_be_switched_off(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, passwords={"reset_by_mail": False}) as rig, rig.browser() as browser:
        assert (await browser.get("/_auth/reset")).status == 404
        assert "Forgot" not in await (await browser.get("/_auth/login")).text()


async def test_a_password_is_set_by_nobody_who_has_not_proven_the_second_factor(tmp_path: Path) -> None:
    """Whatever the pages do: the act itself asks."""
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        services = rig.gateway.services
        assert services.users.writable is not None
        resets = Resets(
            directory=services.users.writable,
            signin=services.authn.signin,
            sessions=services.stores.records,
            ledger=services.stores.ledger,
            limits=services.limits,
            passwords=services.users.passwords,
            audit=services.audit,
            notices=services.messaging.notices,
            clock=services.clock,
            base="",
        )
        client = LoginOrigin(ip_address("192.0.2.1"), "", "app.test")
        ticket = await resets.open(client, link_in(mail).partition("token=")[2], "browser")
        assert ticket is not None
        assert not ticket.proven
        assert await resets.finish(client, ticket, NEW) is False
        assert not await rig.directory.authenticate("alice", NEW)


async def test_made_up_names_spend_nothing_that_all_users_share(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        limits = rig.gateway.services.limits
        for number in range(5):
            assert (await ask(browser, f"nobody{number}")).status == 200
        await ask(browser)
        await mailbox.wait(1)
        assert await limits.check(RESETS_IN_ALL, "") == 1


async def test_a_stranger_does_not_spend_the_resets_of_the_owners_device(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as owner, rig.browser() as stranger:
        await rig.add_user(email=MAIL)
        await owner.password()
        await owner.code(remember_device="on")
        token = await owner.token("/_auth/logout")
        await owner.post("/_auth/logout", {"csrf_token": token})
        assert [(await ask(stranger)).status for _ in range(4)] == [200, 200, 200, 429]
        await mailbox.wait(3)
        assert (await ask(owner)).status == 200
        [*_, mail] = await mailbox.wait(4)
        assert "token=" in link_in(mail)
