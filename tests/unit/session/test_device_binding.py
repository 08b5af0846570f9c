"""The bound cookie and the challenges, without a browser."""

from dataclasses import replace

import pytest
from aiohttp import web
from cryptography.fernet import Fernet, MultiFernet

from gateway.config.schema import Session
from gateway.model import SessionRecord
from gateway.session.device_binding import REFRESHING, REGISTERING, DeviceBinding, KeyEndpoints
from tests.rig import FakeClock

BOUND = SessionRecord(
    sid="s",
    username="alice",
    amr=("password",),
    proven_at={"password": 1.0},
    created_at=1.0,
    last_seen=1.0,
    expires_at=9e9,
    device_id="key",
    device_key="{}",
    device_at=1.0,
)
KEYS = MultiFernet([Fernet(Fernet.generate_key())])


def binding(clock: FakeClock, *, keys: MultiFernet = KEYS, device: bool = True) -> DeviceBinding:
    return DeviceBinding(
        Session.model_validate({"bind": {"device": device}}),
        secure=True,
        fernet=lambda: keys,
        endpoints=KeyEndpoints("/register", "/refresh"),
        clock=clock,
    )


def given(devices: DeviceBinding, record: SessionRecord = BOUND) -> str:
    response = web.Response()
    devices.give(response, record)
    return response.cookies[devices.cookie_name].value


def test_a_bound_cookie_counts_for_its_key_until_it_is_over() -> None:
    clock = FakeClock()
    devices = binding(clock)
    cookie = given(devices)
    for _ in range(2):  # opened, then remembered
        assert devices.holds(BOUND, cookie)
        assert not devices.holds(replace(BOUND, device_id="another"), cookie)
    assert binding(clock).holds(BOUND, cookie)  # another worker
    clock.advance(329)
    assert devices.holds(BOUND, cookie)
    clock.advance(1)
    assert not devices.holds(BOUND, cookie)


@pytest.mark.parametrize("bound", ["", "x", "é", "x" * 2000, "gAAAAA"])
def test_nothing_else_is_a_bound_cookie(bound: str) -> None:
    devices = binding(FakeClock())
    assert not devices.holds(BOUND, bound)
    assert devices.holds(replace(BOUND, device_id=""), bound)


def test_challenges_and_bound_cookies_are_not_taken_for_each_other() -> None:
    devices = binding(FakeClock())
    assert not devices.holds(BOUND, devices.challenge(REFRESHING, "key"))
    assert not devices.accepts(given(devices), REFRESHING, "key")
    stranger = binding(FakeClock(), keys=MultiFernet([Fernet(Fernet.generate_key())]))
    assert not devices.holds(BOUND, given(stranger))
    assert not devices.accepts(stranger.challenge(REFRESHING, "key"), REFRESHING, "key")


def test_a_challenge_counts_for_what_it_was_made_for_and_not_for_long() -> None:
    clock = FakeClock()
    devices = binding(clock)
    challenge = devices.challenge(REFRESHING, "key")
    assert devices.accepts(challenge, REFRESHING, "key")
    assert not devices.accepts(challenge, REGISTERING, "key")
    assert not devices.accepts(challenge, REFRESHING, "another")
    assert not devices.accepts("", REFRESHING, "key")
    clock.advance(-1)
    assert not devices.accepts(challenge, REFRESHING, "key")  # from the future: a clock is wrong
    clock.advance(121)
    assert not devices.accepts(challenge, REFRESHING, "key")


def test_a_key_that_the_ring_learns_later_opens_what_was_unknown_before() -> None:
    later = Fernet(Fernet.generate_key())
    ring = [KEYS]
    clock = FakeClock()
    devices = DeviceBinding(
        Session(), secure=True, fernet=lambda: ring[0], endpoints=KeyEndpoints("/", "/"), clock=clock
    )
    cookie = given(binding(clock, keys=MultiFernet([later])))
    assert not devices.holds(BOUND, cookie)
    ring[0] = MultiFernet([later])
    assert devices.holds(BOUND, cookie)


def test_a_session_registers_no_second_key_and_remote_hosts_none() -> None:
    def offered(devices: DeviceBinding, record: SessionRecord, host: str = "") -> bool:
        response = web.Response()
        devices.offer(response, record, host)
        return "Secure-Session-Registration" in response.headers

    unbound = replace(BOUND, device_id="")
    devices = binding(FakeClock())
    assert offered(devices, unbound)
    assert not offered(devices, BOUND)
    assert not offered(devices, unbound, "wiki.other.org")
    assert not offered(binding(FakeClock(), device=False), unbound)


def test_the_cookie_of_a_shared_session_is_named_with_its_domain() -> None:
    devices = DeviceBinding(
        Session.model_validate({"domain": "example.com"}),
        secure=True,
        fernet=lambda: KEYS,
        endpoints=KeyEndpoints("https://a/r", "https://a/f", "https://example.com"),
        clock=FakeClock(),
    )
    told = devices.instructions(BOUND)
    assert told["scope"] == {"include_site": True, "origin": "https://example.com"}
    assert told["refresh_url"] == "https://a/f"
    attributes = "Domain=example.com; Path=/; Secure; HttpOnly; SameSite=Lax"
    name = "__Secure-auth_session_bound"
    assert told["credentials"] == [{"type": "cookie", "name": name, "attributes": attributes}]
