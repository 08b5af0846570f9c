"""Rule 3: Argon2id, equal work for unknown users, no guessing without limit. Hashing itself: tests/unit."""

from pathlib import Path

from gateway.directory.database import DatabaseDirectory
from gateway.passwords import Passwords
from tests.rig import PASSWORD, running_gateway


class CountingPasswords(Passwords):
    """The real thing, counting how much work is done."""

    work = 0

    async def _run(self, work):  # type: ignore[no-untyped-def]
        self.work += 1
        return await super()._run(work)


async def test_unknown_disabled_and_wrong_cost_the_same_work(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user("alice")
        await rig.add_user("dora", disabled=True)
        passwords = CountingPasswords(rig.config.passwords)
        directory = DatabaseDirectory(rig.directory._engine, passwords, rig.clock)
        spent = []
        for name, password in (("alice", "wrong password"), ("nobody", PASSWORD), ("dora", PASSWORD)):
            before = passwords.work
            assert await directory.authenticate(name, password) is None
            spent.append(passwords.work - before)
        assert spent == [1, 1, 1]
        passwords.close()


async def test_stored_passwords_are_argon2id(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user()
        user = await rig.directory.get("alice")
        assert user is not None
        assert user.password_hash.startswith("$argon2id$v=19$")


async def test_guessing_one_account_is_stopped_whether_or_not_it_exists(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        for name in ("alice", "nobody"):
            statuses = [(await browser.password(name, "wrong password")).status for _ in range(12)]
            assert statuses[:9] == [401] * 9
            assert statuses[-1] == 429
        response = await browser.password("alice", PASSWORD)
        assert response.status == 429
        assert int(response.headers["Retry-After"]) > 0
        rig.clock.advance(601)
        assert (await browser.password("alice", PASSWORD)).status == 303


async def test_guessing_many_accounts_from_one_address_is_stopped(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        statuses = [(await browser.password(f"user{n}", "wrong password")).status for n in range(33)]
        assert statuses[-1] == 429
