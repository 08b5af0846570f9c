"""Getting and renewing, with an authority that fails in every way, and with two replicas that look at once."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.errors import StoreUnavailable
from gateway.server.tls.acme.authority import CertificateOrder, OrderFailed
from gateway.server.tls.acme.bundle import new_key
from gateway.server.tls.acme.records import LEASE
from tests.acme_rig import DAY, HOST, FakeAuthority, bundle_for
from tests.rig import FakeClock

Make = Callable[..., Any]


async def test_the_first_look_orders_and_the_next_ones_do_nothing(
    make: Make, authority: FakeAuthority
) -> None:
    replica = await make()
    with pytest.raises(StoreUnavailable):
        await replica.served.check()
    await replica.renewer.look()
    assert replica.served.bundle.names == (HOST,)
    await replica.served.check()
    for _ in range(3):
        await replica.renewer.look()
    assert authority.calls == ["register", "order", "window"]
    assert [event["hosts"] for event in replica.audit.named("certificate_issued")] == [[HOST]]


async def test_each_proof_is_there_when_the_authority_is_told_and_gone_afterwards(
    make: Make, authority: FakeAuthority
) -> None:
    authority.unproven = 3
    replica = await make(hosts=(HOST, "b.example.test"))
    await replica.renewer.look()
    assert authority.shown == [(HOST, f"proof of {HOST}"), ("b.example.test", "proof of b.example.test")]
    assert await replica.records.shown("token-of-order-2-0") is None
    assert replica.pauses[:3] == [1.0, 1.0, 2.0]  # it was asked again and again, a little later each time


async def test_two_replicas_that_look_at_once_make_one_order_and_both_serve_it(
    make: Make, authority: FakeAuthority
) -> None:
    first, second = await make("a"), await make("b")
    await asyncio.gather(*(replica.renewer.look() for replica in (first, second, first, second)))
    assert authority.orders == 1
    for replica in (first, second):
        await replica.served.refresh()
    assert first.served.bundle == second.served.bundle is not None
    assert first.cache.read() == second.cache.read() == first.served.bundle


async def test_what_another_one_did_before_the_lease_was_had_is_not_done_again(
    make: Make, authority: FakeAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await make("a"), await make("b")
    lease = second.records.lease

    async def late() -> bool:
        await first.renewer.look()
        return bool(await lease())

    monkeypatch.setattr(second.records, "lease", late)
    await second.renewer.look()
    assert authority.orders == 1


async def test_a_replica_that_died_while_it_ordered_holds_the_others_up_for_the_lease(
    make: Make, clock: FakeClock, authority: FakeAuthority
) -> None:
    replica = await make()
    assert await replica.records.lease()  # by one that never comes back
    await replica.renewer.look()
    assert authority.orders == 0
    clock.advance(LEASE + 1)
    await replica.renewer.look()
    assert authority.orders == 1


async def test_it_is_renewed_before_its_end_with_a_new_key_and_says_what_it_replaces(
    make: Make, clock: FakeClock, authority: FakeAuthority
) -> None:
    replica = await make()
    await replica.renewer.look()
    first = replica.served.bundle
    clock.advance(50 * DAY)
    await replica.renewer.look()
    assert authority.orders == 1
    clock.advance(11 * DAY)
    await replica.renewer.look()
    second = replica.served.bundle
    assert authority.orders == 2
    assert second.key != first.key
    assert authority.replaced == [first.serial]


async def test_a_window_of_the_authority_renews_at_once_when_it_is_over(
    make: Make, clock: FakeClock, authority: FakeAuthority
) -> None:
    replica = await make()
    await replica.renewer.look()
    await replica.renewer.look()  # asks when to renew
    authority.window = (clock() - DAY, clock() - 1)  # a revocation: it should have been by now
    clock.advance(6 * 3600 - 1)
    await replica.renewer.look()
    assert authority.orders == 1
    clock.advance(2)
    await replica.renewer.look()
    assert authority.orders == 2


async def test_an_authority_that_does_not_say_when_leaves_us_with_what_it_said_before(
    make: Make, clock: FakeClock, authority: FakeAuthority
) -> None:
    replica = await make()
    await replica.renewer.look()
    authority.window = (clock() + 5 * DAY, clock() + 6 * DAY)
    await replica.renewer.look()
    authority.window_failing = OrderFailed("away", "it is down")
    clock.advance(5.6 * DAY)
    await replica.renewer.look()
    assert authority.orders == 2


async def test_a_directory_that_is_down_leaves_the_certificate_and_is_asked_less_and_less_often(
    make: Make, clock: FakeClock, authority: FakeAuthority
) -> None:
    replica = await make()
    await replica.renewer.look()
    before = replica.served.bundle
    authority.failing = OrderFailed("away", "https://authority.test/directory can't be reached: refused")
    clock.advance(61 * DAY)
    tries = []
    for minute in range(24 * 60):
        asked = authority.orders
        await replica.renewer.look()
        tries += [minute] if authority.orders > asked else []
        clock.advance(60)
        if len(tries) == 4:
            break
    assert tries == [0, 1, 11, 71]
    assert replica.served.bundle == before
    await replica.served.check()
    event = replica.audit.named("certificate_failed")[-1]
    assert event["code"] == "away"
    assert "firewall" in event["mend"]
    authority.failing = None
    clock.advance(3 * 3600)
    await replica.renewer.look()
    assert replica.served.bundle != before
    assert (await replica.records.state()).failures == 0


async def test_a_rate_limit_is_kept_to_by_all_replicas_and_after_a_restart(
    make: Make, clock: FakeClock, authority: FakeAuthority
) -> None:
    authority.failing = OrderFailed("rateLimited", "too many certificates", 2 * DAY)
    first = await make("a")
    await first.renewer.look()
    authority.failing = None
    second = await make("b")
    for _ in range(4):
        clock.advance(DAY / 2 - 1)
        await second.renewer.look()
        await first.renewer.look()
    assert authority.orders == 1
    clock.advance(4)
    await second.renewer.look()
    assert authority.orders == 2
    assert second.served.bundle is not None


async def test_a_certificate_that_is_not_what_was_ordered_is_not_served(
    make: Make, clock: FakeClock, authority: FakeAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = await make()
    await replica.renewer.look()
    before = replica.served.bundle
    clock.advance(61 * DAY)
    for chain, problem in (
        (bundle_for(("evil.example.test",), clock(), DAY, new_key()).chain, "for another key"),
        ("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", "no usable certificate"),
    ):
        clock.advance(DAY)

        async def issued(order: object, chain: str = chain) -> str:
            return chain

        monkeypatch.setattr(authority, "issued", issued)
        await replica.renewer.look()
        assert problem in replica.audit.named("certificate_failed")[-1]["cause"]
        await replica.served.refresh()
        assert replica.served.bundle == before


async def test_a_certificate_for_other_names_or_of_yesterday_is_not_served(
    make: Make, clock: FakeClock, authority: FakeAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = await make()
    finalize = authority.finalize

    async def elsewhere(order: CertificateOrder, key: str, hosts: Sequence[str]) -> None:
        await finalize(order, key, ["evil.example.test"])

    monkeypatch.setattr(authority, "finalize", elsewhere)
    await replica.renewer.look()
    assert "evil.example.test" in replica.audit.named("certificate_failed")[0]["cause"]
    monkeypatch.setattr(authority, "finalize", finalize)
    authority.lifetime = 0
    clock.advance(DAY)
    await replica.renewer.look()
    assert len(replica.audit.named("certificate_failed")) == 2
    assert replica.served.bundle is None


async def test_an_account_that_the_authority_has_lost_is_made_anew(
    make: Make, authority: FakeAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = await make()
    await replica.records.keep_account(new_key(), "https://authority.test/account/of-yore")
    order, lost = authority.order, [OrderFailed("accountDoesNotExist", "who are you?")]

    async def forgetful(*given: Any) -> Any:
        if lost:
            raise lost.pop()
        return await order(*given)

    monkeypatch.setattr(authority, "order", forgetful)
    await replica.renewer.look()
    assert replica.served.bundle is not None
    assert await replica.records.account() is not None
    assert authority.calls == ["register", "order"]
