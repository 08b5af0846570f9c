"""Nobody learns by registering who has an account: the same bytes and the same work, whatever address is asked for."""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.authn.registration import canonical
from gateway.config.schema import RegistrationSection
from gateway.directory.database import DatabaseDirectory
from gateway.model import User
from gateway.rate_limits import REGISTRATIONS_IN_ALL, REGISTRATIONS_PER_IP, REGISTRATIONS_PER_TARGET, Budget
from tests.integration.test_sms_money import events
from tests.registration_rig import ADDRESS, HERE, NUMBER, SECRET, ask, asked, details, registering, step
from tests.rig import Browser, Rig

ELSEWHERE = "eve@evil-harbour.test"


async def _everybody(rig: Rig) -> None:
    await rig.add_user("alice", email="Alice@harbour.test")
    await rig.add_user("off", email="off@harbour.test", phone="")
    off = await rig.directory.get("off")
    assert off is not None
    await rig.directory.replace(replace(off, disabled=True))
    await rig.directory.add(User("bob@harbour.test"))


def _same(page: str) -> str:
    return re.sub(r'name="csrf_token" value="[^"]*"', "", page)


async def test_answers_are_the_same_bytes_and_only_mailboxes_learn_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    section = {"domains": ["harbour.test", "*.harbour.test"]}
    rule = {"require": "two_factor", "users": ["boss@harbour.test"]}
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": rule}]
    async with registering(tmp_path, section, routes=routes) as (rig, mailbox), rig.browser() as browser:
        await _everybody(rig)
        outcomes = {
            ADDRESS: "new",
            "ALICE@Harbour.test": "exists",
            "bob@harbour.test": "exists",
            "off@harbour.test": "disabled",
            "Boss@harbour.test": "reserved",
            ELSEWHERE: "domain",
            "nobody": "invalid",
            "аlice@harbour.test": "invalid",  # its first letter is Cyrillic
        }
        answers = []
        for one in outcomes:
            answers.append(await ask(browser, one))
            await rig.gateway.services.messaging.notices.finish()
        assert {one.status for one in answers} == {200}
        assert len({_same(await one.text()) for one in answers}) == 1
        assert len({tuple(sorted(one.cookies)) for one in answers}) == 1
        assert len({tuple(sorted(set(one.headers) - {"Date"})) for one in answers}) == 1
        told = events(caplog, "registration_asked")
        assert [one["outcome"] for one in told] == list(outcomes.values())
        assert all(ELSEWHERE not in str(one) and "nobody" not in str(one) for one in told), (
            "may be a password"
        )
        mails = dict(mailbox.mails)
        assert sorted(mails) == ["alice@harbour.test", "bob@harbour.test", ADDRESS]
        assert "token=" in mails[ADDRESS]
        assert "There is one already" in mails["alice@harbour.test"]
        assert "/_auth/reset" in mails["alice@harbour.test"]
        assert "token=" not in mails["alice@harbour.test"]


