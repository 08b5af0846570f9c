"""The contract of WritableDirectory, on every database."""

from dataclasses import replace

import bcrypt
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.config.schema import PasswordRules as PasswordSettings
from gateway.directory.database import DatabaseDirectory
from gateway.directory.password_hashing import PasswordHashing
from gateway.errors import InvalidUser, UserExists, UserUnknown, WeakPassword
from gateway.keyring import KeyRing
from gateway.model import SessionRecord, User
from gateway.stores.protocols.core import Change, Credential
from gateway.stores.sql.credentials import SqlCredentials
from gateway.stores.sql.sessions import SqlChanges, SqlSessions
from tests.contract.conftest import FakeClock

PASSWORD = "correct horse battery"
ALICE = User(
    "alice",
    name="Alice Ä.",
    email="alice@example.com",
    phone="+4915112345678",
    groups=("staff", "ops"),
    attributes=(("department", ("ops", "dev")), ("site", ("Köln",))),
)


class CountingPasswords(PasswordHashing):
    """Real hashing that also counts how often the expensive work was done."""

    work = 0

    def _argon2(self):  # type: ignore[no-untyped-def]
        self.work += 1
        return super()._argon2()

    def _verify(self, password: str, hash: str) -> bool:
        self.work += 1 if hash.startswith("$argon2id$") else 0
        return super()._verify(password, hash)


@pytest.fixture
def passwords() -> CountingPasswords:
    return CountingPasswords(PasswordSettings(argon2_memory=64 * 1024, argon2_passes=1))


@pytest.fixture
def changes(engine: AsyncEngine) -> SqlChanges:
    return SqlChanges(engine)


@pytest.fixture
def sessions(engine: AsyncEngine, clock: FakeClock) -> SqlSessions:
    return SqlSessions(engine, clock)


async def sign_in(sessions: SqlSessions, sid: str, username: str = "alice") -> None:
    await sessions.put(SessionRecord(sid, username, ("pwd",), {"pwd": 1.0}, 1.0, 1.0, 9e9))


async def test_attributes_change_with_the_user(directory: DatabaseDirectory) -> None:
    await directory.add(ALICE, PASSWORD)
    await directory.replace(replace(ALICE, attributes=(("site", ("Bonn",)),)))
    found = await directory.get("alice")
    assert found is not None
    assert found.attributes == (("site", ("Bonn",)),)
    await directory.replace(replace(ALICE, attributes=()))
    assert (await directory.list(limit=9))[0].attributes == ()
    with pytest.raises(InvalidUser):
        await directory.replace(replace(ALICE, attributes=(("a", ("x\ny",)),)))


async def test_a_user_comes_back_as_added(directory: DatabaseDirectory, clock: FakeClock) -> None:
    await directory.add(ALICE, PASSWORD)
    stored = await directory.get("alice")
    assert stored is not None
    assert stored.password_hash.startswith("$argon2id$")
    assert stored == replace(
        ALICE, password_hash=stored.password_hash, password_changed_at=clock(), created_at=clock()
    )


@pytest.mark.parametrize("spelling", ["ALICE", "Alice", "\uff21lice"])
async def test_every_spelling_of_a_username_is_one_user(directory: DatabaseDirectory, spelling: str) -> None:
    await directory.add(replace(ALICE, username=spelling), PASSWORD)
    assert (await directory.get("alice")) == (await directory.get(spelling)) is not None
    with pytest.raises(UserExists):
        await directory.add(ALICE, PASSWORD)


@pytest.mark.parametrize("typed", ["", "bob", "a" * 5000, "alice\0", "al ice", "alice\r\nX: y", "\ud800"])
async def test_whatever_a_visitor_types_finds_no_one(directory: DatabaseDirectory, typed: str) -> None:
    await directory.add(ALICE, PASSWORD)
    assert await directory.get(typed) is None
    assert await directory.authenticate(typed, PASSWORD) is None


async def test_the_right_password_gives_the_user(directory: DatabaseDirectory) -> None:
    await directory.add(ALICE, PASSWORD)
    user = await directory.authenticate("Alice", PASSWORD)
    assert user is not None
    assert user.username == "alice"
    assert await directory.authenticate("alice", PASSWORD + "x") is None


async def test_refusals_cost_the_work_of_one_hash_each(
    directory: DatabaseDirectory, passwords: CountingPasswords
) -> None:
    await directory.add(ALICE, PASSWORD)
    await directory.add(User("disabled", disabled=True), PASSWORD)
    await directory.add(User("nopassword"))
    costs = []
    for username in ("alice", "disabled", "nopassword", "nobody", "no body"):
        before = passwords.work
        assert await directory.authenticate(username, "wrong password") is None
        costs.append(passwords.work - before)
    assert costs == [1] * 5


async def test_a_disabled_user_is_refused_with_the_right_password(directory: DatabaseDirectory) -> None:
    await directory.add(replace(ALICE, disabled=True), PASSWORD)
    assert await directory.authenticate("alice", PASSWORD) is None


