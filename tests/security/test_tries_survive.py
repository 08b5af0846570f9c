"""Five guesses are five guesses: starting over, or elsewhere at the same time, gives no fresh ones (rule 2)."""

import asyncio
import multiprocessing
from pathlib import Path

from gateway.authn.factors.base import Attempt, Outcome
from gateway.authn.factors.challenge import TRIES, Codes
from gateway.model import User
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.ledger import SqlLedger
from gateway.stores.sql.migrate import migrate
from tests.contract.race import wall_clock
from tests.rig import Rig, running_gateway
from tests.security.test_rule_02_codes import PLENTY
from tests.waiting import PATIENCE

_context = multiprocessing.get_context("fork")


def wrong_code(rig: Rig) -> str:
    return f"{(int(rig.codes[-1]) + 1) % 1_000_000:06d}"


async def test_a_new_sign_in_has_only_the_tries_that_are_left(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, sms={"budgets": PLENTY}) as rig:
        await rig.add_user()
        async with rig.browser() as browser:
            await browser.password()
            statuses = [
                (await browser.code(wrong_code(rig) if rig.codes else "000000")).status for _ in range(3)
            ]
            assert statuses == [401] * 3
        async with rig.browser() as browser:
            await browser.password()
            await browser.get("/_auth/verify")
            statuses = [(await browser.code(wrong_code(rig))).status for _ in range(3)]
            assert statuses == [401, 401, 429]
            sent = len(rig.codes)
        async with rig.browser() as browser:
            await browser.password()
            answer = await browser.get("/_auth/verify")
            assert answer.status == 429
            assert 0 < int(answer.headers["Retry-After"]) <= 301
            assert len(rig.codes) == sent  # what can't be tried is not sent either
            rig.clock.advance(301)
            assert (await browser.get("/_auth/verify")).status == 200
            assert (await browser.code()).status == 303


async def test_another_code_brings_no_fresh_tries(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, sms={"budgets": PLENTY}) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        statuses = []
        for _ in range(3):
            token = await browser.token("/_auth/verify")
            await browser.post("/_auth/verify", {"csrf_token": token, "rd": "/", "resend": "1"})
            statuses += [(await browser.code(wrong_code(rig))).status for _ in range(2)]
            rig.clock.advance(31)
        assert statuses == [401] * 5 + [429]


async def test_a_right_code_gives_the_tries_back(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, sms={"budgets": PLENTY}) as rig:
        await rig.add_user()
        for _ in range(3):
            async with rig.browser() as browser:
                await browser.password()
                await browser.get("/_auth/verify")
                assert [(await browser.code(wrong_code(rig))).status for _ in range(4)] == [401] * 4
                assert (await browser.code()).status == 303


async def test_who_has_another_factor_is_asked_for_that(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, sms={"budgets": PLENTY}) as rig:
        await rig.add_user(email="alice@example.com")
        async with rig.browser() as thief:
            await thief.password()
            await thief.get("/_auth/verify")
            for _ in range(6):
                await thief.code(wrong_code(rig), method="sms")
        async with rig.browser() as browser:
            await browser.password()
            answer = await browser.get("/_auth/verify")
            page = await answer.text()
            assert answer.status == 200
            assert "Check your e-mail" in page
            assert "Too many wrong codes" in page
            assert (await browser.code(method="email")).status == 303


def test_guesses_in_two_processes_and_many_sessions_share_five_tries(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    asyncio.run(_prepare(url))
    results: multiprocessing.Queue[int] = _context.Queue()
    barrier = _context.Barrier(2)
    racers = [_context.Process(target=_guess, args=(url, number, barrier, results)) for number in range(2)]
    for racer in racers:
        racer.start()
    judged = sum(results.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join(PATIENCE)
    assert judged == TRIES


async def _prepare(url: str) -> None:
    engine = open_engine(url)
    await migrate(engine)
    await engine.dispose()


def _guess(url: str, number: int, barrier: object, results: "multiprocessing.Queue[int]") -> None:
    """Ten flows at once, each with a code and a session of its own; tells how many guesses were judged."""

    async def run() -> int:
        engine = open_engine(url)
        codes = Codes(
            "sms", SqlLedger(engine, wall_clock), lambda: [b"k" * 32], wall_clock, length=6, lifetime=300
        )
        barrier.wait(PATIENCE)  # type: ignore[attr-defined]

        async def flow(place: int) -> bool:
            attempt = Attempt(User("alice"), f"sid-{number}-{place}", "127.0.0.1", "localhost")
            await codes.issue(attempt)
            return await codes.verify(attempt, "wrong") is Outcome.WRONG

        judged = await asyncio.gather(*(flow(place) for place in range(10)))
        await engine.dispose()
        return sum(judged)

    results.put(asyncio.run(run()))
