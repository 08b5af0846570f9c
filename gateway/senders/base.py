"""The seam between factors and what delivers their messages."""

from typing import Protocol, runtime_checkable


class Sender(Protocol):
    """Delivers a short text to one address. One instance serves all requests of a worker."""

    async def send(self, to: str, text: str) -> str:
        """Deliver `text` to `to` (E.164 number or mail address).

        Returns the provider's message id ("" if none). Raises SendFailed, which says whether trying again may
        help.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


@runtime_checkable
class CodeService(Protocol):
    """A provider that makes, sends and checks the code itself (Twilio Verify)."""

    async def start(self, to: str) -> str:
        """Send a code to `to` (E.164) and return the provider's verification id. Raises SendFailed."""
        ...

    async def check(self, to: str, code: str) -> bool:
        """True if `code` is the one last sent to `to`; the provider consumes it. Raises SendFailed."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class EmailSender(Protocol):
    """Delivers a mail to one address. One instance serves all requests of a worker."""

    async def send(self, to: str, subject: str, text: str, html: str | None = None) -> str:
        """Deliver and return the Message-ID ("" if none).

        Raises SendFailed, which says whether trying again may help.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...
