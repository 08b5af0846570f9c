"""From a refused page to a group that is lent for a while, and back."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from gateway.cli.access import access
from tests.mailbox import Mailbox, running_mailbox
from tests.rig import Browser, Rig, running_gateway
from tests.waiting import until

ROUTE = {"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"groups": ["editors"]}}
OFFER = {"group": "editors", "approvers": ["leads"], "longest": "4h"}


@asynccontextmanager
async def rig_with_desk(tmp_path: Path, **values: Any) -> AsyncIterator[tuple[Rig, Mailbox]]:
    async with (
        running_mailbox() as (mailbox, email),
        running_gateway(tmp_path, routes=[ROUTE], access_requests=[OFFER], email=email, **values) as rig,
    ):
        await rig.add_user("mira", email="mira@app.test")
        await rig.add_user("ada", email="ada@app.test", groups=("leads",))
        yield rig, mailbox


async def asked(mira: Browser, why: str = "to correct a page") -> str:
    """Ask as a person does: the refused page leads there. Returns the answer's text."""
    refused = await mira.get("/wiki?page=1")
    assert refused.status == 403
    text = await refused.text()
    assert "Reason" in text
    assert "Request" in text
    link = re.search(r'href="(/_auth/access[^"]*)"', text)
    assert link
    token = await mira.token(link[1])
    form = {"csrf_token": token, "rd": "/wiki?page=1", "group": "editors", "why": why}
    return await (await mira.post("/_auth/access", form)).text()


async def decided(ada: Browser, do: str, seconds: str = "3600") -> str:
    page = await (await ada.get("/_auth/approvals")).text()
    token, id = (
        re.search(r'name="csrf_token" value="([^"]+)"', page),
        re.search(r'name="id" value="([^"]+)"', page),
    )
    assert token, page
    assert id, page
    form = {"csrf_token": token[1], "id": id[1], "do": do, "seconds": seconds}
    return await (await ada.post("/_auth/approvals", form)).text()


async def test_a_group_is_lent_for_the_time_granted_and_the_app_hears_of_it(tmp_path: Path) -> None:
    async with rig_with_desk(tmp_path) as (rig, mailbox), rig.browser() as mira, rig.browser() as ada:
        await mira.sign_in("mira", rd="/_auth/account")
        await ada.sign_in("ada", rd="/_auth/approvals")
        assert "on its way" in await asked(mira, "please\r\nBcc: x@y")
        (mail,) = await mailbox.wait(1)
        assert mailbox.mails[0][0] == "ada@app.test"
        assert "mira asks for access (group editors)" in mail
        assert "Why: please Bcc: x@y" in mail
        assert "asked for this already" in await asked(mira)
        assert (await mira.get("/wiki")).status == 403
        assert "told by mail" in await decided(ada, "grant", "1800")

        async def open_now() -> bool:
            return (await mira.get("/wiki")).status == 200

        await until(open_now)
        seen = dict((await (await mira.get("/wiki")).json())["headers"])
        assert seen["Remote-Groups"] == "editors"
        user = await rig.directory.get("mira")
        assert user is not None
        assert user.groups == ()  # lent, not given
        assert "access granted" in (await mailbox.wait(2))[1]
        rig.clock.advance(1801)
        assert (await mira.get("/wiki")).status == 403


async def test_what_was_granted_can_be_ended_and_what_is_refused_stays_shut(tmp_path: Path) -> None:
    async with rig_with_desk(tmp_path) as (rig, _), rig.browser() as mira, rig.browser() as ada:
        await mira.sign_in("mira", rd="/_auth/account")
        await ada.sign_in("ada", rd="/_auth/approvals")
        await asked(mira)
        await decided(ada, "refuse")
        assert (await mira.get("/wiki")).status == 403
        assert "on its way" in await asked(mira)  # a new request may follow
        await decided(ada, "grant", "999999999")
        (grant,) = await rig.gateway.stores.access_requests.list(rig.clock())
        assert grant.expires_at == rig.clock() + 4 * 3600  # the configuration's longest

        async def answers(status: int) -> bool:
            return (await mira.get("/wiki")).status == status

        await until(lambda: answers(200))
        assert "told by mail" in await decided(ada, "end")
        await until(lambda: answers(403))
        assert "nothing to decide" in await (await ada.get("/_auth/approvals")).text()


async def test_administrators_decide_at_the_terminal_too(tmp_path: Path) -> None:
    async with rig_with_desk(tmp_path) as (rig, _), rig.browser() as mira:
        await mira.sign_in("mira", rd="/_auth/account")
        await asked(mira)
        file = tmp_path / "config.yaml"
        file.write_text(
            f"storage: {{url: 'sqlite:///{tmp_path}/gateway.db'}}\nsession: {{keys_file: {tmp_path}/session.keys}}\n"
            "access_requests: [{group: editors, approvers: [leads]}]\n"
        )
        (one,) = await rig.gateway.stores.access_requests.list(rig.clock())

        def command(*words: str) -> Any:
            return CliRunner().invoke(access, [*words, "--config", str(file)])

        # The commands' clock is today's: for them the request, made in 2027, still waits.
        listed = await asyncio.to_thread(command, "list")
        assert f"{one.id}\tasked\tmira\teditors" in listed.stdout
        granted = await asyncio.to_thread(command, "grant", one.id, "--for", "1h")
        assert granted.stdout == "granted mira editors\n", granted.output
        again = await asyncio.to_thread(command, "grant", one.id)
        assert (again.exit_code, "not asked (any more)" in again.stderr) == (1, True)
        assert (await asyncio.to_thread(command, "end", one.id)).stdout == "ended mira editors\n"
        assert (await asyncio.to_thread(command, "refuse", "nonsense")).exit_code == 1