async def test_an_imported_hash_becomes_ours_at_sign_in(
    directory: DatabaseDirectory, passwords: CountingPasswords
) -> None:
    imported = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    await directory.add(replace(ALICE, password_hash=imported))
    assert await directory.authenticate("alice", "wrong password") is None
    assert await directory.authenticate("alice", PASSWORD) is not None
    stored = await directory.get("alice")
    assert stored is not None
    assert not passwords.needs_rehash(stored.password_hash)
    assert stored.password_changed_at == 0.0
    assert await directory.authenticate("alice", PASSWORD) is not None


async def test_stronger_parameters_are_applied_at_sign_in(
    directory: DatabaseDirectory, engine: AsyncEngine, clock: FakeClock
) -> None:
    await directory.add(ALICE, PASSWORD)
    stronger = PasswordHashing(PasswordSettings(argon2_memory=128 * 1024, argon2_passes=2))
    assert await DatabaseDirectory(engine, stronger, clock).authenticate("alice", PASSWORD) is not None
    stored = await directory.get("alice")
    assert stored is not None
    assert "m=128,t=2,p=1" in stored.password_hash


async def test_replace_stores_all_but_the_password_and_publishes_it(
    directory: DatabaseDirectory, changes: SqlChanges
) -> None:
    await directory.add(ALICE, PASSWORD)
    cursor = await changes.latest()
    before = await directory.get("alice")
    assert before is not None
    wanted = replace(before, name="A.", email="", phone="", groups=("ops",), password_hash="none")
    await directory.replace(wanted)
    assert await directory.get("alice") == replace(wanted, password_hash=before.password_hash)
    assert (await changes.since(cursor))[1] == [Change("user", "alice")]


async def test_disabling_ends_the_sessions_so_enabling_does_not_bring_them_back(
    directory: DatabaseDirectory, sessions: SqlSessions, changes: SqlChanges
) -> None:
    await directory.add(ALICE, PASSWORD)
    await sign_in(sessions, "a1")
    await sign_in(sessions, "b1", "bob")
    cursor = await changes.latest()
    await directory.replace(replace(ALICE, disabled=True))
    assert [record.sid for record in await sessions.list()] == ["b1"]
    assert (await changes.since(cursor))[1] == [Change("session", "a1"), Change("user", "alice")]


async def test_a_new_password_replaces_the_old_and_is_published(
    directory: DatabaseDirectory, changes: SqlChanges, clock: FakeClock
) -> None:
    await directory.add(ALICE, PASSWORD)
    cursor = await changes.latest()
    clock.advance(100)
    await directory.set_password("ALICE", "staple walnut orbit")
    assert await directory.authenticate("alice", PASSWORD) is None
    user = await directory.authenticate("alice", "staple walnut orbit")
    assert user is not None
    assert user.password_changed_at == clock()
    assert (await changes.since(cursor))[1] == [Change("user", "alice")]


async def test_a_weak_password_changes_nothing(directory: DatabaseDirectory) -> None:
    await directory.add(ALICE, PASSWORD)
    with pytest.raises(WeakPassword):
        await directory.set_password("alice", "password1")
    with pytest.raises(WeakPassword):
        await directory.add(User("bob"), "short")
    assert await directory.authenticate("alice", PASSWORD) is not None
    assert await directory.get("bob") is None


async def test_with_the_user_go_sessions_and_credentials(
    directory: DatabaseDirectory,
    sessions: SqlSessions,
    changes: SqlChanges,
    engine: AsyncEngine,
    ring: KeyRing,
) -> None:
    credentials = SqlCredentials(engine, ring.seal, ring.open)
    await directory.add(ALICE, PASSWORD)
    await sign_in(sessions, "a1")
    await credentials.add(Credential("t1", "alice", "totp", "", b"secret", 1.0))
    cursor = await changes.latest()
    await directory.delete("Alice")
    assert await directory.get("alice") is None
    assert await sessions.get("a1") is None
    assert await credentials.list("alice") == []
    assert (await changes.since(cursor))[1] == [Change("session", "a1"), Change("user", "alice")]
    await directory.add(ALICE, PASSWORD)


async def test_commands_on_unknown_users_say_so(directory: DatabaseDirectory) -> None:
    with pytest.raises(UserUnknown):
        await directory.replace(ALICE)
    with pytest.raises(UserUnknown):
        await directory.set_password("alice", PASSWORD)
    with pytest.raises(UserUnknown):
        await directory.delete("alice")


async def test_adding_many_is_all_or_nothing(directory: DatabaseDirectory) -> None:
    await directory.add(ALICE)
    many = [await directory.prepared(User("bob")), await directory.prepared(ALICE)]
    with pytest.raises(UserExists, match="alice"):
        await directory.add_all(many)
    assert await directory.get("bob") is None


async def test_an_invalid_user_is_refused(directory: DatabaseDirectory) -> None:
    with pytest.raises(InvalidUser):
        await directory.add(replace(ALICE, groups=("a,b",)))
    assert await directory.list(limit=9) == []
