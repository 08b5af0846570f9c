"""What is good once is good once, whoever asks at which worker or replica, and how many at the same time.

docs/adversary.md lists what else was tried, by hand.
"""

import html
import re
import time
from collections import Counter
from collections.abc import Sequence
from urllib.parse import unquote

import pytest

from gateway.keyring import KeyRing
from gateway.model import User
from gateway.stores.sql.credentials import SqlCredentials
from tests.approving import APPROVE, ask
from tests.integration.test_factor_enrolment import enrol_totp
from tests.live_rig import Answer, Live, cookies_of, hidden, new_session
from tests.mailbox import link_in
from tests.rig import csrf_of
from tests.software_key import SoftwareKey
from tests.waiting import until

MANY = 9
FORM = {"Content-Type": "text/plain", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}


def count(answers: Sequence[Answer], status: int) -> int:
    return sum(one.status == status for one in answers)


async def test_a_code_opens_one_session(rig: Live) -> None:
    user = await rig.person()
    async with rig.half_signed_in(user) as (cookies, token):
        await rig.ask("/_auth/verify", cookies=cookies)
        form = {"code": await rig.code(user), "csrf_token": token, "rd": "/"}
        # Fewer than the tries of a challenge: those who come late count as wrong, and five of them end the session.
        answers = await rig.race(4, lambda at: rig.ask("/_auth/verify", form, at=at, cookies=cookies))
    assert Counter(one.location for one in answers)["/"] == 1
    assert sum(map(new_session, answers)) == 1
    await rig.until_logged("login", user.username)
    assert rig.logged("login", user.username) == 1


async def test_no_crowd_of_guesses_finds_a_code(rig: Live) -> None:
    """The right one is among them, behind more wrong ones than may be tried."""
    user = await rig.person()
    async with rig.half_signed_in(user) as (cookies, token):
        await rig.ask("/_auth/verify", cookies=cookies)
        right = await rig.code(user)
        guesses = iter([*(f"{number:06d}" for number in range(20) if f"{number:06d}" != right), right])
        answers = await rig.race(
            20,
            lambda at: rig.ask(
                "/_auth/verify",
                {"code": next(guesses), "csrf_token": token, "rd": "/"},
                at=at,
                cookies=cookies,
            ),
        )
        form = {"code": right, "csrf_token": token, "rd": "/"}
        late = await rig.ask("/_auth/verify", form, cookies=cookies)
    assert "/" not in {one.location for one in (*answers, late)}
    assert rig.logged("login", user.username) == 0
    await rig.until_logged("code_failed", user.username)


async def test_a_page_that_sends_a_code_sends_one(rig: Live) -> None:
    user = await rig.person()
    async with rig.half_signed_in(user) as (cookies, _):
        await rig.race(MANY, lambda at: rig.ask("/_auth/verify", at=at, cookies=cookies))
        await rig.code(user)
        assert len(rig.codes_to(user)) == 1


async def test_a_recovery_code_serves_one_of_several_sessions(rig: Live) -> None:
    user = await rig.person(phone="")
    async with rig.browser() as browser:
        await browser.password(user.username)
        _, codes = await enrol_totp(rig, browser)  # type: ignore[arg-type]
    sessions = []
    for _ in range(5):
        async with rig.half_signed_in(user) as one:
            sessions.append(one)
    waiting = iter(sessions)

    async def redeem(at: str) -> Answer:
        cookies, token = next(waiting)
        form = {"method": "recovery", "code": codes[0], "csrf_token": token, "rd": "/"}
        return await rig.ask("/_auth/verify", form, at=at, cookies=cookies)

    answers = await rig.race(len(sessions), redeem)
    assert Counter(one.location for one in answers)["/"] == 1


async def test_a_reset_link_opens_one_reset_and_sets_one_password(rig: Live) -> None:
    user = await rig.person()
    async with rig.browser() as browser:
        token = await browser.token("/_auth/reset")
        hosts = {"X-Forwarded-Host": "evil.test", "Forwarded": "host=evil.test", "X-Host": "evil.test"}
        await browser.post("/_auth/reset", {"username": user.username, "csrf_token": token}, **hosts)
        link = await rig.link(user)
        assert not any("evil" in text for to, text in rig.mailbox.mails if to == user.email)
        form = {"token": link.partition("token=")[2], "csrf_token": await browser.token(link)}
        cookies = cookies_of(browser)

        async def post(at: str, form: dict[str, str]) -> Answer:
            return await rig.ask("/_auth/reset", form, at=at, cookies=cookies)

        answers = await rig.race(MANY, lambda at: post(at, form))
        (opened,) = [one for one in answers if one.status == 200]
        proof = hidden(opened.text) | {"code": await rig.code(user)}
        answers = await rig.race(MANY, lambda at: post(at, proof))
        (proven,) = [one for one in answers if one.status == 200]
        choices = iter(range(MANY))
        answers = await rig.race(
            MANY,
            lambda at: post(
                at, hidden(proven.text) | {"password": f"zebra crossing number {next(choices)} x"}
            ),
        )
    assert count(answers, 200) == 1


