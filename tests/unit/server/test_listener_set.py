"""Several addresses at once, and what a configuration takes over from the one before it."""

from pathlib import Path

import pytest

from gateway.server.process.listener_set import ListenerSet
from gateway.server.process.sockets import ListenError
from tests.waiting import free_port


def test_addresses_of_the_configuration_before_stay_open_and_others_are_closed(tmp_path: Path) -> None:
    kept, gone, new = (f"127.0.0.1:{free_port()}" for _ in range(3))
    unix = f"unix:{tmp_path}/a.sock"
    before = ListenerSet.of([kept, gone, unix])
    before.grow(2)
    sockets = before.each[0].share(0, 2)
    after = ListenerSet.of([new, kept, unix], before)
    after.grow(2)
    before.close(but=after)
    assert after.each[1].share(0, 2) == sockets
    assert all(sock.fileno() >= 0 for sock in sockets)
    assert all(sock.fileno() < 0 for sock in before.each[1].share(0, 2))
    assert (tmp_path / "a.sock").exists()
    free = ListenerSet.of([gone])
    free.grow(1)
    free.close()
    after.close()
    assert not (tmp_path / "a.sock").exists()


def test_a_new_set_that_cannot_be_had_closes_nothing_of_the_old_one() -> None:
    kept, taken = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    before, other = ListenerSet.of([kept]), ListenerSet.of([taken])
    before.grow(1)
    other.grow(1)
    after = ListenerSet.of([kept, taken], before)
    with pytest.raises(ListenError, match=taken):
        after.grow(1)
    after.close(but=before)
    assert before.share(0, 1)[0].fileno() >= 0
    before.close()
    other.close()


def test_workers_share_what_is_one_socket_and_lend_each_other_the_rest(tmp_path: Path) -> None:
    both = ListenerSet.of([f"unix:{tmp_path}/a.sock", f"127.0.0.1:{free_port()}"])
    both.grow(2)
    first, second = both.share(0, 2), both.share(1, 2)
    assert first[0] is second[0]
    assert first[1] is not second[1]
    assert both.alone(1, 2) == [second[1]]
    both.close()
