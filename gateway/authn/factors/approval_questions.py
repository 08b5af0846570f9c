"""Keeps sign-ins that wait for another signed-in device of the same user: one at a time for each user, answered once.

Questions and answers are in the ledger, sealed, so that workers and replicas share them. Whoever takes a question may
answer it, and nobody else can any more. The answer waits for the very session that asked.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum

from gateway.stores.protocols.ledger import Ledger

LIFETIME = 150.0
"""Seconds for a question, and for its answer to be fetched."""
Seal = Callable[[bytes], bytes]


class ApprovalAnswer(StrEnum):
    """What the other device said."""

    YES = "yes"
    NO = "no"
    WRONG_NUMBER = "wrong"


@dataclass(frozen=True, slots=True)
class ApprovalQuestion:
    """A sign-in that waits since `at`. `number` is shown on the device that signs in and typed on the one that
    approves.

    Typing it shows that both are before the same person: who only taps "yes" can be tired into it by question after
    question.
    """

    id: str
    sid: str
    number: str
    user_agent: str
    ip: str
    country: str
    at: float


class ApprovalQuestions:
    """The questions that wait, and their answers. `seal` and `open` are the key ring's."""

    def __init__(self, ledger: Ledger, *, seal: Seal, open: Seal) -> None:
        self._ledger, self._seal, self._open = ledger, seal, open

    async def ask(self, username: str, asked: ApprovalQuestion) -> bool:
        """Store the question. False while another sign-in of this user waits: a thief's must not push the owner's
        away.
        """
        if not await self._ledger.claim_once(_turn(username), LIFETIME):
            return False
        await self._ledger.delete(_answer(username, asked.sid))
        await self._ledger.put(_slot(username), self._seal(json.dumps(asdict(asked)).encode()), LIFETIME)
        return True

    async def waiting(self, username: str) -> ApprovalQuestion | None:
        """Return the question that this user could answer now."""
        sealed = await self._ledger.get(_slot(username))
        return self._read(sealed) if sealed else None

    async def take(self, username: str, id: str) -> ApprovalQuestion | None:
        """Take the question `id` away to answer it; None if somebody was faster or it expired."""
        sealed = await self._ledger.get(_slot(username))
        if sealed is None or self._read(sealed).id != id:
            return None
        if await self._ledger.take(_slot(username)) != sealed:
            return None
        await self._ledger.delete(_turn(username))
        return self._read(sealed)

    async def answer(self, username: str, asked: ApprovalQuestion, answer: ApprovalAnswer) -> None:
        """Leave the answer for the session that asked."""
        await self._ledger.put(_answer(username, asked.sid), answer.value.encode(), LIFETIME)

    async def is_answered(self, username: str, sid: str) -> bool:
        """Tell whether an answer waits for session `sid`, without taking it."""
        return await self._ledger.get(_answer(username, sid)) is not None

    async def take_answer(self, username: str, sid: str) -> ApprovalAnswer | None:
        """Take the answer that waits for session `sid`; of several requests one gets it."""
        said = await self._ledger.take(_answer(username, sid))
        return ApprovalAnswer(said.decode()) if said else None

    def _read(self, sealed: bytes) -> ApprovalQuestion:
        return ApprovalQuestion(**json.loads(self._open(sealed)))


def _slot(username: str) -> str:
    return f"approval:asked:{username}"


def _turn(username: str) -> str:
    return f"approval:turn:{username}"


def _answer(username: str, sid: str) -> str:
    return f"approval:answer:{username}:{sid}"
