"""TLS to upstreams: whose certificate is accepted, and which one we show."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.config.schema import Route, UpstreamTls
from tests.proxy_rig import fronting, get, hello, status


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for one DNS name: its file and its key's."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return cert_file, key_file


@asynccontextmanager
async def tls_app(folder: Path, client_ca: Path | None = None) -> AsyncIterator[tuple[str, Path]]:
    cert_file, key_file = certificate(folder, "app.internal")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca)
    context.load_cert_chain(cert_file, key_file)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
    server = await asyncio.get_running_loop().create_server(web.Server(hello), "127.0.0.1", 0, ssl=context)
    yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", cert_file
    server.close()


async def test_an_upstreams_certificate_is_checked_against_the_expected_name(tmp_path: Path) -> None:
    async with tls_app(tmp_path) as (url, ca):
        for tls, expected in [
            (UpstreamTls(ca_file=ca, server_name="app.internal"), 200),
            (UpstreamTls(ca_file=ca), 502),
            (UpstreamTls(server_name="app.internal"), 502),
            (UpstreamTls(verify=False), 200),
        ]:
            async with fronting(Route(upstream=url, tls=tls)) as front:
                assert await status(front, get()) == expected


async def test_we_show_a_client_certificate_where_one_is_configured(tmp_path: Path) -> None:
    cert_file, key_file = certificate(tmp_path, "gateway")
    async with tls_app(tmp_path, client_ca=cert_file) as (url, ca):
        plain = UpstreamTls(ca_file=ca, server_name="app.internal")
        ours = UpstreamTls(ca_file=ca, server_name="app.internal", cert_file=cert_file, key_file=key_file)
        for tls, expected in [(plain, 502), (ours, 200)]:
            async with fronting(Route(upstream=url, tls=tls)) as front:
                assert await status(front, get()) == expected
