"""Rule 3: Argon2id, equal work for unknown users, no guessing without limit. Hashing itself: tests/unit."""

import asyncio
from pathlib import Path

import pytest

from gateway.directory.database import DatabaseDirectory
from gateway.directory.password_hashing import PasswordHashing
from gateway.errors import StoreUnavailable, WeakPassword
from gateway.model import User
from tests.rig import PASSWORD, PHONE, running_gateway


class CountingPasswords(PasswordHashing):
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


async def test_guesses_at_the_same_time_are_no_more_than_guesses_in_a_row(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        token = await browser.token("/_auth/login")
        guesses = [*(f"wrong password {n}" for n in range(40)), PASSWORD]
        forms = [
            {"username": "alice", "password": guess, "csrf_token": token, "rd": "/"} for guess in guesses
        ]
        answers = await asyncio.gather(*(browser.post("/_auth/login", form) for form in forms))
        assert sorted(answer.status for answer in answers) == [401] * 10 + [429] * 31


async def test_right_passwords_use_up_no_tries(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        for _ in range(32):
            assert (await browser.password()).status == 303
            await browser.session.get(rig.url + "/_auth/login")
            browser.session.cookie_jar.clear()


async def test_a_directory_that_is_away_uses_up_no_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        with monkeypatch.context() as outage:
            outage.setattr(DatabaseDirectory, "authenticate", away)
            assert {(await browser.password()).status for _ in range(11)} == {503}
        assert (await browser.password()).status == 303


async def test_another_spelling_of_the_name_brings_no_fresh_tries(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        spellings = [
            "alice",
            "ALICE",
            "ａｌｉｃｅ",
            "𝐚𝐥𝐢𝐜𝐞",
            "ⓐlice",
            "al𝒾ce",
            " alice",
            "alicｅ",
            "𝕒lice",
            "ａlice",
        ]
        statuses = [(await browser.password(name, "wrong password")).status for name in spellings]
        assert statuses == [401] * 10
        assert (await browser.password("𝓪lice", PASSWORD)).status == 429


async def test_guessing_many_accounts_from_one_address_is_stopped(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        statuses = [(await browser.password(f"user{n}", "wrong password")).status for n in range(33)]
        assert statuses[-1] == 429


@pytest.mark.parametrize(
    "weak", ["short", "password123", "qwertyuiop", "aaaaaaaaaaaa", "alice-alice-1", "x" * 1000]
)
async def test_weak_passwords_are_refused_wherever_one_is_set(tmp_path: Path, weak: str) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user()
        before = await rig.directory.get("alice")
        with pytest.raises(WeakPassword):
            await rig.directory.set_password("alice", weak)
        with pytest.raises(WeakPassword):
            await rig.directory.add(User("alice-alice", phone=PHONE), weak)
        assert await rig.directory.get("alice") == before
        assert await rig.directory.get("alice-alice") is None


@pytest.mark.parametrize(
    "good", ["no digits or capitals at all", "ünï©ödé pässwörter", "one small bird sings " * 6]
)
async def test_long_ones_need_no_composition(tmp_path: Path, good: str) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user()
        await rig.directory.set_password("alice", good)
        assert await rig.directory.authenticate("alice", good) is not None


async def test_a_sign_in_brings_an_old_hash_to_todays_parameters(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user()
        before = await rig.directory.get("alice")
        stronger = PasswordHashing(rig.config.passwords.model_copy(update={"argon2_passes": 3}))
        directory = DatabaseDirectory(rig.directory._engine, stronger, rig.clock)
        assert await directory.authenticate("alice", "a wrong password") is None
        assert await directory.get("alice") == before
        assert await directory.authenticate("alice", PASSWORD) is not None
        after = await directory.get("alice")
        assert before is not None
        assert after is not None
        assert ",t=1," in before.password_hash
        assert ",t=3," in after.password_hash
        assert await directory.authenticate("alice", PASSWORD) is not None
        stronger.close()


SLOW = {"argon2_memory": "64 MiB", "argon2_passes": 4}


async def test_a_flood_of_guesses_gets_503_and_costs_nobody_a_try(tmp_path: Path) -> None:
    async with (
        running_gateway(
            tmp_path, passwords={"concurrency": 1, "queue": 1, "argon2_memory": "64 MiB", "argon2_passes": 4}
        ) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        token = await browser.token("/_auth/login")
        form = {"csrf_token": token, "rd": "/", "username": "nobody", "password": "wrong wrong"}
        answers = await asyncio.gather(*(browser.post("/_auth/login", form) for _ in range(8)))
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {401, 503}
        judged = statuses.count(401)
        count, _ = await rig.gateway.services.stores.ledger.count("limit:password-user:nobody")
        assert count == judged
