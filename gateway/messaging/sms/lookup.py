"""Says what follows from what a lookup knows of a number: a call, another factor, or no code at all."""

from collections.abc import Iterator
from typing import Any

from gateway.clock import Clock
from gateway.config.sections.sms_lookup import Act, SmsLookup
from gateway.errors import SendFailed
from gateway.messaging.addresses import mask_phone
from gateway.messaging.sms.lookup_answers import Asked, Known, LookupAnswers
from gateway.observability import metrics
from gateway.observability.audit import Audit
from gateway.stores.protocols.ledger import Ledger

_REMIND = 3600.0
"""Seconds after which a suspicion is told again."""
VOIP = frozenset({"fixedVoip", "nonFixedVoip"})
UNFIT = frozenset({"premium", "sharedCost", "uan", "voicemail", "pager", "tollFree"})
"""Kinds of line on which nobody receives codes."""
_MENDS = {
    "voip": "have the user register a mobile number, or set sms.lookup.on_voip",
    "pumping_risk": "look for a flood of sign-ins; if the user is known to you: `auth-gateway user bypass NAME`",
    "sim_swap": "ask the user whether they changed the SIM; if so: `auth-gateway user bypass NAME`; if not, the number "
    "is in other hands and their password is known: reset it, and remove the number",
    "reassigned": "the number belongs to somebody else by now: remove it, and have the user add their new one",
}
_WHAT = {
    "voip": "the number is one of Internet telephony",
    "pumping_risk": "Lookup sees a high risk of SMS pumping in the number",
    "sim_swap": "the number's SIM was changed lately",
    "reassigned": "the number went to somebody else since it last answered a code",
}


class Lookups:
    """Judges numbers by what a lookup knows of them."""

    def __init__(
        self, *, config: SmsLookup, answers: LookupAnswers, ledger: Ledger, audit: Audit, clock: Clock
    ) -> None:
        self._config, self._answers, self._ledger = config, answers, ledger
        self._audit, self._clock = audit, clock

    async def known(self, asked: Asked) -> Known:
        """What earlier lookups told, for the operator; nobody is asked."""
        return await self._answers.known(asked)

    async def judge(self, asked: Asked) -> str:
        """Return the kind of line ("" = not known). Raises SendFailed whose code says what speaks against the number:
        number, voip, pumping_risk, sim_swap or reassigned; "lookup" if nobody could be asked and that is not enough.
        """
        known = await self._answers.of(asked)
        line = str(known.get("line_type") or "")
        if known.get("valid") is False or line in UNFIT:
            raise SendFailed(
                "Lookup knows the number as one that receives no codes",
                code="number",
                mend="have the user register a mobile number",
            )
        for reason, act in self._against(known):
            await self._suspect(asked, reason, act)
        return line

    def _against(self, known: dict[str, Any]) -> Iterator[tuple[str, Act]]:
        """What speaks against a number, the gravest first."""
        config = self._config
        if known.get("reassigned"):
            yield "reassigned", config.on_reassigned
        swapped = known.get("sim_swap")
        if swapped is not None and self._clock() - swapped < config.sim_swap_within:
            yield "sim_swap", config.on_sim_swap
        score = known.get("pumping_risk")
        if score is not None and score >= config.pumping_score:
            yield "pumping_risk", config.on_pumping_risk
        if known.get("line_type") in VOIP:
            yield "voip", config.on_voip

    async def _suspect(self, asked: Asked, reason: str, act: Act) -> None:
        """Tell the operator once an hour, and raise SendFailed unless the code may go all the same."""
        passes = act == "allow" or (act == "step_up" and asked.no_other_way)
        metrics.sms_lookups.labels(reason).inc()
        what, mend = _WHAT[reason], _MENDS[reason]
        done = "code sent" if passes else "no code sent"
        if await self._ledger.claim_once(f"sms-suspect:{asked.hashes[0]}:{reason}:{done}", _REMIND):
            self._audit.record(
                "number_suspected",
                asked.username,
                to=mask_phone(asked.phone),
                reason=reason,
                action=done,
                cause=what,
                mend=mend,
            )
        if not passes:
            raise SendFailed(what, code=reason, mend=mend)
