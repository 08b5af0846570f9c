"""The release before this one and this one on one database: an upgrade while people use it, and the way back."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.release_before import RELEASED, Visitor, code_of_release_before, git, machine, tags_before
from tests.faults.serving import Machine, ready
from tests.integration.serving import ROOT, Serving
from tests.rig import PASSWORD, PHONE
from tests.services import create_database
from tests.software_key import SoftwareKey
from tests.waiting import free_port, until


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return code_of_release_before(tmp_path_factory.mktemp("release-before"))


@pytest.fixture
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Of the kind that the test asks for."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return {"url": f"sqlite:///{tmp_path}/gateway.db"}
    url = create_database(request.getfixturevalue("postgres"), f"before{len(request.param)}")
    return {"url": url} | (
        {"state_url": request.getfixturevalue("redis")} if "redis" in request.param else {}
    )


@dataclass
class Both:
    """The old and the new gateway of one installation; `running` are those that may send a code."""

    old: Machine
    new: Machine
    front: int
    running: list[Serving]

    def visitor(self, username: str = "alice") -> Visitor:
        return Visitor(self.front, self.running, username)

    @asynccontextmanager
    async def serving(self, which: Machine) -> AsyncIterator[Serving]:
        async with which.serving() as serving:
            self.running.append(serving)
            yield serving
            self.running.remove(serving)


async def said(by: Machine, *words: str, text: str = "") -> str:
    status, output = await by.command(*words, text=text)
    assert status == 0, output
    return output


async def add_user(by: Machine, name: str, *options: str) -> None:
    await said(by, "user", "add", name, "--password-stdin", *options, text=PASSWORD + "\n")


@pytest.fixture
def both(tmp_path: Path, code: Path, storage: dict[str, str], app: str) -> Both:
    front = free_port()
    old = machine(tmp_path, "old", code, storage, app, front)
    return Both(old, machine(tmp_path, "new", ROOT, storage, app, front), front, [])


@asynccontextmanager
async def traffic(visitor: Visitor, at: Serving) -> AsyncIterator[Counter[int]]:
    """What somebody who is signed in gets at a gateway meanwhile."""
    seen: Counter[int] = Counter()

    async def ask() -> None:
        while True:
            seen[(await visitor.ask(at))[0]] += 1
            await asyncio.sleep(0.02)

    asking = asyncio.create_task(ask())
    try:
        await until(lambda: seen[200], "traffic")
        yield seen
        enough = seen[200] + 5
        await until(lambda: asking.done() or seen[200] > enough, "traffic afterwards")
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


def test_a_clone_without_tags_finds_the_same_release_before() -> None:
    if not (tags := tags_before()):
        pytest.skip("this clone has no tags to compare with")
    assert git("rev-parse", f"{tags[0]}^{{commit}}").strip() == RELEASED


async def test_the_release_before_goes_on_beside_this_one_and_starts_again_without_it(both: Both) -> None:
    await add_user(both.old, "alice", "--phone", PHONE)
    alice = both.visitor()
    async with both.serving(both.old) as before:
        assert await alice.password(before) == 303
        assert await alice.text_message(before) == 303
        async with traffic(alice, before) as seen, both.serving(both.new) as after:
            assert (await alice.ask(after))[0] == 200
            other = both.visitor()
            assert await other.password(after) == 303
            assert await other.text_message(before) == 303
        assert set(seen) == {200}, seen
    async with both.serving(both.old) as again:
        assert (await ready(again))[0] == 200
        for visitor in (alice, other):
            assert (await visitor.ask(again))[0] == 200


@pytest.mark.long
@pytest.mark.parametrize("storage", ["sqlite", "postgresql", "postgresql and redis"], indirect=True)
async def test_people_go_to_and_fro_during_an_upgrade_and_after_the_way_back(both: Both) -> None:
    old, new = both.old, both.new
    await add_user(old, "alice", "--phone", PHONE)
    await add_user(old, "carol")
    token = (await said(old, "token", "add", "robot", "--route", "*/tokened")).split()[-1]
    alice, carol, key = both.visitor(), both.visitor("carol"), SoftwareKey()
    async with both.serving(old) as before:
        assert await alice.password(before) == 303
        assert await alice.text_message(before, remember=True) == 303
        await carol.enrol_key(before, key)
        async with traffic(alice, before) as seen, both.serving(new) as after:
            assert await ready(before) == (200, (await ready(before))[1])
            assert (await ready(after))[0] == 200
            await sessions_are_shared(both, before, after, alice)
            await factors_are_shared(both, before, after, key)
            await programs_are_shared(both, before, after, token)
            await ends_and_tries_are_shared(both, before, after)
            await the_audit_log_is_one(old, new)
            bob = both.visitor("bob")
            await add_user(new, "bob", "--phone", "+4915112345679")
            assert await bob.password(after) == 303
            assert await bob.text_message(after) == 303
        assert set(seen) == {200}, seen
    async with both.serving(old) as again:
        assert (await ready(again))[0] == 200
        for visitor in (alice, bob):
            assert (await visitor.ask(again))[0] == 200, "sessions live through the way back"
        other = both.visitor("bob")
        assert await other.password(again) == 303
        assert await other.text_message(again) == 303
        assert await both.visitor("carol").passkey(again, key) == 303
        async with both.serving(new) as after:
            assert (await ready(after))[0] == 200, "and forward again"
            assert (await other.ask(after))[0] == 200


async def sessions_are_shared(both: Both, before: Serving, after: Serving, alice: Visitor) -> None:
    assert (await alice.ask(after))[0] == 200
    for first, second in ((before, after), (after, before)):
        visitor = both.visitor()
        assert await visitor.password(first) == 303
        assert await visitor.text_message(second, remember=True) == 303
        for at in (before, after):
            assert (await visitor.ask(at))[0] == 200
        remembered = both.visitor()
        remembered.cookies = {name: value for name, value in visitor.cookies.items() if "device" in name}
        assert remembered.cookies
        assert await remembered.password(first) == 303
        assert (await remembered.ask(first))[0] == 200, "a device that the other remembers"


async def factors_are_shared(both: Both, before: Serving, after: Serving, key: SoftwareKey) -> None:
    for at, elsewhere in ((after, before), (before, after)):
        carol = both.visitor("carol")
        assert await carol.passkey(at, key) == 303
        assert (await carol.ask(elsewhere))[0] == 200
    await add_user(both.new, "dora")
    another = SoftwareKey()
    await both.visitor("dora").enrol_key(after, another)
    assert await both.visitor("dora").passkey(before, another) == 303


async def programs_are_shared(both: Both, before: Serving, after: Serving, token: str) -> None:
    made = (await said(both.new, "token", "add", "another", "--route", "*/tokened")).split()[-1]
    for bearer in (token, made):
        for at in (before, after):
            headers = {"Authorization": f"Bearer {bearer}"}
            assert (await both.visitor().ask(at, "/tokened/quick", headers=headers))[0] == 200


async def ends_and_tries_are_shared(both: Both, before: Serving, after: Serving) -> None:
    await add_user(both.old, "erik", "--phone", "+4915112345677")
    for ending, at in ((both.old, after), (both.new, before)):
        erik = both.visitor("erik")
        assert await erik.password(before) == 303
        assert await erik.text_message(before) == 303
        assert (await erik.ask(at))[0] == 200
        await said(ending, "session", "revoke", "--user", "erik")

        async def ended(erik: Visitor = erik, at: Serving = at) -> bool:
            return (await erik.ask(at))[0] == 303

        await until(ended, "the other hears that it was ended")
    guesser = both.visitor("erik")
    tried = [await guesser.password(at, "wrong password") for at in (before, after) * 6]
    assert 429 in tried
    for at in (before, after):
        assert await guesser.password(at) == 429, "tries count together"


async def the_audit_log_is_one(old: Machine, new: Machine) -> None:
    words = ("audit", "tail", "-n", "1000", "--json", "--event", "login")
    seen = [
        sorted(
            json.loads(line)["at"]
            for line in (await said(one, *words)).splitlines()
            if line.startswith("{")  # the older one also warns that the database is newer than it
        )
        for one in (old, new)
    ]
    assert seen[0] == seen[1]
    assert len(seen[0]) >= 9, "what both have written"
