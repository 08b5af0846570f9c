"""Whose key answered, from which page, and whether it is a copy of one."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.authn.factors.base import Attempt, Outcome
from gateway.authn.factors.preference import Preferences
from gateway.authn.factors.webauthn import WebAuthnFactor, backup_note
from gateway.authn.factors.webauthn_relying_party import RelyingParty, parse_answer
from gateway.keyring import KeyRing
from gateway.model import User
from gateway.stores.protocols.core import Credential
from gateway.stores.sql.credentials import SqlCredentials
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.ledger import SqlLedger
from tests.databases import give_schema
from tests.rig import FakeClock
from tests.software_key import SoftwareKey

PORTAL, APP, OTHER = "https://login.example.test", "https://app.example.test", "https://wiki.example.test"
PHONE = "android:apk-key-hash:example"
SITE = RelyingParty(
    "example.test", "Example", PORTAL, listed=frozenset({PHONE}), routed=frozenset({APP, OTHER})
)
ALICE = Attempt(User("alice"), "session-1", "192.0.2.1", "login.example.test", origin=PORTAL)


@dataclass
class Rig:
    factor: WebAuthnFactor
    credentials: SqlCredentials

    async def answered(
        self, key: SoftwareKey, attempt: Attempt = ALICE, origin: str = "", **client_data: object
    ) -> Outcome:
        prompt = await self.factor.begin(attempt)
        answer = key.answer(prompt.options, origin or attempt.origin, **client_data)
        return await self.factor.verify(attempt, {"credential": answer})

    async def key_of(self, username: str, count: int = 0) -> SoftwareKey:
        key = SoftwareKey(count=count)
        await self.credentials.add(key.stored(username))
        return key

    async def passkey(self, key: SoftwareKey, here: str, origin: str, **client_data: object) -> str | None:
        answer = key.answer(await self.factor.passkey_begin("visitor"), origin, **client_data)
        return await self.factor.passkey_finish("visitor", here, answer)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    url = f"sqlite:///{tmp_path / 'keys.db'}"
    await give_schema(url)
    engine = open_engine(url)
    clock = FakeClock()
    ring = KeyRing.load_or_create(tmp_path / "session.keys", clock)
    credentials = SqlCredentials(engine, ring.seal, ring.open)
    yield Rig(
        WebAuthnFactor(credentials, SqlLedger(engine, clock), clock, SITE, Preferences(credentials, clock)),
        credentials,
    )
    await engine.dispose()


async def test_a_users_own_key_is_a_second_factor_and_somebody_elses_is_not(rig: Rig) -> None:
    mine, theirs = await rig.key_of("alice"), await rig.key_of("bob")
    assert await rig.answered(theirs) is Outcome.WRONG
    assert await rig.answered(mine) is Outcome.RIGHT
    assert await rig.answered(theirs, replace(ALICE, user=User("bob"), sid="session-2")) is Outcome.RIGHT


async def test_a_passkey_signs_its_own_user_in(rig: Rig) -> None:
    keys = {name: await rig.key_of(name) for name in ("alice", "bob")}
    for name, key in keys.items():
        assert await rig.passkey(key, PORTAL, PORTAL) == name
    keys["alice"].handle = keys["bob"].handle
    assert await rig.passkey(keys["alice"], PORTAL, PORTAL) is None


async def test_it_is_known_whether_a_key_is_synced_and_when_that_changes(rig: Rig) -> None:
    key = await rig.key_of("alice")
    notes, name = Preferences(rig.credentials, FakeClock()), backup_note(key.stored("alice").id)
    assert await notes.noted("alice", name) == ""
    for flags, state in ((0x00, "device"), (0x08, "eligible"), (0x18, "synced"), (0x08, "eligible")):
        key.backup = flags
        assert await rig.answered(key) is Outcome.RIGHT
        assert await notes.noted("alice", name) == state


async def test_a_copy_of_a_key_that_counts_is_noticed(rig: Rig) -> None:
    key = await rig.key_of("alice", count=5)
    copy = replace(key, count=6)
    key.count = 7
    assert await rig.answered(key) is Outcome.RIGHT
    assert await rig.answered(copy) is Outcome.WRONG
    assert await rig.answered(key) is Outcome.WRONG  # the same count twice
    key.count = 8
    assert await rig.answered(key) is Outcome.RIGHT


async def test_of_two_answers_with_one_count_at_once_one_counts(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library compares with what was read before; only the store's own step can tell the two apart."""
    key = await rig.key_of("alice", count=5)
    key.count = 6
    stored = await rig.credentials.get(key.stored("alice").id)
    assert stored is not None

    async def read_before(id: str) -> Credential:
        return stored

    monkeypatch.setattr(rig.credentials, "get", read_before)
    assert await rig.answered(key) is Outcome.RIGHT
    assert await rig.answered(key) is Outcome.WRONG


