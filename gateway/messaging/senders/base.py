"""The Protocols of what delivers messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from gateway.errors import SendFailed
from gateway.stores.protocols.sms import Delivery


class Sender(Protocol):
    """Delivers a short text to one number. One instance serves all requests of a worker."""

    async def send(self, to: str, text: str, reference: str = "") -> str:
        """Deliver `text` to `to` (E.164 number). By `reference` the provider's reports find our record.

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

    async def start(self, to: str, *, channel: str = "sms", lang: str = "en") -> str:
        """Send a code to `to` (E.164) over a channel ("sms", "call" or "whatsapp"), in a language such as "de".

        Returns the provider's id of this delivery. Raises SendFailed.
        """
        ...

    async def check(self, to: str, code: str) -> bool:
        """True if `code` is the one last sent to `to`; the provider consumes it. Raises SendFailed."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Caller(Protocol):
    """Reads a code out in a call."""

    async def call(self, to: str, code: str, *, lang: str = "en", reference: str = "") -> str:
        """Call `to` (E.164) and speak a language such as "de".

        Returns the provider's id of the call. Raises SendFailed.
        """
        ...


class Chat(Protocol):
    """Sends codes over a channel that is neither SMS nor a call."""

    async def send(self, to: str, code: str, text: str, *, lang: str = "en", reference: str = "") -> str:
        """Send a code to `to` (E.164): in a template where the channel wants one, else `text`, which has it.

        Returns the provider's message id. Raises SendFailed.
        """
        ...


@dataclass(frozen=True, slots=True)
class NumberFacts:
    """What a lookup tells of a number; None is not known. `failures` are those of single packages, by name.

    `swapped_at` is when the SIM was changed (Unix seconds, 0.0 = not lately), `pumping_score` goes up to 100.
    """

    valid: bool
    line_type: str | None = None
    swapped_at: float | None = None
    reassigned: bool | None = None
    pumping_score: int | None = None
    failures: Mapping[str, SendFailed] = field(default_factory=dict)


class NumberLookup(Protocol):
    """Tells what is known of a number."""

    async def ask(
        self, number: str, packages: Sequence[str], *, now: float, last_verified: float | None = None
    ) -> NumberFacts:
        """Ask for these packages: "line_type", "sim_swap", "reassigned", "pumping_risk". `last_verified` is when the
        user last proved to have the number (Unix seconds). Raises SendFailed.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


@dataclass(frozen=True, slots=True)
class Cost:
    """What the provider charged: `micros` are millionths of `currency`."""

    micros: int
    currency: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a provider tells by itself of the message that we call `reference`."""

    reference: str
    delivery: Delivery
    cost: Cost | None = None


class Reports(Protocol):
    """Reads a provider's reports, which anyone on the Internet could have sent."""

    def read(self, query: Mapping[str, str], form: Mapping[str, str], signature: str) -> Report | None:
        """Read a report; None unless the provider signed it. `query` and `form` are the callback's, `signature` its
        header.
        """
        ...


class Bills(Protocol):
    """Asks a provider what a message cost."""

    async def cost(self, sid: str, channel: str) -> Cost | None:
        """Return what message or call `sid` cost, None while that is not known. Raises SendFailed."""
        ...


class Progress(Protocol):
    """Asks a provider how far a message is, where nobody can be told."""

    async def look(self, sid: str) -> Report:
        """Return how far text message `sid` is, and its cost if that is known. Raises SendFailed."""
        ...


@dataclass(frozen=True, slots=True)
class SmsProvider:
    """What one SMS provider can do; a field is None for what it can't."""

    sender: Sender | CodeService
    caller: Caller | None = None
    reports: Reports | None = None
    bills: Bills | None = None
    progress: Progress | None = None
    service_calls: bool = False
    """Whether a CodeService also calls."""
    chats: Mapping[str, Chat] = field(default_factory=dict)
    """By channel: "whatsapp" and "rcs"."""
    lookup: NumberLookup | None = None
    """None where nothing is asked about numbers."""

    @property
    def calls(self) -> bool:
        return self.caller is not None or self.service_calls

    async def close(self) -> None:
        """Release connections."""
        await self.sender.close()
        if self.lookup is not None:
            await self.lookup.close()


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