async def test_an_invitation_is_accepted_once(rig: Live) -> None:
    name = "guest@example.test"
    status, said = await rig.machine.command("user", "invite", "guest", "--email", name)
    assert status == 0, said
    link = await rig.link(await rig.person(email=name))
    async with rig.browser() as browser:
        token = await browser.token(link)
        cookies, choices = cookies_of(browser), iter(range(MANY))
        form = {"token": link.partition("token=")[2], "csrf_token": token}
        answers = await rig.race(
            MANY,
            lambda at: rig.ask(
                "/_auth/invite",
                form | {"password": f"zebra {next(choices)} crossing"},
                at=at,
                cookies=cookies,
            ),
        )
    assert count(answers, 303) == 1


NEWCOMER = {"X-Forwarded-For": "198.51.100.77"}


async def on_the_way(rig: Live, guest: User, number: int) -> tuple[dict[str, str], str]:
    """The form and the cookies of a browser in which mailbox and phone are proven; `number` asked before."""
    async with rig.browser() as browser:
        token = await browser.token("/_auth/register")
        asked = {"email": guest.email, "csrf_token": token, "rd": "/"}
        assert (await browser.post("/_auth/register", asked, **NEWCOMER)).status == 200
        mails = rig.mailbox.mails
        await until(lambda: [to for to, _ in mails].count(guest.email) > number, "a mail")
        link = link_in([text for to, text in mails if to == guest.email][number])
        form = {"token": link.partition("token=")[2], "csrf_token": await browser.token(link)}
        await browser.post("/_auth/register", {**form, "address": guest.phone}, **NEWCOMER)
        proof, cookies = {**form, "code": await rig.code(guest, number)}, cookies_of(browser)
        answers = await rig.race(
            3, lambda at: rig.ask("/_auth/register", proof, at=at, cookies=cookies, **NEWCOMER)
        )
        assert count(answers, 200) >= 1
        return form | {"name": "New Comer"}, cookies


async def test_a_registration_makes_one_account(rig: Live) -> None:
    """With two links for one address, in two browsers, too."""
    guest = User("newcomer@example.test", email="newcomer@example.test", phone="+4915119000001")
    forms = [await on_the_way(rig, guest, number) for number in range(2)]
    choices = iter(range(MANY))

    async def create(at: str) -> Answer:
        form, cookies = forms[(number := next(choices)) % 2]
        filled = form | {"password": f"zebra {number} crossing at dawn"}
        return await rig.ask("/_auth/register", filled, at=at, cookies=cookies, **NEWCOMER)

    answers = await rig.race(MANY, create)
    assert count(answers, 200) == 1
    assert {one.status for one in answers} <= {200, 410}
    assert sum(map(new_session, answers)) == 1
    user = await rig.directory.get(guest.username)
    assert user is not None
    assert (user.phone, user.groups) == (guest.phone, ("guests",))
    await rig.until_logged("account_created", guest.username)
    assert rig.logged("account_created", guest.username) == 1


