"""A code by mail. Weaker than the others (a mailbox is often open on the same device); policies can leave it out."""

from collections.abc import Mapping
from math import ceil

from gateway.authn.factors.base import Attempt, Outcome, Prompt
from gateway.authn.factors.challenge import Codes, normal_code
from gateway.authn.factors.sms import message
from gateway.config.schema import EmailBase
from gateway.errors import SendFailed, TooManyAttempts
from gateway.i18n.catalogues import language
from gateway.i18n.text import N_
from gateway.messaging.addresses import mask_email
from gateway.messaging.senders.base import EmailSender
from gateway.model import User
from gateway.rate_limits import Budget, RateLimits, network_of

_HOUR = 3600.0


class EmailFactor:
    """The factor `email`."""

    name = "email"

    def __init__(
        self, config: EmailBase, sender: EmailSender, codes: Codes, limits: RateLimits, brand: str
    ) -> None:
        self._config, self._sender, self._codes, self._limits = config, sender, codes, limits
        self._brand = brand

    async def enrolled(self, user: User) -> bool:
        return bool(user.email)

    async def begin(self, attempt: Attempt, *, again: bool = False) -> Prompt:
        """Send a code unless one is out. Raises SendFailed and TooManyAttempts."""
        wait, due = await self._codes.turn(attempt, self._config.resend_after, again=again)
        if due:
            async with self._codes.replacing(attempt):
                await self._send(attempt)
        return Prompt(
            hint=mask_email(attempt.user.email),
            code_length=self._codes.length,
            resend_after=ceil(wait),
            sent=due,
        )

    async def _send(self, attempt: Attempt) -> None:
        await self._spend(attempt)
        code = await self._codes.issue(attempt)
        # The code is not in the subject: subjects show on locked screens.
        say = language(attempt.lang).text
        text = f"{message(self._brand, code, attempt.host, attempt.lang)}\n\n{say(_WARNING)}"
        subject = N_("Your %(brand)s code", brand=self._brand)
        await self._sender.send(attempt.user.email, say(subject), text)

    async def _spend(self, attempt: Attempt) -> None:
        """Count one mail. Raises SendFailed (code "budget") when a budget is spent."""
        for budget, subject in (
            (
                Budget(name="email-user", limit=self._config.per_user_hourly, window=_HOUR, about="user"),
                attempt.user.username,
            ),
            (
                Budget(name="email-address", limit=self._config.per_user_hourly, window=_HOUR, about="mail"),
                attempt.user.email,
            ),
            (
                Budget(name="email-ip", limit=self._config.per_ip_hourly, window=_HOUR, about="address"),
                network_of(attempt.ip),
            ),
        ):
            try:
                await self._limits.spend(budget, subject)
            except TooManyAttempts as spent:
                raise SendFailed(
                    f"mail budget {budget.name} is spent",
                    code="budget",
                    mend=f"raise it under email, or wait {spent.retry_after} s",
                ) from spent

    async def verify(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        return await self._codes.verify(attempt, normal_code(form.get("code", ""), self._codes.length))


_WARNING = N_("If you are not signing in right now, somebody knows your password: please change it.")
