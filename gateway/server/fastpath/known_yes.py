"""The answer to a forward-auth question that is known to be a yes, as a connection's way to answer."""

import time

from gateway.observability.access_line import LineStem
from gateway.observability.access_log import AccessLog
from gateway.proxy.http_date import http_date
from gateway.server.fastpath.metrics_tally import Tally
from gateway.server.fastpath.wanted import ExchangeClient


class KnownYes:
    """A yes that waits for nobody: it is written whole, and the connection is free again."""

    __slots__ = (
        "_access",
        "_client",
        "_method",
        "_name",
        "_now",
        "_path",
        "_since",
        "_start",
        "_status",
        "_stem",
        "_tally",
        "stays_open",
    )
    request_body, expects = None, False

    def __init__(
        self,
        client: ExchangeClient,
        access: AccessLog,
        tally: Tally,
        *,
        method: str,
        path: str,
        status: int,
        start: bytes,
        name: str,
        stem: LineStem,
        now: float,
        stays_open: bool,
    ) -> None:
        """Take what is sent, and what the log says: the `path` asked about, the request's id as `name`, and `now`, when
        it was decided (Unix time).
        """
        self.stays_open = stays_open
        self._client, self._access, self._tally = client, access, tally
        self._method, self._status, self._start = method, status, start
        self._name, self._path, self._stem, self._now = name, path, stem, now
        self._since = time.perf_counter()

    def start(self) -> None:
        """Send it, count it, and have a line written of it."""
        client, stem = self._client, self._stem
        closes = not client.may_stay_open
        if client.transport is not None:
            length = b"" if self._method == "HEAD" else b"Content-Length: 0\r\n"
            close = b"Connection: close\r\n\r\n" if closes else b"\r\n"
            name = self._name.encode()
            out = b"%bX-Request-Id: %b\r\n%bDate: %b\r\n%b"
            client.transport.write(out % (self._start, name, length, http_date(), close))
        seconds = time.perf_counter() - self._since
        self._tally.count(stem.route, self._status, seconds)
        if self._access.wants(self._status):
            self._access.like(stem, self._name, self._method, self._path, self._status, seconds, 0, self._now)
        client.answered(keep=not closes)

    # There is no body to hear of, and nothing left to stop or to go on with.

    def body(self, data: bytes) -> None: ...
    def body_end(self) -> None: ...
    def body_broken(self, cause: str) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def client_gone(self, exc: BaseException | None) -> None: ...