async def test_the_work_before_the_answer_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who there is, is looked up after the answer, whatever the address."""
    looked_up: list[str] = []

    class Watched(DatabaseDirectory):
        async def get(self, username: str) -> User | None:
            looked_up.append(username)
            return await super().get(username)

        async def with_email(self, address: str, *, limit: int = 20) -> Sequence[User]:
            looked_up.append(address)
            return await super().with_email(address, limit=limit)

    monkeypatch.setattr("gateway.directory.build.DatabaseDirectory", Watched)
    async with registering(tmp_path) as (rig, _), rig.browser() as browser:
        await _everybody(rig)
        later: list[Callable[[], Awaitable[None]]] = []

        def noted(work: Callable[[], Awaitable[None]]) -> bool:
            if "SelfRegistration" in getattr(
                work, "__qualname__", ""
            ):  # others look after things now and then
                later.append(work)
            return True

        monkeypatch.setattr(rig.gateway.services.messaging.notices, "later", noted)
        for one in (ADDRESS, "alice@harbour.test", "off@harbour.test", "nobody"):
            assert (await ask(browser, one)).status == 200
        assert looked_up == []
        assert len(later) == 4
        await later[1]()
        assert looked_up == ["alice@harbour.test"] * 2


async def test_addresses_networks_and_all_together_have_budgets(tmp_path: Path) -> None:
    async with registering(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user("alice", email="alice@harbour.test")
        for one in (ADDRESS, "alice@harbour.test"):
            for number in range(REGISTRATIONS_PER_TARGET.limit):
                assert (await ask(browser, one.upper() if number else one)).status == 200
            assert (await ask(browser, one)).status == 429
        for number in range(REGISTRATIONS_PER_IP.limit):
            last = await ask(browser, f"name{number}@harbour.test")
        assert last.status == 429
        await rig.gateway.services.messaging.notices.finish()
        sent = len(mailbox.mails)
        assert sent < REGISTRATIONS_PER_IP.limit + 1
        rig.clock.advance(3601)
        limits = rig.gateway.services.limits
        await _spend(limits, REGISTRATIONS_IN_ALL)
        assert (await ask(browser, "fresh@harbour.test")).status == 200, "and nobody sees that no mail goes"
        await rig.gateway.services.messaging.notices.finish()
        assert len(mailbox.mails) == sent


async def _spend(limits: Any, budget: Budget) -> None:
    for _ in range(budget.limit):
        await limits.spend(budget, "")


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("Mira@Harbour.TEST", "mira@harbour.test"),
        (" mira@harbour.test. ", "mira@harbour.test"),
        ("mira@straße.example", "mira@xn--strae-oqa.example"),
        ("mira@bücher.example", "mira@xn--bcher-kva.example"),
        ("mira@\uff48arbour.test", "mira@harbour.test"),  # full-width: DNS has one name for both
        (
            "m.ira+x@harbour.test",
            "m.ira+x@harbour.test",
        ),  # dots count: who else would know what a provider ignores?
    ],
)
def test_one_spelling_of_an_address_is_the_username(typed: str, address: str) -> None:
    assert canonical(typed) == address
    assert canonical(address) == address


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "mira",
        "@harbour.test",
        "mira@",
        "mira@[127.0.0.1]",
        "mira@harbour.test@evil.test",
        "a@harbour.test,b@harbour.test",
        "a@harbour.test\r\nBcc: b@evil.test",
        "a b@harbour.test",
        '"a"@harbour.test',
        "<a@harbour.test>",
        "Mira <mira@harbour.test>",
        "mira@har bour.test",
        "mira\0@harbour.test",
        "mi\u200bra@harbour.test",
        "weiß@harbour.test",  # usernames fold it into weiss@
        "mira\u017f@harbour.test",  # a long s
        "\uff4dira@harbour.test",  # full-width m: another mailbox, one username
        "аlice@harbour.test",  # its first letter is Cyrillic
        ".mira@harbour.test",
        "mira/x@harbour.test",
        "x" * 129 + "@harbour.test",
        "x" * 60 + "@" + "y" * 60 + ".harbour.test",
    ],
)
def test_what_is_no_address_or_could_be_somebody_elses_is_none(typed: str) -> None:
    assert canonical(typed) == ""


@pytest.mark.parametrize(
    ("domain", "may"),
    [
        ("harbour.test", True),
        ("sub.pier.test", True),
        ("a.b.pier.test", True),
        ("pier.test", False),
        ("evil-harbour.test", False),
        ("evilpier.test", False),
        ("harbour.test.evil.test", False),
        ("sub.harbour.test", False),
        ("xn--bcher-kva.example", True),
    ],
)
def test_domains_are_whole_names(domain: str, may: bool) -> None:
    section = RegistrationSection(mode="open", domains=("Harbour.test", "*.Pier.test", "bücher.example"))
    assert section.takes(domain) is may
    assert RegistrationSection(mode="open").takes(domain)


async def test_a_code_is_good_for_its_own_link_and_number_alone(tmp_path: Path) -> None:
    async with (
        registering(tmp_path, {"phone": "required"}) as (rig, mailbox),
        rig.browser() as browser,
        rig.browser() as other,
    ):
        mine = await asked(rig, browser, mailbox)
        same = await asked(rig, other, mailbox)
        theirs = await asked(rig, other, mailbox, "other@harbour.test")
        assert (await step(browser, mine, address=NUMBER)).status == 200
        code = rig.codes[-1]
        assert (await step(other, same, code=code)).status == 401, "that was another browser's"
        assert (await step(other, theirs, address="+4915112345671")).status == 200
        if rig.codes[-1] != code:
            assert (await step(other, theirs, code=code)).status == 401
        assert (await step(browser, mine, restart="1")).status == 200
        assert (await step(browser, mine, address="+4915112345672")).status == 200
        if rig.codes[-1] != code:
            assert (await step(browser, mine, code=code)).status == 401, "that was another number's"
        refused = await step(browser, mine, address="12")
        assert refused.status == 422
        assert await _phones(rig) == []


async def test_guessing_codes_ends(tmp_path: Path) -> None:
    async with registering(tmp_path, {"phone": "required"}) as (rig, mailbox), rig.browser() as browser:
        link = await asked(rig, browser, mailbox)
        assert (await step(browser, link, address=NUMBER)).status == 200
        wrong = "000000" if rig.codes[-1] != "000000" else "111111"
        for _ in range(5):
            await step(browser, link, code=wrong)
        assert (await step(browser, link, code=rig.codes[-1])).status != 200
        assert "Your name" not in await (await browser.get(link)).text()
        assert await _phones(rig) == []


async def _phones(rig: Rig) -> list[str]:
    return [user.phone for user in await rig.directory.list(limit=10)]


async def test_an_account_of_ones_own_is_no_administrators(tmp_path: Path) -> None:
    """Not by its name, not by a form field, and not with both factors."""
    async with registering(tmp_path, {"phone": "required"}) as (rig, mailbox), rig.browser() as browser:
        for name in ("admins@harbour.test", "admin@harbour.test"):
            link = await asked(rig, browser, mailbox, name)
            assert (await step(browser, link, address=NUMBER)).status == 200
            rig.clock.advance(60)
            assert (await step(browser, link, code=rig.codes[-1])).status == 200
            done = await details(
                browser, link, name="admins", group="admins", groups="admins", username="admins"
            )
            assert done.status == 200
            user = await rig.directory.get(name)
            assert user is not None
            assert user.groups == ()
            assert (await browser.get("/_auth/admin")).status == 403
            assert (await browser.get("/")).status == 200
            await _sign_out(browser)


async def _sign_out(browser: Browser) -> aiohttp.ClientResponse:
    return await browser.post("/_auth/logout", {"csrf_token": await browser.token("/_auth/logout")})


async def test_a_field_that_comes_twice_is_refused(tmp_path: Path) -> None:
    async with registering(tmp_path) as (rig, mailbox), rig.browser() as browser:
        token = await browser.token(HERE)
        twice = f"email={ADDRESS}&email=other%40harbour.test&csrf_token={token}&rd=/"
        answer = await browser.session.post(
            rig.url + HERE,
            data=twice,
            headers={"Origin": rig.url, "Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status == 400
        assert not mailbox.mails
        assert SECRET not in await answer.text()
