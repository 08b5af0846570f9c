"""Signing keys renewed by themselves: when they are due, once for all workers, and never used before they are known."""

import asyncio
import multiprocessing
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.config.loader import read_text
from gateway.errors import ConfigError
from gateway.observability.audit import Audit
from gateway.oidc.key_rotation import Rotation
from gateway.oidc.signing_keys import SigningKeys
from tests.rig import FakeClock
from tests.waiting import PATIENCE

DAY = 86400.0
ANNOUNCE, AGE, LONGEST = DAY, 90 * DAY, 3600.0


class Noted:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def record(self, event: str, username: str = "", ip: str = "", **data: object) -> None:
        self.events.append({"event": event, **data})


def worker(folder: Path, clock: FakeClock) -> tuple[SigningKeys, Rotation, Noted]:
    keys = SigningKeys(folder / "oidc.keys", clock, announce=ANNOUNCE)
    noted = Noted()
    return keys, Rotation(keys, cast(Audit, noted), AGE, LONGEST), noted


async def test_a_key_is_renewed_when_it_is_due_and_signs_when_all_know_it(tmp_path: Path) -> None:
    clock = FakeClock()
    mine, rotation, noted = worker(tmp_path, clock)
    other, _, _ = worker(tmp_path, clock)
    first = mine.signing.ec.kid
    clock.advance(AGE - 1)
    await rotation.look()
    assert (len(mine.keys), noted.events) == (1, [])
    clock.advance(1)
    await rotation.look()
    (event,) = noted.events
    fresh = mine.keys[0].ec.kid
    assert event == {"event": "key_rotated", "key": fresh, "by": "oidc.rotate_keys"}
    clock.advance(2)
    published = {row["kid"] for row in cast(list[dict[str, str]], other.published()["keys"])}
    assert {first, fresh} <= published, "another worker publishes it long before anybody signs with it"
    assert mine.signing.ec.kid == other.signing.ec.kid == first
    clock.advance(ANNOUNCE)
    assert mine.signing.ec.kid == other.signing.ec.kid == fresh
    assert first in [key.ec.kid for key in other.keys]


async def test_workers_that_look_one_after_the_other_rotate_once(tmp_path: Path) -> None:
    clock = FakeClock()
    workers = [worker(tmp_path, clock) for _ in range(4)]
    clock.advance(AGE)
    await asyncio.gather(*(rotation.look() for _, rotation, _ in workers))
    assert sum(len(noted.events) for _, _, noted in workers) == 1
    assert {len(keys.keys) for keys, _, _ in workers} <= {1, 2}
    clock.advance(2)
    assert {tuple(key.ec.kid for key in keys.keys) for keys, _, _ in workers} == {
        tuple(key.ec.kid for key in workers[0][0].keys)
    }


def _rotate(path: Path, now: float, ready: Any) -> int:
    keys = SigningKeys(path, FakeClock(now), announce=ANNOUNCE)
    ready.wait(PATIENCE)
    return int(keys.rotate_if_older(AGE, LONGEST) is not None)


def _in_process(path: Path, now: float, ready: Any, results: Any) -> None:
    results.put(_rotate(path, now, ready))


def test_processes_that_look_at_once_rotate_once(tmp_path: Path) -> None:
    clock = FakeClock()
    path = tmp_path / "oidc.keys"
    SigningKeys(path, clock, announce=ANNOUNCE)
    context = multiprocessing.get_context("fork")
    ready, results = context.Barrier(3), context.Queue()
    made = [context.Process(target=_in_process, args=(path, clock() + AGE, ready, results)) for _ in range(3)]
    for process in made:
        process.start()
    rotated = [results.get(timeout=PATIENCE) for _ in made]
    for process in made:
        process.join(PATIENCE)
    assert sorted(rotated) == [0, 0, 1]
    assert len(SigningKeys(path, clock, announce=ANNOUNCE).keys) == 2


async def test_a_file_that_can_not_be_written_is_told_and_the_keys_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Secret of Kubernetes is mounted read-only. (The tests may run as root, who can write anything.)"""

    def refused(*_: object) -> None:
        raise PermissionError(30, "Read-only file system")

    clock = FakeClock()
    keys, rotation, noted = worker(tmp_path, clock)
    first = keys.signing.ec.kid
    clock.advance(AGE)
    monkeypatch.setattr("gateway.keyfile.os.replace", refused)
    await rotation.look()
    assert "can't be written" in caplog.text
    assert "Read-only file system" in caplog.text
    assert (keys.signing.ec.kid, len(keys.keys), noted.events) == (first, 1, [])
    monkeypatch.undo()
    await rotation.look()
    assert len(keys.keys) == 2


async def test_it_looks_again_and_again(tmp_path: Path) -> None:
    clock = FakeClock()
    keys, rotation, noted = worker(tmp_path, clock)

    async def months_later(seconds: float) -> None:
        if len(noted.events) == 3:
            raise asyncio.CancelledError
        clock.advance(AGE)

    with pytest.raises(asyncio.CancelledError):
        await rotation.run(months_later)
    assert len(keys.keys) == 2, "the one that signs and the one that comes: what older ones signed is over"


@pytest.mark.parametrize(
    ("yaml", "problem"),
    [
        ("{rotate_keys: 90d, announce: 1m}", "oidc.announce: is too short to rotate by itself"),
        ("{rotate_keys: 1d, announce: 1d}", "oidc.rotate_keys: is not longer than `oidc.announce`"),
    ],
)
def test_times_that_no_app_could_follow_are_mistakes(yaml: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_text(f"oidc: {yaml}\nroutes: [{{upstream: 'http://127.0.0.1:1'}}]\n", "config.yaml", {})
    assert problem in str(caught.value)
    assert read_text("oidc: {rotate_keys: 90d}\n", "config.yaml", {}).config.oidc.rotate_keys == AGE
