"""The listening sockets of all addresses of one configuration (`server.listen` may be a list)."""

import socket
from collections.abc import Sequence

from gateway.server.process.sockets import Listeners


class ListenerSet:
    """Several `Listeners`, of which a configuration after this one takes over those of the same addresses.

    The first is where everything is served; what else is there may only redirect.
    """

    def __init__(self, each: Sequence[Listeners]) -> None:
        self.each = tuple(each)

    @classmethod
    def of(
        cls, listens: Sequence[str], before: "ListenerSet | None" = None, first: Sequence[Listeners] = ()
    ) -> "ListenerSet":
        """Make those of these addresses, behind `first`; what is in `before` already is used again.

        Raises ListenError.
        """
        there = {one.listen: one for one in before.each} if before is not None else {}
        return cls([*first, *(there.get(listen) or Listeners(listen) for listen in listens)])

    @property
    def first(self) -> Listeners:
        return self.each[0]

    def grow(self, count: int) -> None:
        """Have sockets for at least `count` workers. Raises ListenError."""
        for one in self.each:
            one.grow(count)

    def share(self, number: int, count: int) -> list[socket.socket]:
        """The sockets that worker `number` of `count` reads; together the workers read all."""
        return [sock for one in self.each for sock in one.share(number, count)]

    def alone(self, number: int, count: int) -> list[socket.socket]:
        """Those of them that no other worker reads: not the unix sockets."""
        return [sock for one in self.each if not one.is_unix for sock in one.share(number, count)]

    def keep_only(self, wanted: Sequence[socket.socket], others: "Sequence[ListenerSet]" = ()) -> None:
        """In a worker: let go of the sockets that other workers read, and of those of other configurations. An address
        that is left is else open for as long as the worker lives, and nobody answers there.
        """
        for one in (one for each in (self, *others) for one in each.each):
            one.keep_only(wanted)

    def close(self, but: "ListenerSet | None" = None) -> None:
        """Close every socket, except those that `but` has, too."""
        for one in self.each:
            if but is None or one not in but.each:
                one.close()
