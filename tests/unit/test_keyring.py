"""The key ring: made once, readable by one, rotated without loss, honest when broken."""

import json
import logging
import multiprocessing
import os
from pathlib import Path

import pytest
from joserfc import jwt

from gateway.errors import ConfigError
from gateway.keyring import KeyRing, keep_in_memory
from tests.waiting import PATIENCE


class FakeClock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "session.keys"


@pytest.fixture
def ring(path: Path, clock: FakeClock) -> KeyRing:
    return KeyRing.load_or_create(path, clock)


def test_a_folder_that_cannot_be_made_is_named(clock: FakeClock) -> None:
    with pytest.raises(ConfigError, match="the folder /proc/nowhere can't be made"):
        KeyRing.load_or_create(Path("/proc/nowhere/session.keys"), clock)


def test_the_file_is_made_for_one_account_only(ring: KeyRing, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["session.keys"]


def test_a_second_start_reads_the_same_keys(ring: KeyRing, path: Path, clock: FakeClock) -> None:
    again = KeyRing.load_or_create(path, clock)
    assert again.open(ring.seal(b"cookie")) == b"cookie"
    assert again.derive(b"codes") == ring.derive(b"codes")
    assert again.signing_keys[0].kid == ring.signing_keys[0].kid


def test_workers_that_race_to_create_end_with_one_ring(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(6), context.Queue()

    def start() -> None:
        barrier.wait(PATIENCE)
        queue.put(KeyRing.load_or_create(path, FakeClock()).derive(b"same"))

    workers = [context.Process(target=start) for _ in range(6)]
    for worker in workers:
        worker.start()
    derived = {queue.get(timeout=PATIENCE) for _ in workers}
    for worker in workers:
        worker.join(PATIENCE)
    assert len(derived) == 1


def test_what_was_sealed_before_a_rotation_still_opens(ring: KeyRing, clock: FakeClock) -> None:
    sealed, derived, kid = ring.seal(b"cookie"), ring.derive(b"codes"), ring.signing_keys[0].kid
    ring.rotate(clock.now + 1)
    assert ring.open(sealed) == b"cookie"
    assert ring.derive(b"codes") != derived
    assert ring.derive_all(b"codes")[1] == derived
    assert [key.kid for key in ring.signing_keys][1] == kid


def test_rotation_drops_the_oldest_beyond_keep_but_never_the_previous(
    ring: KeyRing, clock: FakeClock
) -> None:
    first = ring.seal(b"x")
    ring.rotate(clock.now + 1, keep=3)
    second = ring.seal(b"x")
    for step in (2, 3):
        ring.rotate(clock.now + step, keep=3)
    assert len(ring.keys) == 3
    assert ring.open(second) == b"x"
    with pytest.raises(ValueError, match="not in the ring"):
        ring.open(first)
    ring.rotate(clock.now + 4, keep=0)
    assert len(ring.keys) == 2


def test_a_running_worker_sees_a_rotation_by_another_process_within_two_seconds(
    ring: KeyRing, path: Path, clock: FakeClock
) -> None:
    other = KeyRing(path, clock)
    fresh = other.rotate(clock.now)
    assert ring.keys[0].id != fresh.id
    clock.now += 2
    assert ring.keys[0].id == fresh.id
    assert ring.open(other.seal(b"cookie")) == b"cookie"


def test_what_a_key_of_a_moment_ago_has_made_is_known_in_every_process_at_once(
    ring: KeyRing, path: Path, clock: FakeClock
) -> None:
    """Another worker rotates and uses its new key at once; this one last looked at the file a moment before."""
    for known in (
        lambda made: ring.open(made.seal(b"totp")) == b"totp",
        lambda made: ring.fernet().decrypt(made.fernet().encrypt(b"cookie")) == b"cookie",
        lambda made: made.derive(b"tokens") in ring.derive_all(b"tokens"),
        lambda made: made.signing_keys[0].kid in {key.kid for key in ring.signing_keys},
    ):
        other = KeyRing(path, clock)
        other.rotate(clock.now)
        assert known(other)
    held, other = ring.fernet(), KeyRing(path, clock)
    other.rotate(clock.now)
    assert held.decrypt(other.fernet().encrypt(b"cookie")) == b"cookie"


def test_nothing_is_sealed_with_a_key_that_the_next_rotation_drops(
    ring: KeyRing, path: Path, clock: FakeClock
) -> None:
    """Twice within a second, by another process: what this one seals now must outlive the rotation after them."""
    other = KeyRing(path, clock)
    for _ in range(2):
        other.rotate(clock.now, keep=2)
    sealed = ring.seal(b"totp")
    assert other.open(sealed) == b"totp"


def test_reload_tells_whether_the_file_changed(ring: KeyRing, path: Path, clock: FakeClock) -> None:
    assert not ring.reload()
    KeyRing(path, clock).rotate(clock.now)
    assert ring.reload()


def test_purposes_have_keys_of_their_own(ring: KeyRing) -> None:
    derived = {ring.derive(purpose) for purpose in (b"codes", b"csrf", b"fernet")}
    assert len(derived) == 3
    assert {len(key) for key in derived} == {32}


def test_the_signing_key_makes_es256_tokens_that_its_public_half_verifies(ring: KeyRing) -> None:
    key = ring.signing_keys[0]
    token = jwt.encode({"alg": "ES256", "kid": key.kid}, {"sub": "alice"}, key)
    assert jwt.decode(token, key, algorithms=["ES256"]).claims == {"sub": "alice"}
    assert "d" not in key.as_dict(private=False)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "[]",
        "{}",
        '{"version": 1}',
        '{"version": 1, "keys": []}',
        '{"version": 1, "keys": [{}]}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_file_is_an_error_that_says_the_mend(
    path: Path, content: str | bytes, clock: FakeClock
) -> None:
    path.parent.mkdir()
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="restore it from a backup") as caught:
        KeyRing.load_or_create(path, clock)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("secret", "c2hvcnQ="), ("secret", 7), ("signing", {}), ("signing", "x"), ("created_at", "soon")],
)
def test_a_damaged_key_is_an_error_that_quotes_no_key(
    ring: KeyRing, path: Path, clock: FakeClock, field: str, value: object
) -> None:
    document = json.loads(path.read_text())
    private = document["keys"][0]["signing"]["d"]
    document["keys"][0][field] = value
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError) as caught:
        KeyRing(path, clock)
    assert private not in str(caught.value)


