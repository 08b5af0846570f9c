"""Many users in a YAML file: whoever reads, compares, searches or forgets them lets requests go on in between."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.config.schema import PasswordRules
from gateway.directory import yaml_file, yaml_users
from gateway.directory.password_hashing import PasswordHashing
from gateway.directory.yaml_file import FileDirectory
from tests.integration.test_file_directory import write
from tests.waiting import until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "users.yaml"
    write(path, {})
    return path


@pytest.fixture
def passwords() -> Iterator[PasswordHashing]:
    passwords = PasswordHashing(PasswordRules(argon2_memory=64 * 1024, argon2_passes=1))
    yield passwords
    passwords.close()


class Turns:
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        self.number = 0
        self._counting = asyncio.create_task(self._count())

    async def _count(self) -> None:
        while True:
            self.number += 1
            await asyncio.sleep(0)

    def end(self) -> None:
        self._counting.cancel()


async def test_requests_get_their_turn_while_a_large_file_is_read_compared_and_forgotten(
    file: Path, passwords: PasswordHashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred are made or compared in one turn at most. The collector of garbage is left nothing to look at."""
    monkeypatch.setattr(yaml_users, "SMALL", 0)
    write(file, {f"user{number}": {"groups": ["a"]} for number in range(1050)})
    directory, turns = FileDirectory(file, passwords), Turns()
    made: list[tuple[int, int]] = []
    looked: list[tuple[int, int]] = []
    take, in_turns = yaml_users._Found.take, yaml_file._in_turns

    def taken(self: yaml_users._Found, piece: bytes) -> None:
        before = len(self._rows)
        take(self, piece)
        made.append((turns.number, len(self._rows) - before))

    async def noted(items: object) -> AsyncIterator[object]:
        async for some in in_turns(items):  # type: ignore[arg-type]
            looked.append((turns.number, len(some)))
            yield some

    monkeypatch.setattr(yaml_users._Found, "take", taken)
    monkeypatch.setattr(yaml_file, "_in_turns", noted)
    write(file, {f"user{number}": {"groups": ["b"]} for number in range(1050)})
    await directory.refresh()
    turns.end()
    assert [count for _, count in made] == [100] * 10 + [50]
    assert [count for _, count in looked] == [100] * 10 + [50]
    for steps in (made, looked):
        assert len({turn for turn, _ in steps}) == len(steps), "two steps in one turn"
    for _ in range(2):  # it lets go of what is inside a row first, and then of the row
        gc.collect()
    assert not any(gc.is_tracked(row) for row in directory._rows.values())


@pytest.mark.parametrize("ask", ["list", "count", "with_email", "in_groups"])
async def test_requests_get_their_turn_while_many_users_are_searched(
    file: Path, passwords: PasswordHashing, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    monkeypatch.setattr(yaml_file, "_FEW", 5)
    write(file, {f"user{number}": {} for number in range(100)})
    directory, turns = FileDirectory(file, passwords), Turns()
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "list": lambda: directory.list("nobody", limit=9),
        "count": lambda: directory.count("nobody"),
        "with_email": lambda: directory.with_email("nobody@example.com"),
        "in_groups": lambda: directory.in_groups(["nobody"], limit=9),
    }
    assert not await asked[ask]() or ask == "count"
    assert turns.number >= 19
    turns.end()


async def test_a_worker_that_ends_while_a_file_is_read_leaves_no_process(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_users, "SMALL", 0)
    monkeypatch.setattr(yaml_users, "_command", lambda *_: ["sleep", "3600"])
    create, started = asyncio.create_subprocess_exec, list[asyncio.subprocess.Process]()

    async def noted(*command: str, **how: object) -> asyncio.subprocess.Process:
        started.append(await create(*command, **how))  # type: ignore[arg-type]
        return started[0]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    reading = asyncio.create_task(yaml_users.read_beside(file))
    await until(lambda: bool(started), "it has started")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert started[0].returncode == -signal.SIGKILL
