"""Starts the challenge of a second factor, and goes on with another factor where the one wanted can't be had.

It widens nothing: what stands in is a factor that the user has and the destination accepts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.authn.factors.base import Prompt, Resend
from gateway.authn.factors.challenge import TriesSpent
from gateway.authn.login import SignIn
from gateway.authn.login_origin import LoginOrigin
from gateway.errors import SendFailed
from gateway.model import Principal
from gateway.portal.rendering.texts import FELL_BACK, LOOKED_UP, NEW_CODE, TRIED_OUT, not_sent

REFUSED = ("budget", "cap", "range", "country", "number", "landline", "cool_off", *LOOKED_UP)
"""Why we ourselves send no SMS: trying again won't help soon, so another factor is asked for at once."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The factor that is asked for now, and what its page says about how it came to that."""

    factor: str
    prompt: Prompt
    send_failed: bool = False
    problem: Sequence[str] = ()
    notice: str | None = None


class Challenges:
    """Starts challenges, and goes on with another factor where one can't be had. `fallback` are the factors to go on
    with when SMS are refused, in this order.
    """

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
        key_models: frozenset[str] = frozenset(),
    ) -> Begun:
        """Start (or describe) a challenge of `factor`, or of what may stand in for it. Raises TooManyAttempts."""
        others = [name for name in usable if name != factor]
        try:
            prompt = await self._signin.begin(
                client,
                principal,
                factor,
                resend=resend,
                key_models=key_models,
                no_other_way=not next_factor(others, self._fallback),
            )
        except SendFailed as failure:
            if failure.instead:  # the user's other number comes before other factors
                return _failed(factor, failure, others)
            instead = next_factor(others, self._fallback)
            if factor != "sms" or failure.code not in REFUSED or not instead:
                return _failed(factor, failure, others)
            return replace(await self.begin(client, principal, instead, others), notice=FELL_BACK)
        except TriesSpent:
            if not others:
                raise
            instead = next_factor(others, self._fallback) or others[0]
            return replace(await self.begin(client, principal, instead, others), notice=TRIED_OUT)
        return Begun(factor, prompt, notice=NEW_CODE if resend and prompt.sent else None)


def _failed(factor: str, failure: SendFailed, others: Sequence[str]) -> Begun:
    problem = not_sent(failure, others=bool(others or failure.instead))
    return Begun(factor, Prompt(other=failure.instead), send_failed=True, problem=problem)


def next_factor(usable: Sequence[str], fallback: Sequence[str]) -> str:
    """The first that the user has and the destination accepts; "" if there is none."""
    return next((name for name in fallback if name in usable), "")
