"""Twin of gateway/server/connection_shares.py: what counts as one client, and who is none."""

from ipaddress import ip_address, ip_network

import pytest

from gateway.config.schema import HttpLimits
from gateway.server.connection_shares import ConnectionShares


def shares(**limits: int) -> ConnectionShares:
    return ConnectionShares(HttpLimits(**{"connections": 8, **limits}), [ip_network("10.0.0.0/8")])


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("203.0.113.1", "203.0.113.1", True),
        ("203.0.113.1", "203.0.113.2", False),
        ("203.0.113.1", "::ffff:203.0.113.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_addresses_that_one_client_has_share(first: str, second: str, same: bool) -> None:
    counted = shares(connections_per_address=1)
    assert counted.admit(ip_address(first))
    assert counted.admit(ip_address(second)) != same


def test_the_default_is_a_quarter_and_what_left_makes_room() -> None:
    counted, client = shares(), ip_address("203.0.113.1")
    assert [counted.admit(client) for _ in range(3)] == [True, True, False]
    counted.left(client)
    counted.left(client)
    assert counted.admit(client)


def test_trusted_proxies_and_unix_sockets_have_no_share() -> None:
    counted = shares(connections_per_address=1)
    assert all(counted.admit(ip_address("10.1.2.3")) for _ in range(5))
    assert all(counted.admit(None) for _ in range(5))


def test_nothing_is_remembered_of_clients_that_have_left() -> None:
    counted = shares()
    for number in range(100):
        counted.admit(ip_address(f"2001:db8:{number:x}::1"))
        counted.left(ip_address(f"2001:db8:{number:x}::1"))
    assert not counted._open
