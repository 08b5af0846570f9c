from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.config.loader import read_text
from gateway.errors import ConfigError

START = datetime(2024, 1, 1, tzinfo=UTC)


def issue(folder: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=36500))
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def problems(folder: Path, cert: str, key: str) -> list[str]:
    text = f"""server:
  public_url: https://login.example.com
  tls: {{cert_file: "{folder / cert}", key_file: "{folder / key}"}}
"""
    try:
        read_text(text, "config.yaml", {})
    except ConfigError as error:
        return [f"{mistake.key} {mistake.problem}" for mistake in error.mistakes]
    return []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    issue(tmp_path, "a")
    issue(tmp_path, "b")
    (tmp_path / "junk.pem").write_text("junk")
    return tmp_path


def test_a_certificate_and_its_key_are_accepted(folder: Path) -> None:
    assert problems(folder, "a.crt", "a.key") == []


@pytest.mark.parametrize(
    ("cert", "key", "at", "words"),
    [
        ("a.crt", "b.key", "server.tls.key_file", "does not belong to"),
        ("a.crt", "junk.pem", "server.tls.key_file", "is not a PEM private key"),
        ("junk.pem", "a.key", "server.tls.cert_file", "is not a PEM certificate"),
        ("absent.crt", "a.key", "server.tls.cert_file", "can't be read"),
        ("a.crt", "absent.key", "server.tls.key_file", "can't be read"),
    ],
)
def test_a_pair_that_does_not_work_is_a_mistake(
    folder: Path, cert: str, key: str, at: str, words: str
) -> None:
    (problem,) = problems(folder, cert, key)
    assert problem.startswith(at)
    assert words in problem
