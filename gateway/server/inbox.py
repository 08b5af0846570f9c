"""What a client has sent and nobody has taken yet; finds the head of the next request in it."""

from http import HTTPStatus

from gateway.request.http_head import Malformed, check_begun

_END = b"\r\n\r\n"


class Inbox:
    """`most` is the size of the largest head."""

    __slots__ = ("_checked", "_data", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._data = bytearray()
        self._checked = 0  # how much was looked at for the end of a head

    def __len__(self) -> int:
        return len(self._data)

    @property
    def full(self) -> bool:
        return len(self._data) > self._most

    def add(self, data: bytes) -> None:
        self._data += data

    def take_all(self) -> bytes:
        data = bytes(self._data)
        self.clear()
        return data

    def clear(self) -> None:
        self._data.clear()
        self._checked = 0

    def begins(self) -> bool:
        """Whether a head has begun since this was last asked."""
        return not self._checked and bool(self._data)

    def next_head(self) -> bytes | None:
        """Take out the head of the next request, with its empty line; None if it is not whole yet.

        Raises Malformed for what can't become one.
        """
        data, at = self._data, 0
        while data.startswith(b"\r\n", at):
            at += 2  # RFC 9112 §2.2: empty lines before a request line mean nothing
        if at:
            del data[:at]
            self._checked = 0
        end = data.find(_END, max(0, self._checked - 3))
        if 0 <= end <= self._most - len(_END):
            head = bytes(data[: end + len(_END)])
            del data[: len(head)]
            self._checked = 0
            return head
        if self.full or end >= 0:
            in_line = data.find(b"\r\n", 0, self._most) < 0
            status = (
                HTTPStatus.REQUEST_URI_TOO_LONG if in_line else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            )
            raise Malformed(status, "head is too large")
        check_begun(data, self._checked)
        return None

    def look_no_more(self) -> None:
        """What is here now has been looked at."""
        self._checked = len(self._data)