ORIGINS: Mapping[str, tuple[str, str, bool]] = {
    "the portal, at the portal": (PORTAL, PORTAL, True),
    "a routed host, there": (APP, APP, True),
    "the portal, at a routed host": (APP, PORTAL, True),
    "what the operator listed": (PORTAL, PHONE, True),
    "another routed host, at the portal": (PORTAL, APP, False),
    "one routed host, at another": (APP, OTHER, False),
    "a host below the domain that no route names": (PORTAL, "https://pages.example.test", False),
    "such a host, relayed with its name": ("https://pages.example.test", "https://pages.example.test", False),
    "the routed host without TLS": ("http://app.example.test", "http://app.example.test", False),
    "the routed host at another port": (
        "https://app.example.test:8443",
        "https://app.example.test:8443",
        False,
    ),
    "a foreign domain": (PORTAL, "https://example.test.evil.test", False),
}


@pytest.mark.parametrize(("here", "origin", "counts"), ORIGINS.values(), ids=ORIGINS.keys())
async def test_a_key_counts_for_listed_origins_only(rig: Rig, here: str, origin: str, counts: bool) -> None:
    key = await rig.key_of("alice")
    assert await rig.passkey(key, here, origin) == ("alice" if counts else None)
    outcome = await rig.answered(key, replace(ALICE, origin=here), origin)
    assert outcome is (Outcome.RIGHT if counts else Outcome.WRONG)
    made = SoftwareKey()
    attempt = replace(ALICE, origin=here)
    setup = await rig.factor.enrol_begin(attempt, {})
    answer = made.registration(setup.prompt.options, origin)
    enrolled = await rig.factor.enrol_finish(attempt, {"credential": answer})
    assert enrolled is (Outcome.RIGHT if counts else Outcome.WRONG)


FRAMED = [
    {"crossOrigin": True},
    {"topOrigin": "https://evil.test"},
    {"crossOrigin": "true"},
    {"crossOrigin": 1},
]


@pytest.mark.parametrize("said", FRAMED, ids=str)
async def test_an_answer_from_a_frame_on_another_site_is_refused(rig: Rig, said: dict[str, object]) -> None:
    key = await rig.key_of("alice")
    assert await rig.passkey(key, PORTAL, PORTAL, **said) is None
    assert await rig.answered(key, **said) is Outcome.WRONG
    setup = await rig.factor.enrol_begin(ALICE, {})
    answer = SoftwareKey().registration(setup.prompt.options, PORTAL, **said)
    assert await rig.factor.enrol_finish(ALICE, {"credential": answer}) is Outcome.WRONG


@pytest.mark.parametrize(("size", "outcome"), [(0, "WRONG"), (1, "RIGHT"), (1023, "RIGHT"), (1024, "WRONG")])
async def test_a_credential_id_has_some_bytes_and_at_most_1023(rig: Rig, size: int, outcome: str) -> None:
    key = SoftwareKey(id=b"k" * size)
    setup = await rig.factor.enrol_begin(ALICE, {})
    answer = key.registration(setup.prompt.options, PORTAL)
    assert await rig.factor.enrol_finish(ALICE, {"credential": answer}) is Outcome[outcome]
    asked = await rig.factor.passkey_begin("visitor")
    assert (parse_answer(key.answer(asked, PORTAL)) is None) == (outcome == "WRONG")


BOMBS = [
    "[" * 3000,
    '{"a":' * 3000,
    '"' + "\\ud800" + '"',
    "null",
    "1",
    '{"id": "é", "response": []}',
    "[]" * 9,
]


@pytest.mark.parametrize("text", BOMBS, ids=lambda text: text[:12])
async def test_what_no_browser_would_send_is_no_answer(rig: Rig, text: str) -> None:
    assert parse_answer(text) is None
    await rig.factor.passkey_begin("visitor")
    assert await rig.factor.passkey_finish("visitor", PORTAL, text) is None
    await rig.factor.enrol_begin(ALICE, {})
    assert await rig.factor.enrol_finish(ALICE, {"credential": text}) is Outcome.WRONG
