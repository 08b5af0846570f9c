"""What the tests of senders share: configurations for the fakes, and a back-off that records instead of waiting."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.config.sections.sms_email import SmsTwilio, SmsTwilioVerify
from gateway.errors import SendFailed
from gateway.messaging.senders.retry import Backoff
from tests.twilio_rules import ACCOUNT_SID, AUTH_TOKEN, FROM, VERIFY_SERVICE_SID

PHONE = "+4915112345678"
CODE = "493817"
TEXT = f"{CODE} is your code for Demo"


class RecordedBackoff:
    """A Backoff whose pauses are listed in `pauses` and take no time. `dice` is what random() answers."""

    def __init__(self, retries: int = 2, dice: float = 0.5) -> None:
        self.pauses: list[float] = []
        self.backoff = Backoff(retries, random=lambda: dice, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


def twilio_config(url: str, **fields: object) -> SmsTwilio:
    defaults = {"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN, "timeout": "60s", "from": FROM}
    return SmsTwilio.model_validate({"provider": "twilio", "base_url": url, **defaults, **fields})


def verify_config(url: str, **fields: object) -> SmsTwilioVerify:
    defaults = {"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN, "service_sid": VERIFY_SERVICE_SID}
    return SmsTwilioVerify.model_validate(
        {"provider": "twilio_verify", "base_url": url, **defaults, **fields}
    )


@contextmanager
def silent_port() -> Iterator[int]:
    """A port whose queue of connections is full: the kernel drops every further SYN, so connecting just hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(address)
        try:
            yield address[1]
        finally:
            for sock in waiting:
                sock.close()


def write_certificate(folder: Path, host: str = "localhost", *addresses: str) -> tuple[Path, Path]:
    """cert.pem and key.pem for this name and these addresses; the certificate is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(host), *(x509.IPAddress(ipaddress.ip_address(one)) for one in addresses)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "cert.pem", folder / "key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return chain, secret


def self_signed(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(server, client that trusts it) for 127.0.0.1 and localhost."""
    chain, secret = write_certificate(folder, "localhost", "127.0.0.1")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, secret)
    return server, ssl.create_default_context(cafile=str(chain))


def everything_said(failure: SendFailed) -> str:
    """What any log or error page could get out of an exception, its causes and contexts included."""
    said, error = [], failure
    while error is not None:
        said += [repr(error), str(error), repr(vars(error)), *traceback.format_exception(error)]
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return "\n".join(said)


def everything_logged(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(f"{caplog.handler.format(r)} {vars(r)}" for r in caplog.records)
