"""The same code in four processes at once, on one SQLite file: one of them gets in."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pyotp
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.authn.factors.approval_questions import ApprovalAnswer, ApprovalQuestion, ApprovalQuestions
from gateway.authn.factors.base import Attempt, Factor, Outcome
from gateway.authn.factors.bypass import Bypasses
from gateway.authn.factors.challenge import Codes
from gateway.authn.factors.recovery import RecoveryFactor
from gateway.authn.factors.totp import STEP, TotpFactor
from gateway.keyring import KeyRing
from gateway.model import User
from gateway.stores.protocols.core import Credential
from gateway.stores.sql.credentials import SqlCredentials
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.ledger import SqlLedger
from gateway.stores.sql.migrate import migrate
from tests.contract import race

NOW = 1_800_000_000.0
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
ALICE = User("alice")


def credentials_of(engine: AsyncEngine, keys: Path) -> SqlCredentials:
    ring = KeyRing.load_or_create(keys, lambda: NOW)
    return SqlCredentials(engine, ring.seal, ring.open)


def prepare(url: str, work: Callable[[AsyncEngine], Awaitable[object]]) -> object:
    """Done before the race and closed again: processes must not share connections."""

    async def run() -> object:
        engine = open_engine(url)
        await migrate(engine)
        result = await work(engine)
        await engine.dispose()
        return result

    return asyncio.run(run())


def attempt(round: int) -> Attempt:
    return Attempt(ALICE, f"sid-{round}", "192.0.2.1", "localhost")


async def right(factor: Factor, round: int, code: str) -> bool:
    return await factor.verify(attempt(round), {"code": code}) is Outcome.RIGHT


def test_an_app_code_signs_in_one_of_four_processes(tmp_path: Path) -> None:
    url, keys = f"sqlite:///{tmp_path}/gateway.db", tmp_path / "session.keys"

    async def enrol(engine: AsyncEngine) -> None:
        app = Credential("t1", "alice", "totp", "App", SECRET.encode(), NOW)
        await credentials_of(engine, keys).add(app)

    prepare(url, enrol)

    async def act(engine: AsyncEngine, round: int) -> bool:
        def clock() -> float:
            return NOW + round * STEP

        ring = KeyRing.load_or_create(keys, clock)
        store = SqlCredentials(engine, ring.seal, ring.open)
        factor = TotpFactor(
            store, SqlLedger(engine, clock), clock, issuer="x", seal=ring.seal, open=ring.open
        )
        return await right(factor, round, pyotp.TOTP(SECRET).at(int(clock())))

    assert race.winners(url, act) == dict.fromkeys(range(race.ROUNDS), 1)


def test_a_recovery_code_signs_in_one_of_four_processes(tmp_path: Path) -> None:
    url, keys = f"sqlite:///{tmp_path}/gateway.db", tmp_path / "session.keys"
    made = [f"{number:x}".rjust(12, "a") for number in range(race.ROUNDS)]

    async def enrol(engine: AsyncEngine) -> None:
        store, ledger = credentials_of(engine, keys), SqlLedger(engine, lambda: NOW)
        waiting = iter([*made[:10], *["z" * 12] * 10])
        await RecoveryFactor(store, ledger, lambda: NOW, new_code=lambda: next(waiting)).renew(ALICE)

    prepare(url, enrol)

    async def act(engine: AsyncEngine, round: int) -> bool:
        store, ledger = credentials_of(engine, keys), SqlLedger(engine, lambda: NOW)
        return await right(RecoveryFactor(store, ledger, lambda: NOW), round, made[round])

    won = race.winners(url, act)
    assert won == {round: 1 if round < 10 else 0 for round in range(race.ROUNDS)}


def asks_of(engine: AsyncEngine, keys: Path) -> ApprovalQuestions:
    ring = KeyRing.load_or_create(keys, lambda: NOW)
    return ApprovalQuestions(SqlLedger(engine, lambda: NOW), seal=ring.seal, open=ring.open)


def asked(round: int) -> ApprovalQuestion:
    return ApprovalQuestion(f"id-{round}", f"sid-{round}", "42", "", "192.0.2.1", "", NOW)


def test_a_question_is_answered_and_its_answer_fetched_by_one_of_four_processes(tmp_path: Path) -> None:
    url, keys = f"sqlite:///{tmp_path}/gateway.db", tmp_path / "session.keys"

    async def ask(engine: AsyncEngine) -> None:
        for round in range(race.ROUNDS):
            assert await asks_of(engine, keys).ask(f"user-{round}", asked(round))
            await asks_of(engine, keys).answer(f"other-{round}", asked(round), ApprovalAnswer.YES)

    prepare(url, ask)

    async def take(engine: AsyncEngine, round: int) -> bool:
        return await asks_of(engine, keys).take(f"user-{round}", f"id-{round}") is not None

    async def fetch(engine: AsyncEngine, round: int) -> bool:
        return await asks_of(engine, keys).take_answer(f"other-{round}", f"sid-{round}") is ApprovalAnswer.YES

    for act in (take, fetch):
        assert race.winners(url, act) == dict.fromkeys(range(race.ROUNDS), 1)


def test_one_of_four_processes_gets_to_ask(tmp_path: Path) -> None:
    url, keys = f"sqlite:///{tmp_path}/gateway.db", tmp_path / "session.keys"
    prepare(url, lambda engine: asks_of(engine, keys).waiting("alice"))

    async def ask(engine: AsyncEngine, round: int) -> bool:
        return await asks_of(engine, keys).ask(f"user-{round}", asked(round))

    assert race.winners(url, ask) == dict.fromkeys(range(race.ROUNDS), 1)


def test_a_mailed_code_and_a_bypass_code_sign_in_one_of_four_processes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"

    def codes(engine: AsyncEngine) -> Codes:
        ledger = SqlLedger(engine, lambda: NOW)
        return Codes(
            "email", ledger, lambda: [b"k"], lambda: NOW, length=6, lifetime=300, digits=lambda _: "123456"
        )

    def bypasses(engine: AsyncEngine) -> Bypasses:
        return Bypasses(SqlLedger(engine, lambda: NOW), lambda: [b"k"], new_code=lambda: "a" * 12)

    def of(round: int) -> Attempt:  # tries are counted for the user
        return Attempt(User(f"user-{round}"), f"sid-{round}", "192.0.2.1", "localhost")

    async def issue(engine: AsyncEngine) -> None:
        for round in range(race.ROUNDS):
            await codes(engine).issue(of(round))
            await bypasses(engine).issue(f"user-{round}", 300)

    prepare(url, issue)

    async def mailed(engine: AsyncEngine, round: int) -> bool:
        return await codes(engine).verify(of(round), "123456") is Outcome.RIGHT

    async def handed(engine: AsyncEngine, round: int) -> bool:
        return await bypasses(engine).use(f"user-{round}", "aaaa-aaaa-aaaa")

    for act in (mailed, handed):
        assert race.winners(url, act) == dict.fromkeys(range(race.ROUNDS), 1)
