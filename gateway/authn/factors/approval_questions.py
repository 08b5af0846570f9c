"""Sign-ins that wait for another signed-in device of the same user: one at a time for each user, answered once.

All is in the ledger, sealed, so that workers and replicas share it: whoever takes the question answers it, and nobody
else can any more. The answer waits for the very session that asked.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum

from gateway.stores.protocols.core import Ledger

LIFETIME = 150.0
"""Seconds for a question, and for its answer to be fetched."""
Seal = Callable[[bytes], bytes]


class ApprovalAnswer(StrEnum):
    YES = "yes"
    NO = "no"
    WRONG_NUMBER = "wrong"


@dataclass(frozen=True, slots=True)
class ApprovalQuestion:
    """Who asks. `number` is shown on the device that signs in and typed on the one that approves."""

    id: str
    sid: str
    number: str
    user_agent: str
    ip: str
    country: str
    at: float


class ApprovalQuestions:
    """`seal` and `open` are the key ring's."""

    def __init__(self, ledger: Ledger, *, seal: Seal, open: Seal) -> None:
        self._ledger, self._seal, self._open = ledger, seal, open

    async def ask(self, username: str, asked: ApprovalQuestion) -> bool:
        """False while another sign-in of this user waits: a thief's question must not push the owner's away."""
        if not await self._ledger.claim_once(_turn(username), LIFETIME):
            return False
        await self._ledger.delete(_answer(username, asked.sid))
        await self._ledger.put(_slot(username), self._seal(json.dumps(asdict(asked)).encode()), LIFETIME)
        return True

    async def waiting(self, username: str) -> ApprovalQuestion | None:
        sealed = await self._ledger.get(_slot(username))
        return self._read(sealed) if sealed else None

    async def take(self, username: str, id: str) -> ApprovalQuestion | None:
        """The question `id`, for whoever gets to answer it; None if it is gone."""
        sealed = await self._ledger.get(_slot(username))
        if sealed is None or self._read(sealed).id != id:
            return None
        if await self._ledger.take(_slot(username)) != sealed:
            return None
        await self._ledger.delete(_turn(username))
        return self._read(sealed)

    async def answer(self, username: str, asked: ApprovalQuestion, answer: ApprovalAnswer) -> None:
        await self._ledger.put(_answer(username, asked.sid), answer.value.encode(), LIFETIME)

    async def is_answered(self, username: str, sid: str) -> bool:
        return await self._ledger.get(_answer(username, sid)) is not None

    async def take_answer(self, username: str, sid: str) -> ApprovalAnswer | None:
        """What was answered to this session; of several that ask at once, one is told."""
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
