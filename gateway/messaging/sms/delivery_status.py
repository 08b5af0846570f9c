"""Tells the user who waits for a code what became of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.stores.protocols.sms import DELIVERED, FINAL, SmsMessage

_ON_THE_NETWORK = 3


@dataclass(frozen=True, slots=True)
class Outlook:
    """`state` is "", "sending", "sent", "delivered" or "failed"; `problem` a sentence about a failure."""

    state: str = ""
    channel: str = "sms"
    problem: str = ""
    sends: int = 0

    @property
    def final(self) -> bool:
        return self.state in ("delivered", "failed")


NOTHING_SENT = Outlook()


def outlook(messages: Sequence[SmsMessage]) -> Outlook:
    """Sum up the messages of one session, newest first."""
    if not messages:
        return NOTHING_SENT
    newest = messages[0]
    return Outlook(state=_state(newest), channel=newest.channel, problem=newest.problem, sends=len(messages))


def _state(message: SmsMessage) -> str:
    if message.stage >= FINAL:
        return "delivered" if message.status in DELIVERED else "failed"
    return "sent" if message.stage >= _ON_THE_NETWORK else "sending"
