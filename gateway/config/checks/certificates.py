"""Checks whether a certificate file and a key file exist, can be read and belong together."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates


@dataclass(frozen=True, slots=True)
class CertificateProblem:
    """What is wrong with a certificate or key file, and the configuration key that names it."""

    key: str
    text: str
    mend: str = ""


def pair_problem(cert_file: Path, key_file: Path) -> CertificateProblem | None:
    """The first thing that is wrong with the pair, under the key that is at fault."""
    for name, file in (("cert_file", cert_file), ("key_file", key_file)):
        if problem := file_problem(file):
            return CertificateProblem(name, problem, "check the path and who may read it")
    try:
        certificate = load_pem_x509_certificates(cert_file.read_bytes())[0]
    except (ValueError, OSError):
        return CertificateProblem("cert_file", f"{cert_file} is not a PEM certificate")
    try:
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm, OSError):
        return CertificateProblem("key_file", f"{key_file} is not a PEM private key without passphrase")
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        return CertificateProblem("key_file", f"{key_file} does not belong to {cert_file}")
    return None


def file_problem(file: Path) -> str:
    """Why the file can't be read; empty if it can."""
    try:
        with file.open("rb"):
            return ""
    except OSError as error:
        return f"the file {file} can't be read: {error.strerror}"
    except ValueError:
        return "is not a file path"
