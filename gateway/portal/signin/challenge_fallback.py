"""Which second factor a page asks for when the one wanted can't be had: the way on that the operator configured.

It widens nothing: what stands in is a factor that the user has and the destination accepts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.authn.factors.base import Prompt, Resend
from gateway.authn.factors.challenge import TriesSpent
from gateway.authn.login import LoginOrigin, SignIn
from gateway.errors import SendFailed
from gateway.model import Principal
from gateway.portal.rendering.texts import FELL_BACK, NEW_CODE, TRIED_OUT

REFUSED = ("budget", "cap", "range", "country", "number", "cool_off")
"""Why we ourselves send no SMS: trying again won't help soon, so another factor is asked for at once."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The factor that is asked for now, and what its page says about how it came to that."""

    factor: str
    prompt: Prompt
    send_failed: bool = False
    notice: str | None = None


class Challenges:
    """`fallback` are the factors to go on with when SMS are refused, in this order."""

    def __init__(self, signin: SignIn, fallback: Sequence[str]) -> None:
        self._signin, self._fallback = signin, fallback

    async def begin(
        self,
        client: LoginOrigin,
        principal: Principal,
        factor: str,
        usable: Sequence[str],
        *,
        resend: Resend | None = None,
    ) -> Begun:
        """Start (or describe) a challenge of `factor`, or of what may stand in for it. Raises TooManyAttempts."""
        others = [name for name in usable if name != factor]
        try:
            prompt = await self._signin.begin(client, principal, factor, resend=resend)
        except SendFailed as failure:
            if failure.instead:  # the user's other number comes before other factors
                return Begun(factor, Prompt(other=failure.instead), send_failed=True)
            instead = next_factor(others, self._fallback)
            if factor != "sms" or failure.code not in REFUSED or not instead:
                return Begun(factor, Prompt(), send_failed=True)
            return replace(await self.begin(client, principal, instead, others), notice=FELL_BACK)
        except TriesSpent:
            if not others:
                raise
            instead = next_factor(others, self._fallback) or others[0]
            return replace(await self.begin(client, principal, instead, others), notice=TRIED_OUT)
        return Begun(factor, prompt, notice=NEW_CODE if resend and prompt.sent else None)


def next_factor(usable: Sequence[str], fallback: Sequence[str]) -> str:
    """The first that the user has and the destination accepts; "" if there is none."""
    return next((name for name in fallback if name in usable), "")
