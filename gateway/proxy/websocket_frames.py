"""Where WebSocket frames end (RFC 6455 §5.2), found without decoding them."""

# RFC 6455 §5.2: a length of 126 or 127 means that it follows, in 2 or 8 bytes.
_EXTENDED = {126: 2, 127: 8}
_CONTROL = 8  # opcodes from here on are Close, Ping and Pong (RFC 6455 §5.5)


class FrameTracker:
    """Follows one direction of a WebSocket; costs a few integers and one look at each frame's header."""

    __slots__ = ("_header", "_left", "messages")

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self.messages = 0
        """Frames of messages so far. Control frames don't count: browsers answer a Ping by themselves."""

    @property
    def at_boundary(self) -> bool:
        """Whether the next byte begins a frame, so that one of ours could stand before it."""
        return not self._left and not self._header

    def feed(self, data: bytes) -> None:
        """Advance over `data`, the next bytes of this direction."""
        self._advance(data, stop=False)

    def to_boundary(self, data: bytes) -> int:
        """Advance to the end of the frame under way; return how many bytes of `data` belong to it (all if it goes
        on).
        """
        return 0 if self.at_boundary else self._advance(data, stop=True)

    def _advance(self, data: bytes, *, stop: bool) -> int:
        # Payloads are skipped by their length. They are not unmasked or joined to messages: an extension such as
        # permessage-deflate (RFC 7692) changes what is in them, not where they end.
        at, end = 0, len(data)
        while at < end:
            if self._left:
                step = min(self._left, end - at)
                self._left -= step
            else:
                step = self._read_header(data, at)
            at += step
            if stop and self.at_boundary:
                break
        return at

    def _read_header(self, data: bytes, at: int) -> int:
        """Take one more piece of a header; bytes of an incomplete one are kept for the next call."""
        # A header is at most 14 bytes: 2, 8 of length, 4 of mask. It may arrive in any number of pieces.
        have = len(self._header)
        head = self._header + data[at : at + 14 - have]
        size = _header_size(head)
        if size is None or len(head) < size:
            self._header = head
            return len(head) - have
        self._header = b""
        self._left = _payload_size(head)
        # The low four bits of the first byte are the opcode (RFC 6455 §5.2).
        self.messages += head[0] & 0x0F < _CONTROL
        return size - have


def _header_size(head: bytes) -> int | None:
    """Bytes of the header that begins so; None as long as its second byte, which says it, is missing."""
    if len(head) < 2:
        return None
    # The top bit of the second byte says that a mask of 4 bytes follows (frames of clients, RFC 6455 §5.1).
    return 2 + _EXTENDED.get(head[1] & 0x7F, 0) + (4 if head[1] & 0x80 else 0)


def _payload_size(head: bytes) -> int:
    short = head[1] & 0x7F
    return int.from_bytes(head[2 : 2 + _EXTENDED[short]], "big") if short in _EXTENDED else short


def close_frame(code: int, reason: str) -> bytes:
    """Make an unmasked Close frame, as a server sends it (RFC 6455 §5.5.1).

    `code` is one of RFC 6455 §7.4; `reason` is cut to 123 bytes.
    """
    # A control frame holds at most 125 bytes (RFC 6455 §5.5), of which the code takes two.
    payload = code.to_bytes(2, "big") + reason.encode()[:123]
    # 0x88: the last fragment (FIN), opcode 8. No mask: only clients mask (RFC 6455 §5.1).
    return bytes((0x88, len(payload))) + payload