async def test_a_kept_form_goes_out_once(rig: Live) -> None:
    user = await rig.person()
    async with rig.signed_in(user) as browser:
        await rig.revoke(user)
        await browser.until_status(303)
        headers = {**FORM, "Content-Type": "application/x-www-form-urlencoded"}
        kept = await rig.ask("/orders", "a=b", cookies=cookies_of(browser), **headers)
        page = unquote(kept.location.partition("rd=")[2])
        assert page.startswith("/_auth/kept")
        cookies = "; ".join(one.partition(";")[0] for one in kept.headers.getall("Set-Cookie", ()))
    async with rig.signed_in(user, rd=page) as browser:
        cookies = f"{cookies_of(browser)}; {cookies}"
        shown = (await rig.ask(page, cookies=cookies)).text
        action = html.unescape(re.search(r'action="([^"]*kept[^"]*)"', shown)[1])  # type: ignore[index]
        id = re.search(r'name="kept" value="([^"]*)"', shown)[1]  # type: ignore[index]
        body = f"csrf_token={csrf_of(shown)}\r\nkept={id}\r\n"
        before = rig.upstream.requests.count("POST /orders")
        answers = await rig.race(MANY, lambda at: rig.ask(action, body, at=at, cookies=cookies, **FORM))
        (released,) = [one for one in answers if one.status == 307]
        cookies += "; " + released.headers.get("Set-Cookie", "").partition(";")[0]
        await rig.race(MANY, lambda at: rig.ask(released.location, body, at=at, cookies=cookies, **FORM))
    assert rig.upstream.requests.count("POST /orders") - before == 1


async def test_a_request_for_access_is_decided_once(rig: Live) -> None:
    asker, one, two = await rig.person(), *[await rig.person(groups=("leads",)) for _ in range(2)]
    async with rig.signed_in(asker) as browser, rig.signed_in(one) as first, rig.signed_in(two) as second:
        form = {
            "csrf_token": await browser.token("/_auth/access?rd=/edit"),
            "rd": "/edit",
            "group": "editors",
        }
        cookies = cookies_of(browser)
        await rig.race(6, lambda at: rig.ask("/_auth/access", form, at=at, cookies=cookies))
        page = await (await first.get("/_auth/approvals")).text()
        (id,) = set(re.findall(r'name="id" value="([^"]+)"', page))
        tokens = (csrf_of(page), await second.token("/_auth/approvals"))
        turns = iter(range(MANY))

        async def decide(at: str) -> Answer:
            turn = next(turns)
            form = {"id": id, "seconds": "60", "do": "grant" if turn % 3 else "refuse"}
            cookies = cookies_of((first, second)[turn % 2])
            return await rig.ask(
                "/_auth/approvals", form | {"csrf_token": tokens[turn % 2]}, at=at, cookies=cookies
            )

        await rig.race(MANY, decide)
    decided = ("access_granted", "access_refused")
    await rig.until_logged("access_requested", asker.username)
    assert sum(rig.logged(event) for event in decided) == 1


@pytest.mark.parametrize("guess", [True, False], ids=["guessed", "known"])
async def test_an_approval_opens_one_session_and_its_number_is_guessed_once(rig: Live, guess: bool) -> None:
    user = await rig.person()
    async with rig.signed_in(user) as owner, rig.browser() as asker:
        await asker.password(user.username)
        _, number = await ask(asker)
        page = await (await owner.get(APPROVE)).text()
        form = {"csrf_token": csrf_of(page), "do": "approve", "id": hidden(page)["id"]}
        others = [str(one) for one in range(10, 100) if str(one) != number]
        numbers = iter(others[:MANY] if guess else [])

        async def answer(at: str) -> Answer:
            number_or_guess = form | {"number": next(numbers, number)}
            return await rig.ask(APPROVE, number_or_guess, at=at, cookies=cookies_of(owner))

        answers = await rig.race(MANY, answer)
        done = Counter(one.location.partition("done=")[2] for one in answers)
        assert done == {"wrong" if guess else "yes": 1, "late": MANY - 1}
        waiting = {"method": "approval", "csrf_token": await asker.token("/_auth/logout"), "rd": "/"}
        cookies = cookies_of(asker)
        answers = await rig.race(MANY, lambda at: rig.ask("/_auth/verify", waiting, at=at, cookies=cookies))
        assert Counter(one.location for one in answers)["/"] == (0 if guess else 1)


async def test_the_answer_of_a_passkey_counts_once(rig: Live) -> None:
    user, key = await rig.person(), SoftwareKey()
    ring = KeyRing(rig.machine.keys_file, time.time)
    await SqlCredentials(rig.engine, ring.seal, ring.open).add(key.stored(user.username, time.time()))
    async with rig.browser() as browser:
        page = await (await browser.get("/_auth/passkey")).text()
        options = html.unescape(re.search(r'data-options="([^"]+)"', page)[1])  # type: ignore[index]
        form = {"credential": key.answer(options, rig.url), "csrf_token": csrf_of(page), "rd": "/"}
        cookies = cookies_of(browser)
        answers = await rig.race(MANY, lambda at: rig.ask("/_auth/passkey", form, at=at, cookies=cookies))
    assert count(answers, 303) == 1