def test_a_file_open_to_everyone_is_refused(ring: KeyRing, path: Path, clock: FakeClock) -> None:
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        KeyRing(path, clock)


def test_a_slip_in_the_file_of_a_running_gateway_keeps_the_keys_in_memory(
    ring: KeyRing, path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    sealed, good = ring.seal(b"cookie"), path.read_text()
    path.write_text("oops")
    clock.now += 2
    with caplog.at_level(logging.ERROR):
        assert ring.open(sealed) == b"cookie"
    assert "keeping the keys in memory" in caplog.text
    path.write_text(good)
    clock.now += 2
    assert ring.open(sealed) == b"cookie"


def test_keys_show_in_no_repr(ring: KeyRing, path: Path) -> None:
    stored = json.loads(path.read_text())["keys"][0]
    shown = repr(ring.keys) + repr(ring)
    assert stored["secret"] not in shown
    assert stored["signing"]["d"] not in shown
    assert repr(ring.keys[0].secret) not in shown


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_mount_with_keys_works(ring: KeyRing, path: Path, clock: FakeClock) -> None:
    path.parent.chmod(0o500)
    assert KeyRing.load_or_create(path, clock).open(ring.seal(b"x")) == b"x"
    path.parent.chmod(0o700)


def test_a_ring_mounted_below_run_secrets_may_be_readable_for_all(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As other secrets there: container engines mount them 0444, in a file system that only the container has."""
    KeyRing.load_or_create(path, clock)
    path.chmod(0o444)
    with pytest.raises(ConfigError, match="every user of this machine can read it"):
        KeyRing(path, clock)
    monkeypatch.setattr("gateway.config.substitution.MOUNTED_SECRETS", path.parent)
    assert KeyRing(path, clock).keys


def test_a_ring_that_is_gone_is_read_from_memory_only_where_it_was_kept(path: Path, clock: FakeClock) -> None:
    ring = KeyRing.load_or_create(path, clock)
    sealed = ring.seal(b"x")
    keep_in_memory(path)
    path.unlink()
    again = KeyRing(path, clock)
    assert again.open(sealed) == b"x"
    clock.now += 5
    assert again.open(sealed) == b"x"
    with pytest.raises(ConfigError, match="is missing"):
        KeyRing(path.with_name("other.keys"), clock)
