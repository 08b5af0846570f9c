"""Sums up for a waiting page how far its code is on its way."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.stores.protocols.sms import DELIVERED, FINAL, SmsMessage

_ON_THE_NETWORK = 3


@dataclass(frozen=True, slots=True)
class Outlook:
    """How far a code is on its way. `state` is "", "sending", "sent", "delivered" or "failed"; `problem` a sentence
    about a failure.
    """

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
    return Outlook(
        state=state_of(newest), channel=newest.channel, problem=newest.problem, sends=len(messages)
    )


def state_of(message: SmsMessage) -> str:
    if message.stage >= FINAL:
        return "delivered" if message.status in DELIVERED else "failed"
    return "sent" if message.stage >= _ON_THE_NETWORK else "sending"
