"""Gets the certificate and renews it in time. Every worker of every replica looks; a lease lets one of them act."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gateway.clock import Clock
from gateway.config.sections.acme import Acme
from gateway.errors import StoreUnavailable
from gateway.observability import metrics
from gateway.observability.audit import Audit
from gateway.server.tls.acme.authority import Authority, OrderFailed, Proof
from gateway.server.tls.acme.bundle import Bundle, new_key
from gateway.server.tls.acme.proofs import Proofs
from gateway.server.tls.acme.records import AcmeRecords
from gateway.server.tls.acme.renewal import LOOK_AGAIN, RenewalState
from gateway.server.tls.acme.served import ServedCertificate

log = logging.getLogger("gateway.acme")
LOOK_EVERY = 60.0
"""Seconds between looks at whether anything is due."""
ORDER_TIMEOUT = 600.0
"""Seconds for a whole order; less than the lease."""
_POLLS = (1.0, 1.0, 2.0, 3.0, 5.0)
"""Seconds between two looks at an order; the last one stays."""
MakeAuthority = Callable[..., Authority]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the replicas know when one of them looks."""

    state: RenewalState
    bundle: Bundle | None
    wanted_at: float


class Renewer:
    """Orders, proves, fetches and keeps. `draw` gives numbers in [0, 1); `pause` waits."""

    def __init__(
        self,
        section: Acme,
        *,
        records: AcmeRecords,
        served: ServedCertificate,
        proofs: Proofs,
        audit: Audit,
        clock: Clock,
        draw: Callable[[], float] = random.random,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
        authority: MakeAuthority = Authority,
    ) -> None:
        self._section, self._records, self._served, self._proofs = section, records, served, proofs
        self._audit, self._clock, self._draw, self._pause = audit, clock, draw, pause
        self._make_authority = authority

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                log.warning("nothing is done about the certificate for now: %s", error.detail)
            except Exception:  # whatever it is, the next look may do better, and the certificate lives on
                log.exception("looking after the certificate failed")
            await self._pause(LOOK_EVERY * (0.5 + self._draw()))

    async def look(self) -> None:
        """Do what is due, unless another one is at it. Raises StoreUnavailable."""
        if not self._is_due(await self._known()) or not await self._records.lease():
            return
        try:
            known = await self._known()  # the one before us may have done it
            if self._is_due(known):
                await self._act(known)
        finally:
            await self._records.end_lease()

    async def _known(self) -> "_Known":
        return _Known(
            await self._records.state(), await self._records.certificate(), await self._records.wanted_at()
        )

    def _is_due(self, known: "_Known") -> bool:
        return self._must_order(known) or known.state.must_look(known.bundle, self._clock())

    def _must_order(self, known: "_Known") -> bool:
        return known.state.must_order(
            known.bundle, self._section.hosts, self._clock(), wanted_at=known.wanted_at
        )

    async def _act(self, known: "_Known") -> None:
        bundle = known.bundle
        if bundle is not None and known.state.must_look(bundle, self._clock()):
            known = replace(known, state=await self._ask_when(known.state, bundle))
        if self._must_order(known):
            await self._renew(known.state, bundle)

    async def _ask_when(self, state: RenewalState, bundle: Bundle) -> RenewalState:
        """Ask the authority when to renew. One that does not answer leaves us with the window it told before."""
        before = state.window if state.serial == bundle.serial else None
        try:
            window, again = await (await self._account()).renewal_window(bundle)
        except OrderFailed as error:
            log.info("the authority does not say when to renew: %s", error)
            window, again = before, error.asked
        state = state.looked(bundle, self._clock(), window, again=again or LOOK_AGAIN, draw=self._draw())
        if window is not None and window != before:
            log.info("the authority wants the certificate renewed from %s to %s", *map(_moment, window))
        await self._records.keep_state(state)
        return state

    async def _renew(self, state: RenewalState, bundle: Bundle | None) -> None:
        hosts = self._section.hosts
        log.info("ordering a certificate for %s from %s", ", ".join(hosts), self._section.directory)
        try:
            async with asyncio.timeout(ORDER_TIMEOUT):
                fresh = await self._ordered(bundle)
        except OrderFailed as error:
            await self._failed(state, bundle, error)
        except TimeoutError:
            late = OrderFailed("timeout", f"the order took more than {ORDER_TIMEOUT:.0f} s")
            await self._failed(state, bundle, late)
        else:
            await self._records.keep_certificate(fresh)
            await self._records.keep_state(RenewalState(ordered_at=self._clock()))
            self._served.adopt(fresh)
            metrics.certificate_orders.labels("issued").inc()
            self._audit.record(
                "certificate_issued",
                hosts=list(fresh.names),
                serial=fresh.serial,
                ends=_moment(fresh.not_after),
                by=self._section.directory,
            )

    async def _failed(self, state: RenewalState, bundle: Bundle | None, error: OrderFailed) -> None:
        now = self._clock()
        after = state.failed(self._section.hosts, now, cause=str(error), asked=error.asked, draw=self._draw())
        await self._records.keep_state(after)
        metrics.certificate_orders.labels("failed").inc()
        self._audit.record(
            "certificate_failed",
            hosts=list(self._section.hosts),
            code=error.code,
            cause=str(error),
            next_try=_moment(after.retry_at),
            ends=_moment(bundle.not_after) if bundle is not None else "",
            mend=error.mend,
        )

    # -- one order -------------------------------------------------------------------------------------------------

    async def _account(self) -> Authority:
        """Return the authority with our account, which is made first if there is none. Raises OrderFailed."""
        key, url = await self._records.account() or (new_key(), "")
        authority = self._make_authority(self._section, account_key=key, account=url, now=self._clock)
        if not url:
            await self._records.keep_account(key, await authority.register())
        return authority

    async def _ordered(self, before: Bundle | None) -> Bundle:
        hosts = self._section.hosts
        try:
            authority = await self._account()
            order = await authority.order(hosts, before)
        except OrderFailed as error:
            if error.code != "accountDoesNotExist":
                raise
            # The authority has lost it, or was built anew, as those for tests are.
            await self._records.keep_account(new_key(), "")
            authority = await self._account()
            order = await authority.order(hosts, before)
        try:
            await self._proofs.show(order.proofs)
            for proof in order.proofs:
                await authority.answer(proof)
            await self._all_proven(authority, order.proofs)
        finally:
            await self._proofs.hide(order.proofs)
        key = new_key()
        await authority.finalize(order, key, hosts)
        for seconds in _polls():
            if chain := await authority.issued(order):
                return self._checked(chain, key)
            await self._pause(seconds)
        raise AssertionError  # the polls have no end

    async def _all_proven(self, authority: Authority, proofs: Sequence[Proof]) -> None:
        for proof in proofs:
            for seconds in _polls():
                if await authority.proven(proof):
                    break
                await self._pause(seconds)

    def _checked(self, chain: str, key: str) -> Bundle:
        """What was got, if it is what was ordered. Raises OrderFailed."""
        try:
            bundle = Bundle.read(chain, key)
        except ValueError as error:
            raise OrderFailed("malformed", f"the authority sent no usable certificate: {error}") from None
        if not bundle.is_for(self._section.hosts) or bundle.not_after <= self._clock():
            problem = f"the authority sent a certificate for {', '.join(bundle.names)} to {_moment(bundle.not_after)}"
            raise OrderFailed("malformed", problem)
        return bundle


def _polls() -> Iterator[float]:
    yield from _POLLS
    while True:
        yield _POLLS[-1]


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
