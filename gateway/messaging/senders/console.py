"""Messages on the terminal, for the demo and for development.

Whoever reads that terminal can sign in as anyone.
"""

from typing import TextIO

from gateway.messaging.addresses import mask_email, mask_phone


class ConsoleSender:
    """A text message as a framed block on `stream`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    async def send(self, to: str, text: str, reference: str = "") -> str:
        _write(self._stream, f"SMS to {mask_phone(to)}", text)
        return ""

    async def close(self) -> None:
        """The stream belongs to whoever opened it."""


class ConsoleEmailSender:
    """A mail's subject and text as a framed block on `stream`; the HTML part is the same and is left out."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    async def send(self, to: str, subject: str, text: str, html: str | None = None) -> str:
        _write(self._stream, f"Mail to {mask_email(to)}: {subject}", text)
        return ""

    async def close(self) -> None:
        """The stream belongs to whoever opened it."""


def _write(stream: TextIO, title: str, text: str) -> None:
    lines = [_printable(line) for line in [title, "", *text.strip().splitlines()]]
    width = max(map(len, lines))
    edge = "─" * (width + 2)
    body = "\n".join(f"│ {line:<{width}} │" for line in lines)
    stream.write(f"\n┌{edge}┐\n{body}\n└{edge}┘\n")
    stream.flush()


def _printable(line: str) -> str:
    """Without control characters, which could move the cursor or recolour the terminal."""
    return "".join(c if c.isprintable() else " " for c in line)
