"""Approval on another signed-in device, over both browsers' sockets."""

import asyncio
from pathlib import Path

from tests.approving import APPROVE, NO, YES, approve, ask, check, question, refuse, two_browsers
from tests.mailbox import running_mailbox
from tests.rig import PASSWORD, running_gateway

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def test_the_number_typed_on_the_other_device_signs_in(tmp_path: Path) -> None:
    async with two_browsers(tmp_path) as (_, owner, asker):
        _, number = await ask(asker)
        waiting = await check(asker)
        assert "Nobody has answered yet." in await waiting.text()
        assert number in await waiting.text()
        assert await approve(owner, f" {number} ") == YES
        assert (await check(asker)).headers["Location"] == "/"
        assert (await asker.get("/")).status == 200


async def test_the_other_device_sees_who_asks_and_is_pointed_to_it(tmp_path: Path) -> None:
    async with two_browsers(tmp_path) as (rig, owner, asker):
        assert APPROVE not in await (await owner.get("/_auth/account")).text()
        await asker.session.close()
        async with rig.browser() as firefox:
            firefox.session.headers["User-Agent"] = FIREFOX
            await firefox.password()
            _, number = await ask(firefox)
        assert APPROVE in await (await owner.get("/_auth/account")).text()
        page = await (await owner.get(APPROVE)).text()
        for told in ("Firefox on Linux", "127.0.0.1", "2027-01-15 08:00"):
            assert told in page
        assert f">{number}<" not in page


async def test_it_is_offered_only_where_somebody_could_answer(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as owner, rig.browser() as asker:
        await rig.add_user()
        await owner.password()  # one factor approves nothing
        await asker.password()
        assert 'value="approval"' not in await (await asker.get("/_auth/verify")).text()
        await owner.code()
        assert 'value="approval"' in await (await asker.get("/_auth/verify")).text()
        rig.clock.advance(3700)  # the owner's session is idle for too long
        await asker.password()
        assert 'value="approval"' not in await (await asker.get("/_auth/verify")).text()


async def test_it_is_never_asked_first_even_if_used_last(tmp_path: Path) -> None:
    async with two_browsers(tmp_path) as (rig, owner, asker):
        await approve(owner, (await ask(asker))[1])
        assert (await check(asker)).status == 303
        async with rig.browser() as third:
            await third.password()
            assert 'name="method" value="sms"' in await (await third.get("/_auth/verify")).text()


async def test_both_pages_hear_of_the_other_while_they_wait(tmp_path: Path) -> None:
    async with two_browsers(tmp_path) as (_, owner, asker):
        waiting = asyncio.create_task(owner.get(f"{APPROVE}/wait?seen=", Accept="application/json"))
        _, number = await ask(asker)
        assert await (await waiting).json() == {"changed": True}
        signing_in = asyncio.create_task(asker.get("/_auth/verify/wait", Accept="application/json"))
        await approve(owner, number)
        assert await (await signing_in).json() == {"changed": True}


async def test_waiting_is_for_people_with_a_session(tmp_path: Path) -> None:
    async with two_browsers(tmp_path) as (rig, _, asker), rig.browser() as stranger:
        for path in ("/_auth/verify/wait", f"{APPROVE}/wait"):
            assert (await stranger.get(path)).status == 401
        assert (await asker.get(f"{APPROVE}/wait")).status == 403
        assert (await stranger.get(APPROVE)).headers["Location"] == f"/_auth/login?rd={APPROVE}"
        assert (await asker.get(APPROVE)).headers["Location"] == f"/_auth/verify?rd={APPROVE}"


async def test_a_refusal_is_audited_mailed_and_ends_the_attempt(tmp_path: Path) -> None:
    async with running_mailbox() as (mailbox, email), running_gateway(tmp_path, email=email) as rig:
        await rig.add_user(email="alice@example.test")
        async with rig.browser() as owner, rig.browser() as asker:
            await owner.sign_in()
            await asker.password()
            await ask(asker)
            assert await refuse(owner) == NO
            response = await check(asker)
            assert response.status == 403
            assert "refused on the other device" in await response.text()
            assert (await asker.get("/_auth/verify")).headers["Location"].startswith("/_auth/login")
        [mail] = await mailbox.wait(1)
        assert "a sign-in was refused" in mail
        await rig.gateway.services.audit.flush()
        rows = await rig.gateway.services.stores.audit_log.tail(50, username="alice")
        events = [row.event for row in rows]
        assert events.index("approval_asked") < events.index("approval_refused")
        assert next(row for row in rows if row.event == "approval_refused").data["answer"] == "no"


async def test_after_two_and_a_half_minutes_nobody_can_answer(tmp_path: Path) -> None:
    async with two_browsers(tmp_path) as (rig, owner, asker):
        await ask(asker)
        form = await question(owner)
        rig.clock.advance(151)
        response = await owner.post(APPROVE, {**form, "do": "approve", "number": "12"})
        assert response.headers["Location"].endswith("done=late")
        response = await check(asker)
        assert response.status == 401
        assert "in time" in await response.text()
        assert (await question(owner))["id"] == ""  # checking asked nobody anew


async def test_who_has_signed_in_fully_proves_again_on_this_device(tmp_path: Path) -> None:
    """A rule's max_age asks who sits here, which another device can't know."""
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"max_age": "5m"}}]
    async with two_browsers(tmp_path, routes=routes) as (rig, _, asker):
        await asker.code()
        rig.clock.advance(600)
        page = await (await asker.get("/_auth/verify")).text()
        assert 'value="sms"' in page
        assert 'value="approval"' not in page


async def test_a_route_can_leave_it_out_or_accept_nothing_else(tmp_path: Path) -> None:
    strict = {"factors": ["webauthn", "totp", "sms"]}
    routes = [
        {"host": "*", "path": "/strict", "upstream": "UPSTREAM", "policy": strict},
        {"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"factors": ["approval"]}},
    ]
    async with running_gateway(tmp_path, routes=routes) as rig, rig.browser() as owner:
        await rig.add_user()
        await owner.password(rd="/strict")
        await owner.code(rd="/strict")
        async with rig.browser() as asker:
            await asker.password()
            page = await (await asker.get("/_auth/verify?rd=/strict")).text()
            assert 'value="approval"' not in page
            _, number = await ask(asker)
            await approve(owner, number)
            assert (await check(asker)).headers["Location"] == "/"
            assert (await asker.get("/")).status == 200
            assert (await asker.get("/strict")).headers["Location"] == "/_auth/verify?rd=/strict"


async def test_signing_in_again_with_the_password_voids_nothing_of_others(tmp_path: Path) -> None:
    """The question of one browser stays while another of the same user wants to ask."""
    async with two_browsers(tmp_path) as (rig, owner, asker), rig.browser() as second:
        _, number = await ask(asker)
        await second.password(password=PASSWORD)
        response, none = await ask(second)
        assert (response.status, none) == (429, "")
        assert await approve(owner, number) == YES
        assert (await check(asker)).status == 303
