"""`auth-gateway doctor` beside a real gateway: well, with its database locked, and gone."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from tests.faults.serving import Machine
from tests.waiting import until


async def examined(machine: Machine) -> tuple[int, dict[str, Any]]:
    status, said = await machine.command("doctor", "--json")
    return status, json.loads(said)


async def wrong(machine: Machine) -> dict[str, Any] | None:
    status, report = await examined(machine)
    return report if status == 1 else None


async def test_the_doctor_finds_nothing_then_a_locked_database_then_no_gateway(
    tmp_path: Path, app: str
) -> None:
    machine = Machine(tmp_path, {"url": f"sqlite:///{tmp_path}/gateway.db"}, app)
    await machine.add_user()
    async with machine.serving():
        assert await examined(machine) == (0, {"ok": True, "found": []})
        locked = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
        locked.execute("BEGIN IMMEDIATE")
        report = await until(lambda: wrong(machine), "readyz, which looks now and then, has seen it")
        assert [one["where"] for one in report["found"] if one["wrong"]] == ["readyz: writes"]
        assert "locked" in report["found"][0]["mend"]
        locked.close()
    status, report = await examined(machine)
    assert status == 1
    assert [one["where"] for one in report["found"]] == ["server.listen"]
    machine.sections["server"] = {"listen": "nonsense"}
    status, report = await examined(machine)
    assert (status, report["ok"]) == (2, False)
    status, text = await machine.command("doctor")
    assert "mend: write" in text
