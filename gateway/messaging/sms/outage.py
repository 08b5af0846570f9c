"""Tells the operator once that the SMS provider takes nothing, and once that it takes messages again."""

import logging

from gateway.errors import SendFailed
from gateway.observability.audit import Audit
from gateway.stores.protocols.ledger import Ledger

log = logging.getLogger("gateway.sms")
_KEY = "sms-outage"
_REMIND = 3600.0
"""Seconds after which an outage that goes on is told again."""


class Outage:
    """One per worker; the ledger says who of all workers and replicas tells it."""

    def __init__(self, ledger: Ledger, audit: Audit, provider: str) -> None:
        self._ledger, self._audit, self._provider = ledger, audit, provider
        self.going_on = False
        """Whether the last message that this worker sent was not taken."""

    async def failed(self, failure: SendFailed) -> None:
        """A message was not taken. What is wrong with one number, or one carrier, alone is no outage."""
        if not failure.outage:
            return
        self.going_on = True
        if await self._ledger.claim_once(_KEY, _REMIND):
            log.error(
                "SMS can't be sent: %s. Nobody's budget is spent meanwhile. %s", failure.detail, failure.mend
            )
            self._audit.record(
                "sms_outage",
                provider=self._provider,
                code=failure.code,
                cause=failure.detail,
                mend=failure.mend,
            )

    async def ended(self) -> None:
        """A message was taken again."""
        self.going_on = False
        told, _ = await self._ledger.count(_KEY)
        await self._ledger.delete(_KEY)
        if told:
            log.warning("SMS are sent again")
