"""Reads a body in chunks (RFC 9112 §7.1), a client's or an app's.

Chunks are taken apart by llhttp (httptools), which is strict and does it in C: a client may send a chunk a byte, and
a loop in Python would then cost the worker a second for each megabyte.
"""

import httptools

# llhttp reads messages, not bodies, so each parser gets a head first. Which one does not matter to the body.
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_EMPTY_LINE = b"\r\n\r\n"


class BrokenBody(Exception):
    """Its framing can't be read. Nothing behind it can be, either."""


class ChunkedBody:
    """A body in chunks (RFC 9112 §7.1); its trailers are kept.

    At most `most` bytes may come without any of the body among them: chunk extensions and trailers have no limit of
    their own (§7.1.1, §7.1.2), and a client could send them without an end.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._silence = 0
        self._in_body = False
        self._pieces: list[bytes] = []
        self._before = b""
        self.trailers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(_CHUNKED)
        self._in_body = True

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the body's bytes in `data`, and what stands behind its end. Raises BrokenBody."""
        self._pieces.clear()
        self._silence += len(data)
        try:
            rest = self._parse(data)
        except httptools.HttpParserError as error:
            raise BrokenBody("bad chunk") from error
        if self._silence - len(rest) > self._most:  # what stands behind the body is none of it
            raise BrokenBody("trailers or chunk extensions too large")
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces), rest

    def _parse(self, data: bytes) -> bytes:
        """Feed the body's part of `data`; what is left is behind the body.

        llhttp does not tell where a message ends, and would go on to read the next one. But a message ends behind an
        empty line, so it is fed up to each of those, also to one that began in what was fed before.
        """
        whole, at = self._before + data, len(self._before)
        empty = whole.find(_EMPTY_LINE)
        while empty >= 0:
            end = empty + len(_EMPTY_LINE)
            self._parser.feed_data(whole[at:end])
            if self.complete:
                return whole[end:]
            at, empty = end, whole.find(_EMPTY_LINE, empty + 2)
        if at < len(whole):
            self._parser.feed_data(whole[at:] if at else whole)
        self._before = whole[-3:]
        return b""

    # -- httptools -------------------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a trailer; called by the parser."""
        if self._in_body:
            self.trailers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; called by the parser."""
        self._silence = 0
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        """Note the end; called by the parser."""
        self.complete = True
