"""Certificates by ACME (RFC 8555): whose they are, for which names, and how we prove that the names are ours."""

from pathlib import Path

from pydantic import Field, SecretStr

from gateway.config.sections.base import Section
from gateway.config.units import Duration

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


class ExternalAccount(Section):
    """What an authority gives its customers to bind an ACME account to theirs (RFC 8555 §7.3.4)."""

    key_id: str = Field(description="the key's name at the authority")
    key: SecretStr = Field(description="the key, base64url, as the authority shows it")


class Acme(Section):
    """Getting and renewing a certificate from an ACME authority such as Let's Encrypt."""

    email: str = Field(description="where the authority may write to you")
    agree_to_terms: bool = Field(
        False, description="must be `true`: you have read the authority's terms of service and agree to them"
    )
    hosts: tuple[str, ...] = Field(
        description="the names on the certificate; `*.example.com` needs `dns_hook`"
    )
    directory: str = Field(LETS_ENCRYPT, description="the authority's ACME directory")
    ca_file: Path | None = Field(
        None, description="PEM bundle that vouches for the directory, for an authority of your own"
    )
    cache: Path = Field(
        Path("var/acme"),
        description="folder for the certificate that was got last (mode 0600), so that a start needs nobody else",
    )
    dns_hook: tuple[str, ...] = Field(
        (),
        description="program and arguments that publish a DNS record; gets `present NAME VALUE`, later"
        " `cleanup NAME VALUE`. With it all names are proven by DNS (dns-01), else over port 80 (http-01)",
    )
    dns_hook_timeout: Duration = Field(120.0, description="how long one call of `dns_hook` may take")
    dns_wait: Duration = Field(30.0, description="time for the records to become visible, after `dns_hook`")
    external_account: ExternalAccount | None = Field(
        None, description="binds the account, where the authority demands it"
    )
