"""What a change makes untrue goes, and finding it never means looking at all."""

from gateway.model import Principal, SessionRecord, User
from gateway.session.cache import CachedSession, SessionCache
from gateway.stores.protocols.core import Change


def entry(sid: str, username: str) -> CachedSession:
    record = SessionRecord(
        sid=sid,
        username=username,
        amr=("password",),
        proven_at={"password": 1.0},
        created_at=1.0,
        last_seen=1.0,
        expires_at=9e9,
        ip="127.0.0.1",
        user_agent="",
    )
    return CachedSession(Principal(User(username), record), "csrf", read_at=1.0, seen_at=1.0, touched_at=1.0)


def filled(count: int) -> SessionCache:
    cache = SessionCache()
    for number in range(count):
        assert cache.put(f"v{number}", entry(f"s{number}", f"u{number % 3}"), 0)
    return cache


def test_a_change_of_a_session_drops_it_alone_and_one_of_a_user_all_of_theirs() -> None:
    cache = filled(9)
    cache.forget(Change("session", "s4"))
    assert [number for number in range(9) if cache.entries.get(f"v{number}") is None] == [4]
    cache.forget(Change("user", "u0"))
    assert [number for number in range(9) if cache.entries.get(f"v{number}") is None] == [0, 3, 4, 6]
    cache.forget(Change("session", "u1"))
    cache.forget(Change("user", "s1"))
    assert cache.entries.get("v1") is not None
    assert sorted(cache.sids_of("u1")) == ["s1", "s7"]
    assert cache.sids_of("u0") == []


def test_a_cookie_value_that_stands_for_another_session_now_goes_with_that_one() -> None:
    cache = filled(1)
    cache.put("v0", entry("other", "bob"), 0)
    cache.forget(Change("binding", "s0"))
    assert cache.entries.get("v0") is not None
    cache.forget(Change("user", "bob"))
    assert cache.entries.get("v0") is None


def test_forgetting_looks_at_nobody_elses_session() -> None:
    """500,000 changes at once took a worker's loop for seconds."""
    cache = filled(3)

    class Untouchable(dict[str, CachedSession]):
        def items(self) -> object:  # type: ignore[override]
            raise AssertionError("all sessions are looked at")

        __iter__ = values = keys = items  # type: ignore[assignment]

    cache.entries = Untouchable(cache.entries)  # type: ignore[assignment]
    cache.forget(Change("session", "s1"))
    cache.forget(Change("user", "u2"))
    cache.forget(Change("user", "nobody"))
    assert [cache.entries.get(value) is None for value in ("v0", "v1", "v2")] == [False, True, True]


def test_what_went_leaves_nothing_behind() -> None:
    cache = filled(6)
    for number in range(6):
        cache.drop(f"v{number}")
        cache.drop(f"v{number}")
    assert (cache._of_session, cache._of_user) == ({}, {})
