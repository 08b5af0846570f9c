"""A hundred thousand users in a YAML file: while it is read again, requests go on. Run with -s for the figures."""

import asyncio
import gc
import os
import time
from pathlib import Path

import pytest

from gateway.config.schema import PasswordRules
from gateway.directory.password_hashing import PasswordHashing
from gateway.directory.yaml_file import FileDirectory
from tests.faults.test_many_ldap_users import Lag, resident_mib

USERS = 100_000
HASH = "$2y$05$abcdefghijklmnopqrstuuE0RuKGxGUjBVXyVxHVPGyrIRFFbE7yS"

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(7200),
]  # two minutes of computing, on a machine without neighbours


def write(path: Path, team: str) -> None:
    new = path.with_suffix(".new")
    with new.open("w") as file:
        file.write("users:\n")
        for n in range(USERS):
            file.write(f"  user{n}:\n    name: Person {n}\n    email: user{n}@example.com\n")
            file.write(f"    password: {HASH}\n    groups: [staff, {team}{n % 200}]\n")
    os.replace(new, path)


async def test_requests_go_on_while_it_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "users.yaml"
    write(file, "team")
    began, before = time.monotonic(), resident_mib()
    directory = FileDirectory(file, PasswordHashing(PasswordRules()))
    print(f"\nfirst read: {time.monotonic() - began:.0f} s, +{resident_mib() - before:.0f} MiB")
    lag = Lag()
    watching = asyncio.create_task(lag.watch())
    for what, ask in (
        ("list", lambda: directory.list(limit=50)),
        ("search", lambda: directory.list("user77777", limit=50)),
        ("count", directory.count),
        ("by mail address", lambda: directory.with_email("user5@example.com")),
    ):
        began = time.monotonic()
        assert await ask()
        print(f"{what}: {time.monotonic() - began:.2f} s; {lag.told()}")

    await asyncio.to_thread(write, file, "crew")
    gc.collect()
    gc.freeze()  # as a worker does at its start: the collector looks at what comes later
    lag.told()
    began, asked = time.monotonic(), 0
    reading = asyncio.create_task(directory.refresh())
    while not reading.done():
        user = await directory.get("user5")
        assert user is not None
        asked += 1
        await asyncio.sleep(0.01)
    print(f"read again: {time.monotonic() - began:.0f} s, {asked} users looked up meanwhile; {lag.told()}")
    print(f"memory: +{resident_mib() - before:.0f} MiB")
    watching.cancel()
    gc.unfreeze()
    user = await directory.get("user5")
    assert user is not None
    assert user.groups == ("staff", "crew5")
    assert asked > 10
