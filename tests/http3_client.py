"""A client that speaks HTTP/3, on aioquic."""

import asyncio
from typing import Any

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.events import QuicEvent

PATIENCE = 60
Headers = list[tuple[str, str]]


class Http3(QuicConnectionProtocol):
    """Asks one question after the other."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._http = H3Connection(self._quic)
        self._answers: dict[int, tuple[Headers, bytearray, asyncio.Future[None]]] = {}

    async def ask(self, authority: str, *headers: tuple[str, str], body: bytes = b"") -> tuple[str, bytes]:
        stream = self._quic.get_next_available_stream_id()
        head = [
            (":method", "POST" if body else "GET"),
            (":scheme", "https"),
            (":authority", authority),
            (":path", "/x"),
            *headers,
        ]
        self._answers[stream] = ([], bytearray(), asyncio.get_running_loop().create_future())
        pairs = [(name.encode(), value.encode()) for name, value in head]
        self._http.send_headers(stream, pairs, end_stream=not body)
        if body:
            self._http.send_data(stream, body, end_stream=True)
        self.transmit()
        async with asyncio.timeout(PATIENCE):
            await self._answers[stream][2]
        got, data, _ = self._answers[stream]
        return dict(got)[":status"], bytes(data)

    def quic_event_received(self, event: QuicEvent) -> None:
        for found in self._http.handle_event(event):
            if isinstance(found, HeadersReceived):
                self._answers[found.stream_id][0].extend((k.decode(), v.decode()) for k, v in found.headers)
            elif isinstance(found, DataReceived):
                self._answers[found.stream_id][1].extend(found.data)
            if isinstance(found, (HeadersReceived, DataReceived)) and found.stream_ended:
                self._answers[found.stream_id][2].set_result(None)
