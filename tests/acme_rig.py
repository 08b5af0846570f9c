"""A replica that gets certificates, with an authority of ours instead of a real one, a clock by hand and no waiting."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.config.sections.acme import Acme
from gateway.keyring import KeyRing
from gateway.observability.audit import Audit
from gateway.server.tls.acme.authority import CertificateOrder, OrderFailed, Proof
from gateway.server.tls.acme.bundle import Bundle, signing_request
from gateway.server.tls.acme.cache import CertificateCache
from gateway.server.tls.acme.proofs import Proofs
from gateway.server.tls.acme.records import AcmeRecords
from gateway.server.tls.acme.renewer import Renewer
from gateway.server.tls.acme.served import ServedCertificate
from gateway.stores.sql.acme import SqlAcmeRecords
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.ledger import SqlLedger
from gateway.stores.sql.migrate import migrate
from tests.rig import FakeClock

HOST = "login.example.test"
DAY = 86400.0
_CA = ec.generate_private_key(ec.SECP256R1())
_CA_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority for tests")])


def issue(request: x509.CertificateSigningRequest, now: float, lifetime: float) -> str:
    """The certificate that is asked for, as PEM."""
    start = datetime.fromtimestamp(now, UTC)
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(_CA.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(_CA_NAME)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(seconds=lifetime))
        .add_extension(names, critical=False)
        .add_extension(identifier, critical=False)
        .sign(_CA, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


def bundle_for(hosts: Sequence[str], now: float, lifetime: float, key: str) -> Bundle:
    """A certificate with its key."""
    return Bundle.read(issue(signing_request(key, hosts), now, lifetime), key)


@dataclass
class FakeAuthority:
    """Stands in for `Authority`: issues what is asked for, or fails as `failing` says; `calls` is what it was asked."""

    clock: FakeClock
    lifetime: float = 90 * DAY
    failing: OrderFailed | None = None
    window: tuple[float, float] | None = None
    window_for: float | None = None
    window_failing: OrderFailed | None = None
    unproven: int = 0
    calls: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    shown: list[tuple[str, str | None]] = field(default_factory=list)
    records: AcmeRecords | None = None
    _chain: str = ""

    def __call__(self, section: Acme, **_: Any) -> "FakeAuthority":
        return self

    async def register(self) -> str:
        self.calls.append("register")
        return "https://authority.test/account/1"

    async def order(self, hosts: Sequence[str], replaces: Bundle | None = None) -> CertificateOrder:
        self.calls.append("order")
        if self.failing is not None:
            raise self.failing
        self.replaced += [replaces.serial] if replaces is not None else []
        proofs = [
            Proof(
                host=host.removeprefix("*."),
                token=f"token-of-order-{len(self.calls)}-{number}",
                value=f"proof of {host}",
                authorization="",
                body=None,  # type: ignore[arg-type]
            )
            for number, host in enumerate(hosts)
        ]
        return CertificateOrder(url="", finalize="", proofs=tuple(proofs))

    async def answer(self, proof: Proof) -> None:
        if self.records is not None:
            self.shown.append((proof.host, await self.records.shown(proof.token)))

    async def proven(self, proof: Proof) -> bool:
        self.unproven -= 1
        return self.unproven < 0

    async def finalize(self, order: CertificateOrder, key: str, hosts: Sequence[str]) -> None:
        self._chain = issue(signing_request(key, hosts), self.clock(), self.lifetime)

    async def issued(self, order: CertificateOrder) -> str:
        return self._chain

    async def renewal_window(self, bundle: Bundle) -> tuple[tuple[float, float] | None, float | None]:
        self.calls.append("window")
        if self.window_failing is not None:
            raise self.window_failing
        return self.window, self.window_for

    @property
    def orders(self) -> int:
        return self.calls.count("order")


@dataclass
class RecordedAudit:
    """Keeps the events that are recorded."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def record(self, event: str, username: str = "", ip: str = "", **data: object) -> None:
        self.events.append((event, data))

    def named(self, event: str) -> list[dict[str, Any]]:
        return [data for name, data in self.events if name == event]


class Replica:
    """One worker of one replica on a database. `authority` is a `FakeAuthority`, or what speaks to a real one."""

    def __init__(
        self,
        folder: Path,
        name: str,
        section: Acme,
        *,
        authority: Any,
        clock: Any,
        pause: Any = None,
        database: str = "",
    ) -> None:
        self.clock = clock
        self.engine = open_engine(database or f"sqlite:///{folder}/gateway.db")
        ring = KeyRing.load_or_create(folder / "session.keys", clock)
        raw = SqlAcmeRecords(self.engine, ring.seal, ring.open, directory=section.directory)
        self.records = AcmeRecords(raw, SqlLedger(self.engine, clock), directory=section.directory)
        self.cache = CertificateCache(section.cache / name)
        self.served = ServedCertificate(self.records, self.cache, clock)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.audit = RecordedAudit()
        self.pauses: list[float] = []
        self._waits = pause
        audit: Audit = self.audit  # type: ignore[assignment]
        self.renewer = Renewer(
            section,
            records=self.records,
            served=self.served,
            proofs=Proofs(section, self.records, self._pause),
            audit=audit,
            clock=clock,
            draw=lambda: 0.5,
            pause=self._pause,
            authority=authority,
        )

    async def start(self) -> None:
        await migrate(self.engine)
        await self.served.begin(self.context)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self._waits is not None:
            await self._waits(seconds)

    async def close(self) -> None:
        await self.engine.dispose()


def acme_section(folder: Path, **given: Any) -> Acme:
    """The configuration of a replica in `folder`."""
    values: dict[str, Any] = {
        "email": "ops@example.test",
        "agree_to_terms": True,
        "hosts": (HOST,),
        "directory": "https://authority.test/directory",
        "cache": folder / "acme",
    }
    return Acme(**{**values, **given})
