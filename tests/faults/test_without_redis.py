"""Two replicas with one PostgreSQL and no Redis: attempts, codes, locks and sessions are shared all the same."""

from pathlib import Path

from tests.faults.serving import Machine, Person, ready
from tests.waiting import until


def replica(folder: Path, name: str, database: str, app: str) -> Machine:
    return Machine(
        folder,
        {"url": database},
        app,
        name=name,
        sections={"session": {"keys_file": str(folder / "session.keys")}},
    )


async def test_two_replicas_share_sessions_revocations_and_tries_in_postgresql(
    tmp_path: Path, app: str, database: str
) -> None:
    one, two = replica(tmp_path, "one", database, app), replica(tmp_path, "two", database, app)
    await one.add_user()
    async with one.serving() as first, two.serving() as second:
        for each in (first, second):
            status, report = await ready(each)
            assert (status, report["status"]) == (200, "ready")
        async with Person() as alice:
            assert await alice.password(first) == 303
            assert (await alice.ask(second))[0] == 200, "the other replica knows the session"
            status, said = await one.command("session", "revoke", "--user", "alice")
            assert status == 0, said

            async def ended() -> bool:
                return (await alice.ask(first))[0] == 303 and (await alice.ask(second))[0] == 303

            await until(ended, "both replicas hear of it")
        async with Person() as guesser:
            tried = [await guesser.password(each, "wrong password") for each in (first, second) * 6]
            assert 429 in tried, "tries count together"
            assert await guesser.password(first) == 429
            assert await guesser.password(second) == 429
