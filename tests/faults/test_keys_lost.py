"""The key ring goes missing, is mistyped or exchanged: nobody gets new keys unasked, and who is in stays in."""

import os
import signal
from pathlib import Path

import asyncpg

from tests.faults.serving import Machine, Person
from tests.waiting import until


async def test_workers_that_start_again_and_reloads_keep_the_keys_of_a_ring_that_is_gone(
    tmp_path: Path, app: str
) -> None:
    machine = Machine(
        tmp_path, {"url": f"sqlite:///{tmp_path}/gateway.db"}, app, sections={"server": {"workers": 2}}
    )
    await machine.add_user()
    async with machine.serving() as serving, Person() as alice:
        assert serving.said("first start: made a new key ring")
        assert await alice.password(serving) == 303
        machine.keys_file.unlink()
        before = serving.workers()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        await until(lambda: len(serving.workers() - before) == 2, "two new workers")
        for _ in range(4):
            assert (await alice.ask(serving))[0] == 200
        await serving.said_until("using the keys in memory")

        machine.sections["session"] = {"keys_file": str(tmp_path / "sesion.keys")}
        machine.write()
        serving.signal(signal.SIGHUP)
        await serving.said_until("the old configuration stays")
        assert (await alice.ask(serving))[0] == 200
        assert list(tmp_path.glob("*.keys")) == [], "and nobody has made a ring"


async def test_a_later_start_without_the_ring_or_with_another_is_refused_until_an_operator_decides(
    tmp_path: Path, app: str, database: str
) -> None:
    machine = Machine(tmp_path, {"url": database}, app)
    await machine.add_user()
    async with machine.serving() as serving, Person() as alice:
        assert await alice.password(serving) == 303
    saved = machine.keys_file.read_bytes()
    machine.keys_file.unlink()
    async with machine.started() as serving:
        assert await serving.ended() == 2
    assert serving.said("the key ring is missing")
    assert not machine.keys_file.exists()

    status, said = await machine.command("key", "new")
    assert status == 0, said
    fresh = machine.keys_file.read_bytes()
    machine.keys_file.write_bytes(saved)  # the old one turns up again
    async with machine.started() as serving:
        assert await serving.ended() == 2
    assert serving.said("this is another key ring")
    assert (await machine.command("key", "adopt"))[0] == 0
    status, said = await machine.command("key", "list")
    assert "NOT the ring" not in said
    machine.keys_file.write_bytes(fresh)
    assert "NOT the ring" in (await machine.command("key", "list"))[1]


async def test_a_replica_with_a_folder_of_its_own_makes_no_ring_of_its_own(
    tmp_path: Path, app: str, database: str
) -> None:
    one = Machine(tmp_path, {"url": database}, app, "one")
    async with one.serving():
        other = Machine(
            tmp_path,
            {"url": database},
            app,
            "other",
            sections={"session": {"keys_file": str(tmp_path / "b.keys")}},
        )
        async with other.started() as serving:
            assert await serving.ended() == 2
        assert serving.said("the key ring is missing")
    connection = await asyncpg.connect(database)
    assert len(await connection.fetch("SELECT * FROM installation WHERE name = 'key ring'")) == 1
    await connection.close()


async def test_keys_that_sign_tokens_are_made_once_and_missed_later(
    tmp_path: Path, app: str, database: str
) -> None:
    client = {"id": "web", "auth": ["none"], "redirect_uris": ["https://web.example.test/cb"]}
    machine = Machine(tmp_path, {"url": database}, app, sections={"oidc": {"clients": [client]}})
    signing = tmp_path / "oidc.keys"
    async with machine.serving() as serving:
        assert serving.said("made new keys to sign tokens")
    signing.rename(tmp_path / "saved")
    async with machine.started() as serving:
        assert await serving.ended() == 2, "apps would refuse every token from before"
    assert serving.said("the keys that sign tokens are missing")
    status, said = await machine.command("key", "rotate")
    assert (status, "the keys that sign tokens are missing" in said) == (2, True)
    assert not signing.exists()

    status, said = await machine.command("key", "new", "--tokens")
    assert status == 0, said
    async with machine.serving():
        assert signing.exists()
    status, said = await machine.command("key", "new", "--tokens")
    assert (status, "is there" in said) == (1, True)
