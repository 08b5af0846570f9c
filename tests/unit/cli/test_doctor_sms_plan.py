"""The doctor counts the users whom the plan to leave SMS refuses."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from gateway.cli.doctor.outside import left_behind
from gateway.config.loader import read
from gateway.config.sections.sms_migration import begins, parse_day
from gateway.stores.sql.engine import open_engine

PLAN = "\nsms: {provider: console, migration: {deadline: 2027-10-01, after: AFTER, exempt_groups: [old]}}\n"


async def test_users_with_sms_alone_are_counted_once_the_plan_denies(
    config: Path, command: Callable[..., Result]
) -> None:
    before = begins(parse_day("2027-10-01")) - 1
    for name, more in (("ada", ["--group", "old"]), ("ben", []), ("cat", [])):
        phone = [] if name == "cat" else ["--phone", "+4915112345678"]
        await asyncio.to_thread(command, "user", "add", name, "--no-password", *phone, *more)
    written = config.read_text()

    async def said(after: str, now: float) -> list[tuple[str, bool]]:
        config.write_text(written + PLAN.replace("AFTER", after))
        loaded = read(config, {}).config
        engine = open_engine(loaded.storage.url)
        try:
            return [(one.problem, one.wrong) for one in await left_behind(loaded, engine, now)]
        finally:
            await engine.dispose()

    assert await said("nudge", before) == []
    assert await said("deny", before) == [
        ("the plan will refuse from 2027-10-01 on 1 users who have SMS alone", False)
    ]
    assert await said("deny", before + 1) == [("the plan refuses 1 users who have SMS alone", False)]
