"""Makes what a worker has to do with certificates by ACME, where the configuration names an authority."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.clock import Clock
from gateway.config.schema import Config
from gateway.config.sections.acme import Acme
from gateway.keyring import KeyRing
from gateway.observability.audit import Audit
from gateway.server.tls.acme.cache import CertificateCache
from gateway.server.tls.acme.challenges import HttpProofs
from gateway.server.tls.acme.records import AcmeRecords
from gateway.server.tls.acme.served import ServedCertificate
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.sql.acme import SqlAcmeRecords


@dataclass(frozen=True, slots=True)
class Certificates:
    """What serves a certificate, and what gets it; `challenges` is None where names are proven by DNS."""

    section: Acme
    records: AcmeRecords
    served: ServedCertificate
    challenges: HttpProofs | None
    audit: Audit
    clock: Clock

    async def renew(self) -> None:
        """Get it, and renew it in time, until cancelled."""
        # Not above: the library is an extra.
        from gateway.server.tls.acme.proofs import Proofs
        from gateway.server.tls.acme.renewer import Renewer

        await Renewer(
            self.section,
            records=self.records,
            served=self.served,
            proofs=Proofs(self.section, self.records),
            audit=self.audit,
            clock=self.clock,
        ).run()


def build_certificates(
    config: Config, engine: AsyncEngine, ring: KeyRing, ledger: Ledger, audit: Audit, clock: Clock
) -> Certificates | None:
    """Connects to nothing yet."""
    section = config.server.tls.acme if config.server.tls is not None else None
    if section is None:
        return None
    records = acme_records(section, engine, ring, ledger)
    return Certificates(
        section=section,
        records=records,
        served=ServedCertificate(records, CertificateCache(section.cache), clock),
        challenges=None if section.dns_hook else HttpProofs(records),
        audit=audit,
        clock=clock,
    )


def acme_records(section: Acme, engine: AsyncEngine, ring: KeyRing, ledger: Ledger) -> AcmeRecords:
    """Return what the replicas know of this authority."""
    raw = SqlAcmeRecords(engine, ring.seal, ring.open, directory=section.directory)
    return AcmeRecords(raw, ledger, directory=section.directory)
