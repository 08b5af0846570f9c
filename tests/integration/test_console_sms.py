"""The console's page of text messages says who has SMS alone and what becomes of them."""

from pathlib import Path

from sqlalchemy import select

from gateway.stores.sql.schema import audit
from gateway.stores.sql.transactions import reading
from tests.admin_rig import administered, shown


async def test_the_page_counts_whom_the_plan_would_refuse(tmp_path: Path) -> None:
    plan = {"nudge_from": "2100-01-01", "deadline": "2100-04-01", "after": "deny", "exempt_groups": ["staff"]}
    async with administered(tmp_path, sms={"migration": plan}) as (rig, browser):
        await rig.add_user("carol")
        await rig.add_user("dave", disabled=True)
        page = " ".join((await shown(browser, "/sms")).split())
        assert "<dt>Have SMS</dt><dd>3</dd>" in page
        assert "<dt>SMS alone</dt><dd>3</dd>" in page
        assert "<dt>Exempt from the plan</dt><dd>1</dd>" in page
        assert "From 2100-04-01 on, no codes are sent by SMS. 2 users would be refused." in page
        assert "1 (" in page.split('id="costs"')[1]  # the administrator's own code came back


async def test_a_code_that_is_sent_is_noted_with_its_channel(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, _):
        await rig.gateway.services.audit.flush()
        async with reading(rig.gateway.stores.engine) as connection:
            sent = (await connection.scalars(select(audit.c.data).where(audit.c.event == "code_sent"))).one()
        assert '"channel": "sms"' in sent
