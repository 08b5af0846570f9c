"""What was right is remembered for a minute and forgotten once it changes."""

import asyncio

import pytest

from gateway.authn.verified_cache import VerifiedCache
from tests.rig import FakeClock


class Check:
    """Counts its calls, and can be held up."""

    def __init__(self, answer: str = "alice") -> None:
        self.answer, self.calls = answer, 0
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self) -> str:
        self.calls += 1
        await self.free.wait()
        if self.answer == "wrong":
            raise PermissionError
        return self.answer


async def test_one_check_serves_a_minute_and_not_a_second_more() -> None:
    clock, check = FakeClock(), Check()
    known: VerifiedCache[str] = VerifiedCache(clock)
    for passed, calls in ((0, 1), (59, 1), (2, 2)):
        clock.advance(passed)
        assert await known.get("secret", "ip", check) == "alice"
        assert check.calls == calls


async def test_wrong_credentials_are_checked_each_time() -> None:
    known, check = VerifiedCache[str](FakeClock()), Check("wrong")
    for calls in (1, 2):
        with pytest.raises(PermissionError):
            await known.get("secret", "ip", check)
        assert check.calls == calls


async def test_other_credentials_of_the_same_user_are_others() -> None:
    known, right, wrong = VerifiedCache[str](FakeClock()), Check(), Check("wrong")
    await known.get("secret", "ip", right)
    with pytest.raises(PermissionError):
        await known.get("Secret", "ip", wrong)


async def test_equal_requests_at_one_time_share_one_check_and_its_refusal() -> None:
    for answer in ("alice", "wrong"):
        known, check = VerifiedCache[str](FakeClock()), Check(answer)
        check.free.clear()
        waiting = [asyncio.create_task(known.get("secret", "ip", check)) for _ in range(5)]
        elsewhere = asyncio.create_task(known.get("secret", "another ip", check))
        await asyncio.sleep(0)
        waiting[0].cancel()  # its client left; the others still wait
        check.free.set()
        results = await asyncio.gather(*waiting[1:], elsewhere, return_exceptions=True)
        assert check.calls == 2
        assert {type(result) for result in results} == {str if answer == "alice" else PermissionError}


async def test_a_change_ends_what_is_remembered_of_this_user_alone() -> None:
    known, alice, bob = VerifiedCache[str](FakeClock()), Check(), Check("bob")
    await known.get("a", "ip", alice)
    await known.get("b", "ip", bob)
    known.forget(lambda name: name == "alice")
    await known.get("a", "ip", alice)
    await known.get("b", "ip", bob)
    assert (alice.calls, bob.calls) == (2, 1)


async def test_a_check_that_began_before_a_change_is_neither_remembered_nor_shared_after_it() -> None:
    known, old, new = VerifiedCache[str](FakeClock()), Check(), Check("changed")
    old.free.clear()
    before = asyncio.create_task(known.get("secret", "ip", old))
    await asyncio.sleep(0)
    known.forget(lambda name: name == "alice")
    assert await known.get("secret", "ip", new) == "changed"
    old.free.set()
    assert await before == "alice"
    assert await known.get("secret", "ip", new) == "changed"


async def test_it_never_grows_beyond_its_size_and_holds_no_credential() -> None:
    known, check = VerifiedCache[str](FakeClock(), size=3), Check()
    for number in range(10):
        await known.get(f"secret {number}", "ip", check)
    assert len(known._known) == 3
    assert "secret" not in repr(vars(known))


async def test_two_processes_have_different_keys() -> None:
    slots = []
    for _ in range(2):
        known = VerifiedCache[str](FakeClock())
        await known.get("secret", "ip", Check())
        slots += known._known
    assert slots[0] != slots[1]
