"""A client's certificate as Envoy tells of it says the same as one that our own TLS has checked."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.authn.shown_credentials import certificate_name, certificate_user
from gateway.request.client_certificate import read_certificate
from tests.authorities import Authority

# What `ssl.getpeercert` makes its answer with; for a file, so for tests alone.
_of_openssl = cast(Callable[[str], dict[str, Any]], vars(ssl)["_ssl"]._test_decode_cert)
BY_SHA1 = """-----BEGIN CERTIFICATE-----
MIIBdDCCARygAwIBAgIUXsq9iDKn0uFUIUocDLBajg32WpQwCQYHKoZIzj0EATAQ
MQ4wDAYDVQQDDAVyb2JvdDAgFw0yNjEyMDEwNTU5MTVaGA8yMTI2MTEwNzA1NTkx
NVowEDEOMAwGA1UEAwwFcm9ib3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ2
bnOZTp1/A35mrZKF1poRaA8maJGFWEToXexJ9j/ENxAOX27aDeUzNtL/MtZYafxp
ssB2KD+/zG658wJWOYoDo1MwUTAdBgNVHQ4EFgQUD3DV9mTh58+vNF1K3WEtDadT
JiQwHwYDVR0jBBgwFoAUD3DV9mTh58+vNF1K3WEtDadTJiQwDwYDVR0TAQH/BAUw
AwEB/zAJBgcqhkjOPQQBA0cAMEQCIBfvTiDzMIl2LNg8AjMv7nRerpjAczQuGBAA
AXKb2sXwAiBwNzOB743AtSvU4V1AKL7J3P2gnOl2WOqTnKrywLnibQ==
-----END CERTIFICATE-----"""
NAMES: list[tuple[str, tuple[x509.GeneralName, ...], tuple[str, ...]]] = [
    ("robot.test", (), ("robot.test",)),
    (
        "robot@a.test",
        (
            x509.UniformResourceIdentifier("spiffe://a/b"),
            x509.DNSName("a.test"),
            x509.RFC822Name("robot@a.test"),
        ),
        ("x",),
    ),
    ("spiffe://a/b", (x509.UniformResourceIdentifier("spiffe://a/b"),), ("x",)),
    ("", (), ("a", "b")),
    ("", (), ("a,admin",)),
    ("röbot", (), ("röbot",)),
    ("", (), ()),
]


@pytest.mark.parametrize(("name", "alternatives", "common_names"), NAMES)
def test_the_name_is_the_one_that_openssl_reads(
    tmp_path: Path, name: str, alternatives: tuple[x509.GeneralName, ...], common_names: tuple[str, ...]
) -> None:
    file, _ = Authority.new(tmp_path, "ca").issue("", *alternatives, common_names=common_names)
    read = read_certificate(quote(file.read_text(), safe=""))
    assert read is not None
    expected = _of_openssl(str(file))
    assert certificate_name(read) == certificate_name(expected) == name
    assert read["notAfter"] == expected["notAfter"]
    end = ssl.cert_time_to_seconds(read["notAfter"])
    assert certificate_user(read, end) == (f"cert:{name}" if name else "")
    assert certificate_user(read, end + 1) == ""


@pytest.mark.parametrize(
    "text", ["", "-", "MII", quote("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")]
)
def test_what_is_no_certificate_is_none(text: str) -> None:
    assert read_certificate(text) is None


def test_what_openssl_would_not_take_at_the_handshake_does_not_count(tmp_path: Path) -> None:
    file, _ = Authority.new(tmp_path, "ca").issue("robot", key=rsa.generate_private_key(65537, 1024))
    for weak in (file.read_text(), BY_SHA1):
        assert read_certificate(quote(weak, safe="")) is None


def test_a_certificate_that_does_not_say_until_when_does_not_count() -> None:
    assert certificate_user({"subject": ((("commonName", "robot"),),)}, 0.0) == ""
