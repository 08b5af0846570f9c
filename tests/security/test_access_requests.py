"""A group is lent by an approver other than the asker, with two factors proven just now, once, as offered."""

import asyncio
from pathlib import Path

import pytest

from gateway.stores.protocols.core import AccessAsked
from tests.integration.test_access_requests import asked, decided, rig_with_desk
from tests.rig import running_gateway


async def test_nobody_decides_about_the_own_request(tmp_path: Path) -> None:
    async with rig_with_desk(tmp_path) as (rig, _), rig.browser() as ada:
        await ada.sign_in("ada", rd="/_auth/approvals")
        await asked(ada)
        (one,) = await rig.gateway.stores.access_requests.list(rig.clock())
        page = await (await ada.get("/_auth/approvals")).text()
        assert one.id not in page
        token = await ada.token("/_auth/access?rd=/wiki")
        form = {"csrf_token": token, "id": one.id, "do": "grant", "seconds": "60"}
        assert (await ada.post("/_auth/approvals", form)).status == 403
        assert (await ada.get("/wiki")).status == 403


async def test_only_members_of_the_approving_groups_decide_and_a_lent_group_does_not_count(
    tmp_path: Path,
) -> None:
    async with rig_with_desk(tmp_path) as (rig, _), rig.browser() as mira, rig.browser() as eve:
        await rig.add_user("eve")
        await mira.sign_in("mira", rd="/_auth/account")
        await eve.sign_in("eve", rd="/_auth/approvals")
        await asked(mira)
        store, now = rig.gateway.stores.access_requests, rig.clock()
        (one,) = await store.list(now)
        lent = AccessAsked("lent", "eve", "leads", "", "", "granted", now, now + 999)
        assert await store.add(lent)
        token = await eve.token("/_auth/access?rd=/wiki")
        form = {"csrf_token": token, "id": one.id, "do": "grant", "seconds": "60"}
        assert one.id not in await (await eve.get("/_auth/approvals")).text()
        assert (await eve.post("/_auth/approvals", form)).status == 403
        assert [each.state for each in await store.list(now) if each.id == one.id] == ["asked"]


async def test_an_approver_needs_two_factors_proven_just_now(tmp_path: Path) -> None:
    async with rig_with_desk(tmp_path) as (rig, _), rig.browser() as mira, rig.browser() as ada:
        await mira.sign_in("mira", rd="/_auth/account")
        await asked(mira)
        (one,) = await rig.gateway.stores.access_requests.list(rig.clock())
        assert (await ada.get("/_auth/approvals")).headers["Location"] == "/_auth/login?rd=/_auth/approvals"
        await ada.password("ada", rd="/_auth/approvals")
        assert (await ada.get("/_auth/approvals")).headers["Location"] == "/_auth/verify?rd=/_auth/approvals"
        await ada.code(rd="/_auth/approvals")
        token = await ada.token("/_auth/approvals")
        rig.clock.advance(901)
        form = {"csrf_token": token, "id": one.id, "do": "grant", "seconds": "60"}
        late = await ada.post("/_auth/approvals", form)
        assert (late.status, late.headers["Location"]) == (303, "/_auth/verify?rd=/_auth/approvals")
        assert (await mira.get("/wiki")).status == 403


async def test_a_password_alone_asks_for_nothing_where_the_page_wants_two_factors(tmp_path: Path) -> None:
    async with rig_with_desk(tmp_path) as (rig, mailbox), rig.browser() as thief:
        await thief.password("mira", rd="/wiki")
        due = "/_auth/verify?rd=/_auth/access%3Frd%3D/wiki"
        assert (await thief.get("/_auth/access?rd=/wiki")).headers["Location"] == due
        form = {"rd": "/wiki", "group": "editors", "csrf_token": await thief.token("/_auth/logout")}
        assert (await thief.post("/_auth/access", form)).headers["Location"] == due
        assert await rig.gateway.stores.access_requests.list(rig.clock()) == []
        assert mailbox.mails == []


async def test_forms_of_other_pages_ask_and_decide_nothing(tmp_path: Path) -> None:
    async with rig_with_desk(tmp_path) as (rig, _), rig.browser() as mira, rig.browser() as ada:
        await mira.sign_in("mira", rd="/_auth/account")
        await ada.sign_in("ada", rd="/_auth/approvals")
        form = {"rd": "/wiki", "group": "editors", "why": "x"}
        assert (await mira.post("/_auth/access", form)).status == 403
        foreign = {**form, "csrf_token": await mira.token("/_auth/access?rd=/wiki")}
        assert (await mira.post("/_auth/access", foreign, Origin="https://evil.test")).status == 403
        await asked(mira)
        (one,) = await rig.gateway.stores.access_requests.list(rig.clock())
        assert (await ada.post("/_auth/approvals", {"id": one.id, "do": "grant"})).status == 403
        assert [each.state for each in await rig.gateway.stores.access_requests.list(rig.clock())] == [
            "asked"
        ]


