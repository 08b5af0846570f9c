"""A code by SMS. What it may cost is limited per user, number, address and in all; countries can be limited too."""

from collections.abc import Mapping
from math import ceil

import phonenumbers

from gateway.config.schema import SmsBase
from gateway.errors import SendFailed, TooManyAttempts
from gateway.factors.base import Attempt, Outcome, Prompt
from gateway.factors.challenge import Codes
from gateway.limits import Budget, Limits
from gateway.model import User
from gateway.senders.base import Sender
from gateway.senders.masking import mask_phone

HOUR = 3600.0


class SmsFactor:
    name = "sms"

    def __init__(self, config: SmsBase, sender: Sender, codes: Codes, limits: Limits, brand: str) -> None:
        self._config, self._sender, self._codes, self._limits = config, sender, codes, limits
        self._brand = brand

    async def enrolled(self, user: User) -> bool:
        return bool(user.phone)

    async def begin(self, attempt: Attempt, *, again: bool = False) -> Prompt:
        wait, sent = await self._codes.offer(
            attempt, self._config.resend_after, lambda: self._send(attempt), again=again
        )
        return Prompt(mask_phone(attempt.user.phone), self._codes.length, ceil(wait), sent)

    async def _send(self, attempt: Attempt) -> None:
        check_country(attempt.user.phone, self._config.allowed_countries)
        await spend_sms_budgets(self._limits, self._config, attempt)
        code = await self._codes.issue(attempt)
        await self._sender.send(attempt.user.phone, message(self._brand, code, attempt.host))

    async def verify(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        return await self._codes.verify(attempt, normal_code(form.get("code", "")))


def normal_code(text: str) -> str:
    """The digits that were meant: people type and paste spaces and dashes."""
    return "".join(character for character in text if character not in " -\u00a0\u2011\u2013\t")


def message(brand: str, code: str, host: str) -> str:
    """The text of the SMS. Its last line binds the code to our host (WICG origin-bound one-time codes)."""
    return f"{code} is your {brand} code. Never share it.\n\n@{host} #{code}"


def check_country(phone: str, allowed: tuple[str, ...]) -> None:
    if not allowed:
        return
    region = phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    if region not in allowed:
        raise SendFailed(
            f"SMS to {region or 'an unknown country'} is not allowed",
            code="country",
            mend="add the country to sms.allowed_countries or correct the user's number",
        )


async def spend_sms_budgets(limits: Limits, config: SmsBase, attempt: Attempt) -> None:
    """Count one SMS against all budgets. Raises SendFailed (code "budget") when one is spent."""
    for budget, subject in (
        (Budget("sms-user", config.per_user_hourly, HOUR), attempt.user.username),
        (Budget("sms-phone", config.per_phone_hourly, HOUR), attempt.user.phone),
        (Budget("sms-ip", config.per_ip_hourly, HOUR), attempt.ip),
        (Budget("sms-all", config.hourly_budget, HOUR), "all"),
    ):
        try:
            await limits.spend(budget, subject)
        except TooManyAttempts as spent:
            raise SendFailed(
                f"SMS budget {budget.name} is spent",
                code="budget",
                mend=f"raise it under sms, or wait {spent.retry_after} s",
            ) from spent
