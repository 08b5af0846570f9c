"""The certificate that this worker serves with: found at its start, then followed, and changed without a restart."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable

from gateway.clock import Clock
from gateway.errors import StoreUnavailable
from gateway.observability import metrics
from gateway.server.tls.acme.bundle import Bundle
from gateway.server.tls.acme.cache import CertificateCache
from gateway.server.tls.acme.records import AcmeRecords
from gateway.server.tls.acme.renewal import is_overdue
from gateway.server.tls.load import load_into

log = logging.getLogger("gateway.acme")
FOLLOW_EVERY = 5.0
"""Seconds in which a worker takes up a certificate that another one got."""


class ServedCertificate:
    """Keeps a worker's TLS context, and the cache of its host, at the newest certificate that the replicas have."""

    def __init__(self, records: AcmeRecords, cache: CertificateCache, clock: Clock) -> None:
        self._records, self._cache, self._clock = records, cache, clock
        self._context: ssl.SSLContext | None = None
        self.bundle: Bundle | None = None

    async def begin(self, context: ssl.SSLContext | None) -> None:
        """Serve with the newest one; `context` is the listener's, None with an engine in front."""
        self._context = context
        if (cached := self._cache.read()) is not None:
            self.adopt(cached)
        try:
            await self.refresh()
        except StoreUnavailable as error:
            log.warning("the certificate of the last start is served: %s", error.detail)
        self._measure()

    async def follow(self, pause: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Take up what others got, until cancelled."""
        while True:
            await pause(FOLLOW_EVERY)
            try:
                await self.refresh()
            except StoreUnavailable:
                continue  # said often enough by others
            finally:
                self._measure()

    async def refresh(self) -> None:
        """Look once. Raises StoreUnavailable."""
        newest = await self._records.certificate()
        if newest is not None and newest != self.bundle:
            self.adopt(newest)

    def adopt(self, bundle: Bundle) -> None:
        """Serve with it from the next connection on; those that are open go on with the one before."""
        try:
            if self._context is not None:
                load_into(self._context, bundle)
        except OSError as error:
            log.error("the new certificate can't be served, so the one before stays: %s", error)
            return
        self._cache.write(bundle)
        self.bundle = bundle
        self._measure()

    async def check(self) -> None:
        """For readyz: raises StoreUnavailable while browsers would refuse what is served."""
        if self.bundle is None:
            raise StoreUnavailable("there is no certificate yet")
        if self._clock() >= self.bundle.not_after:
            raise StoreUnavailable("the certificate has ended")

    def _measure(self) -> None:
        metrics.certificate_ends.set(self.bundle.not_after if self.bundle is not None else 0)
        metrics.certificate_overdue.set(1 if is_overdue(self.bundle, self._clock()) else 0)