async def test_only_groups_that_are_offered_and_would_help_can_be_asked_for(tmp_path: Path) -> None:
    async with rig_with_desk(tmp_path) as (rig, _), rig.browser() as mira:
        await mira.sign_in("mira", rd="/_auth/account")
        token = await mira.token("/_auth/access?rd=/wiki")
        for group in ("leads", "admins", ""):
            form = {"csrf_token": token, "rd": "/wiki", "group": group, "why": "x"}
            assert (await mira.post("/_auth/access", form)).status == 403
        assert await rig.gateway.stores.access_requests.list(rig.clock()) == []


async def test_a_group_is_lent_no_longer_than_offered_and_no_session_keeps_it(tmp_path: Path) -> None:
    async with rig_with_desk(tmp_path) as (rig, _), rig.browser() as mira, rig.browser() as ada:
        await mira.sign_in("mira", rd="/_auth/account")
        await ada.sign_in("ada", rd="/_auth/approvals")
        await asked(mira)
        (one,) = await rig.gateway.stores.access_requests.list(rig.clock())
        token = await ada.token("/_auth/access?rd=/wiki")
        form = {"csrf_token": token, "id": one.id, "do": "grant", "seconds": "999999999"}
        await ada.post("/_auth/approvals", form)
        (lent,) = await rig.gateway.stores.access_requests.list(rig.clock())
        assert lent.state == "granted"
        assert lent.expires_at == rig.clock() + 4 * 3600
        rig.clock.advance(4 * 3600 + 1)
        async with rig.browser() as later:
            await later.sign_in("mira", rd="/_auth/account")
            for browser in (mira, later):
                assert (await browser.get("/wiki")).status in (303, 403)
        assert await rig.gateway.stores.access_requests.granted("mira", rig.clock()) == []


async def test_one_request_raced_by_two_decisions_is_decided_once(tmp_path: Path) -> None:
    async with rig_with_desk(tmp_path) as (rig, _), rig.browser() as mira:
        await mira.sign_in("mira", rd="/_auth/account")
        await asked(mira)
        store, now = rig.gateway.stores.access_requests, rig.clock()
        (one,) = await store.list(now)
        done = await asyncio.gather(
            *(
                store.decide(one.id, "asked", state, "x", now, now + 60)
                for state in ["granted", "refused"] * 4
            )
        )
        assert done.count(True) == 1


async def test_where_nothing_is_offered_there_are_no_pages_and_no_button(tmp_path: Path) -> None:
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"groups": ["editors"]}}]
    async with running_gateway(tmp_path, routes=routes) as rig, rig.browser() as mira:
        await rig.add_user("mira")
        await mira.sign_in("mira", rd="/_auth/account")
        assert "/_auth/access" not in await (await mira.get("/wiki")).text()
        assert (await mira.get("/_auth/access")).status == 404
        assert (await mira.get("/_auth/approvals")).status == 404


async def test_a_later_user_of_the_same_name_inherits_no_grant(tmp_path: Path) -> None:
    async with rig_with_desk(tmp_path) as (rig, _), rig.browser() as mira, rig.browser() as ada:
        await mira.sign_in("mira", rd="/_auth/account")
        await ada.sign_in("ada", rd="/_auth/approvals")
        await asked(mira)
        await decided(ada, "grant")
        await rig.directory.delete("mira")
        assert await rig.gateway.stores.access_requests.granted("mira", rig.clock()) == []


async def test_the_log_names_the_page_without_its_query(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "gateway.audit")
    async with rig_with_desk(tmp_path) as (rig, _), rig.browser() as mira:
        await mira.sign_in("mira", rd="/_auth/account")
        await asked(mira)
        assert rig.gateway is not None
    lines = [getattr(one, "fields", {}) for one in caplog.records]
    (told,) = [line for line in lines if line.get("event") == "access_requested"]
    assert told["page"].endswith("/wiki")


async def test_a_lent_group_makes_nobody_an_administrator(tmp_path: Path) -> None:
    """Who may open the console could write the own name into any group, and so keep what was lent."""
    offered = [{"group": "admins", "approvers": ["leads"]}]
    async with running_gateway(tmp_path, access_requests=offered) as rig, rig.browser() as eve:
        await rig.add_user("eve")
        now = rig.clock()
        lent = AccessAsked("lent", "eve", "admins", "", "", "granted", now, now + 999)
        assert await rig.gateway.stores.access_requests.add(lent)
        await eve.sign_in("eve")
        assert "admins" in (await (await eve.get("/")).text())
        for path in ("/_auth/admin", "/_auth/admin/api/v1/users"):
            assert (await eve.get(path)).status == 403
