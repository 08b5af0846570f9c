"""Which second factor a page asks for when the one wanted can't be had: the way on that the operator configured."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import SendFailed
from gateway.factors.base import Prompt
from gateway.model import Principal
from gateway.portal.signin import Client, SignIn
from gateway.portal.words import FELL_BACK, NEW_CODE

REFUSED = ("budget", "cap", "range", "country", "number", "cool_off")
"""Why we ourselves send no SMS: trying again won't help soon, so another factor is asked for at once."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The factor that is asked for now; `fell_back` if that is another than the one wanted."""

    factor: str
    prompt: Prompt
    send_failed: bool = False
    fell_back: bool = False

    def notice(self, again: bool) -> str | None:
        """What the page says first; `again` if a new code was asked for."""
        if self.fell_back:
            return FELL_BACK
        return NEW_CODE if again and self.prompt.sent else None


class Challenges:
    """`fallback` are the factors to go on with when SMS are refused, in this order."""

    def __init__(self, signin: SignIn, fallback: Sequence[str]) -> None:
        self._signin, self._fallback = signin, fallback

    async def begin(
        self,
        client: Client,
        principal: Principal,
        factor: str,
        usable: Sequence[str],
        *,
        again: bool,
        by_call: bool = False,
    ) -> Begun:
        """Start (or describe) a challenge of `factor`, or of what may stand in for it. Raises TooManyAttempts."""
        try:
            prompt = await self._signin.begin(client, principal, factor, again=again, by_call=by_call)
        except SendFailed as failure:
            instead = next_factor(factor, usable, self._fallback)
            if factor != "sms" or failure.code not in REFUSED or not instead:
                return Begun(factor, Prompt(), send_failed=True)
            begun = await self.begin(client, principal, instead, usable, again=False)
            return Begun(begun.factor, begun.prompt, begun.send_failed, fell_back=True)
        return Begun(factor, prompt)


def next_factor(refused: str, usable: Sequence[str], fallback: Sequence[str]) -> str:
    """The first that the user has and the destination accepts; "" if there is none."""
    return next((name for name in fallback if name in usable and name != refused), "")
