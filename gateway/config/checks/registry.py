"""Checks that need more than one key, or the world outside: addresses, certificates, countries, domains.

Each check looks only at the sections it names, so one broken section does not hide mistakes in the others.
"""

import re
from collections.abc import Iterator

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from gateway.config import addresses
from gateway.config.checks.answers import ANSWER_CHECKS
from gateway.config.checks.apps import APP_CHECKS
from gateway.config.checks.audit import AUDIT_CHECKS
from gateway.config.checks.certificates import file_problem
from gateway.config.checks.domains import DOMAIN_CHECKS
from gateway.config.checks.engine import ENGINE_CHECKS
from gateway.config.checks.federation import FEDERATION_CHECKS
from gateway.config.checks.finding import Check, Finding
from gateway.config.checks.foreign_jwt import FOREIGN_CHECKS
from gateway.config.checks.identity import PEOPLE_CHECKS
from gateway.config.checks.listening import LISTENING_CHECKS
from gateway.config.checks.oidc import OIDC_CHECKS
from gateway.config.checks.oidc_claims import OIDC_CLAIMS_CHECKS
from gateway.config.checks.registration import REGISTRATION_CHECKS
from gateway.config.checks.routes import ROUTE_CHECKS
from gateway.config.checks.rules import RULE_CHECKS
from gateway.config.checks.scim import SCIM_CHECKS
from gateway.config.checks.session import SESSION_CHECKS
from gateway.config.checks.sms import DEFAULT, SMS_CHECKS
from gateway.config.checks.sms_backup import SMS_BACKUP_CHECKS
from gateway.config.checks.sms_migration import SMS_MIGRATION_CHECKS
from gateway.config.countries import telephone_country
from gateway.config.patterns import path_matches
from gateway.config.schema import (
    Config,
    DirectoryFile,
    DirectoryLdap,
    EmailSmtp,
    SmsTwilio,
    SmsTwilioVerify,
    SmsWebhook,
)
from gateway.config.yaml_document import KeyPath

_DATABASES = ("sqlite", "postgresql")
_STATES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_OWN_PUBLIC = 256
"""More public addresses than this are hardly all one's own proxies."""
_NUMBER_START = re.compile(r"\+[1-9][0-9]{0,8}")


def public_url(config: Config) -> Iterator[Finding]:
    """Find a public address that browsers can't reach, or reach in the clear."""
    path: KeyPath = ("server", "public_url")
    written = config.server.public_url
    origin = addresses.public_origin(written)
    if origin is None:
        mend = 'scheme, host and port, such as "https://login.example.com"; if need be, a path of letters and digits'
        if addresses.public_origin(written.rstrip("/")):
            mend = f'no "/" at its end: "{written.rstrip("/")}"'
        yield Finding(path, f"`{written}` is not where browsers can reach us", mend)
        return
    base, prefix = config.server.base, config.server.prefix
    if base and not path_matches(base, prefix):
        problem = (
            f"`{prefix}` is not below {base}, the path of `public_url`: nothing else of that host comes to us"
        )
        yield Finding(("server", "prefix"), problem, f"write `prefix: {base}{prefix}`")
    if origin.host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        yield Finding(
            path, f"{origin.host} is an address to listen on, not one to visit", "write the host's name"
        )
    if origin.scheme == "http" and config.server.tls:
        yield Finding(path, "is http, but `server.tls` serves https", f"write `https://{origin.authority}`")
    elif (
        origin.scheme == "http" and not addresses.is_local(origin.host) and not config.server.allow_plain_http
    ):
        problem = "is http beyond localhost: passwords and cookies would travel in the clear"
        yield Finding(path, problem, "write https, or loosen it with `server.allow_plain_http: true`")


def trusted_proxies(config: Config) -> Iterator[Finding]:
    """Warn of proxies that are missing, and of networks in which strangers would be believed."""
    server = config.server
    unix = any(one.startswith("unix:") for one in server.listens)
    behind = server.public_url.startswith("https:") and not server.tls and not unix
    if behind and not server.trusted_proxies:
        problem = "is empty, but something before us must serve the https of `public_url`: all clients get its address"
        mend = "name it, such as `[10.0.0.0/8]`, or serve TLS here with `server.tls`"
        yield Finding(("server", "trusted_proxies"), problem, mend, warning=True)
    for index, network in enumerate(config.server.trusted_proxies):
        path: KeyPath = ("server", "trusted_proxies", index)
        if network.prefixlen == 0:
            problem = f"{network} trusts everyone: any client can claim any address and host"
            yield Finding(path, problem, "name your proxies only", warning=True)
        elif not addresses.is_private(network) and network.num_addresses > _OWN_PUBLIC:
            problem = (
                f"{network} is wider than private networks: whoever is there can claim any address and host"
            )
            mend = (
                "name the addresses of your proxies; those that a provider shares need a check of their own"
            )
            yield Finding(path, f"{problem} (docs/proxies.md)", mend, warning=True)


def compatible(config: Config) -> Iterator[Finding]:
    """The addresses of other gateways are no use to proxies that are not believed, or to users who can't sign in."""
    path: KeyPath = ("forward", "compatible")
    if config.forward.compatible and not config.server.trusted_proxies:
        problem = "is given, but `server.trusted_proxies` is empty, so no proxy is believed there"
        yield Finding(path, problem, "name your proxy there")
    if config.session.domain is not None:
        return
    if {"authelia", "authentik", "vouch"} & set(config.forward.compatible):
        problem = "the sign-in page is on `server.public_url`, whose cookie apps on other hosts don't see"
        yield Finding(path, problem, "set `session.domain`", warning=True)
    if "oauth2-proxy" in config.forward.compatible and config.server.prefix != "/oauth2":
        problem = "proxies set up for oauth2-proxy send us `/oauth2/` only, but our pages are elsewhere"
        yield Finding(path, problem, "set `server.prefix: /oauth2` or `session.domain`", warning=True)


def server_files(config: Config) -> Iterator[Finding]:
    """Find templates that are not there."""
    server = config.server
    if server.templates and not server.templates.is_dir():
        yield Finding(("server", "templates"), f"there is no folder {server.templates}")


def storage_urls(config: Config) -> Iterator[Finding]:
    """Never shows a URL: it may hold a password."""
    try:
        scheme = make_url(config.storage.url).get_backend_name()
    except (ArgumentError, ValueError):
        scheme = ""
    if scheme not in _DATABASES:
        mend = 'write "sqlite:///var/gateway.db" or "postgresql://user:password@host/name"'
        yield Finding(("storage", "url"), "is not a database we can use", mend)
    state = config.storage.state_url
    if state is not None and state.partition("://")[0] not in _STATES:
        yield Finding(
            ("storage", "state_url"),
            "is not a Redis URL",
            'write "redis://host:6379/0", rediss:// or redis+sentinel://host:26379/master',
        )


def sms(config: Config) -> Iterator[Finding]:
    """Find countries that don't exist, times that leave no code alive, and providers that lack a sender."""
    section = config.sms
    for index, country in enumerate(section.allowed_countries):
        yield from telephone_country(("sms", "allowed_countries", index), country)
    if section.default_country:
        yield from telephone_country(("sms", "default_country"), section.default_country)
    for table in ("prices", "voice_prices", "whatsapp_prices", "rcs_prices"):
        for key in getattr(section.spending, table):
            if not _NUMBER_START.fullmatch(key):
                yield from telephone_country(("sms", "spending", table, key), key)
    if section.code_lifetime < section.resend_after or section.code_lifetime <= 0:
        yield Finding(("sms", "code_lifetime"), "is shorter than `sms.resend_after`")
    if isinstance(section, SmsTwilio) and not section.sender_of(DEFAULT):
        yield Finding(("sms", "from"), "is missing", 'add `from: "+15005550006"` or `messaging_service_sid`')
    if isinstance(section, SmsTwilio) and section.from_ and section.messaging_service_sid:
        yield Finding(("sms", "messaging_service_sid"), "is given beside `from`", "keep one of the two")
    if isinstance(section, SmsWebhook):
        yield from _clear_text("url", section.url)
    if isinstance(section, (SmsTwilio, SmsTwilioVerify)):
        yield from _clear_text("base_url", section.base_url)


def _clear_text(key: str, url: str) -> Iterator[Finding]:
    parts = addresses.split(url)
    if parts is None or parts.username is not None or parts.password is not None:
        yield Finding(("sms", key), "is not a URL without credentials", 'write "https://host/path"')
    elif parts.scheme == "http" and not addresses.is_local(parts.hostname or ""):
        yield Finding(("sms", key), "is http: codes travel in the clear", "write https", warning=True)


def email(config: Config) -> Iterator[Finding]:
    """Find mail settings that are incomplete, or would send mails in the clear."""
    section = config.email
    if not isinstance(section, EmailSmtp):
        return
    host, separator, port = section.host.rpartition(":")
    if separator and ":" not in host and port.isdecimal():
        yield Finding(
            ("email", "host"), f"`{section.host}` holds a port", f"write `host: {host}` and `port: {port}`"
        )
    if section.password is not None and section.username is None:
        yield Finding(("email", "username"), "is missing beside `password`", "add `username`")
    if section.username is not None and section.password is None:
        yield Finding(("email", "password"), "is missing beside `username`", "add `password_file`")
    if section.tls == "none" and not addresses.is_local(section.host):
        yield Finding(("email", "tls"), "mails travel in the clear", "write `starttls`", warning=True)


def email_link(config: Config) -> Iterator[Finding]:
    """Find links that nobody could open in time, or that lie about in mailboxes for long."""
    if not 60.0 <= config.email_link.lifetime <= 3600.0:
        mend = "greylisting takes minutes, and an older link is found by whoever reads the mailbox later"
        yield Finding(("email_link", "lifetime"), "must be from 1m to 1h", mend)


def directory(config: Config) -> Iterator[Finding]:
    """Find directories that can't be read, or whose searches would name no user."""
    section = config.directory
    if isinstance(section, DirectoryFile) and not section.path.is_file():
        yield Finding(("directory", "path"), f"there is no file {section.path}")
    if not isinstance(section, DirectoryLdap):
        return
    for number, url in enumerate(section.urls):
        host = url.partition("://")[2].rstrip("/").rpartition(":")[0] or url.partition("://")[2].rstrip("/")
        if url.startswith("ldap://") and not section.starttls and not addresses.is_local(host.strip("[]")):
            problem = "passwords would travel in the clear"
            yield Finding(("directory", "urls", number), problem, "write ldaps://, or `starttls: true`")
        if url.startswith("ldaps://") and section.starttls:
            yield Finding(("directory", "urls", number), "is TLS already", "remove `starttls`")
    if "{username}" not in section.user_filter:
        yield Finding(("directory", "user_filter"), "names no user", "write `{username}` where the name goes")
    if (
        section.group_base_dn
        and "{dn}" not in section.group_filter
        and "{username}" not in section.group_filter
    ):
        yield Finding(("directory", "group_filter"), "names no user", "write `{dn}` or `{username}` in it")
    if section.nested_groups != "none" and not section.group_base_dn:
        problem = "needs a place where groups are searched"
        yield Finding(("directory", "nested_groups"), problem, "write `group_base_dn`")
    if section.nested_groups == "search" and (
        "{dn}" not in section.group_filter or "{username}" in section.group_filter
    ):
        mend = "write `{dn}` and not `{username}`, such as `(member={dn})`"
        yield Finding(("directory", "group_filter"), "does not find the groups of a group", mend)
    if section.ca_file and (unreadable := file_problem(section.ca_file)):
        yield Finding(("directory", "ca_file"), unreadable, "check the path and who may read it")


def appearance(config: Config) -> Iterator[Finding]:
    """Find a logo that is missing, or no image that browsers show."""
    logo = config.branding.logo_file
    if logo and not logo.is_file():
        yield Finding(("branding", "logo_file"), f"there is no file {logo}")
    elif logo and logo.suffix.lower() not in (".svg", ".png"):
        yield Finding(("branding", "logo_file"), f"{logo.name} is neither .svg nor .png")


def passwords(config: Config) -> Iterator[Finding]:
    """Find password rules that nobody can meet, or that make guessing cheap."""
    section = config.passwords
    if section.min_length > section.max_length:
        yield Finding(("passwords", "min_length"), "is more than `passwords.max_length`")
    if (file := section.breached.file) is not None and not file.exists():
        yield Finding(("passwords", "breached", "file"), f"there is no file {file}")
    if section.argon2_memory < 7 * 1024 * 1024:
        mend = "OWASP's least is 7MiB (with 5 passes); 19MiB with 2 passes is usual"
        yield Finding(("passwords", "argon2_memory"), "is too little to slow down guessing", mend)


CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    *LISTENING_CHECKS,
    (frozenset({"server"}), public_url),
    (frozenset({"server"}), trusted_proxies),
    (frozenset({"forward", "server", "session"}), compatible),
    (frozenset({"server"}), server_files),
    *SESSION_CHECKS,
    (frozenset({"storage"}), storage_urls),
    (frozenset({"sms"}), sms),
    *SMS_CHECKS,
    *SMS_BACKUP_CHECKS,
    *SMS_MIGRATION_CHECKS,
    (frozenset({"email"}), email),
    (frozenset({"email_link"}), email_link),
    (frozenset({"directory"}), directory),
    (frozenset({"branding"}), appearance),
    (frozenset({"passwords"}), passwords),
    *ENGINE_CHECKS,
    *OIDC_CHECKS,
    *OIDC_CLAIMS_CHECKS,
    *DOMAIN_CHECKS,
    *ROUTE_CHECKS,
    *FOREIGN_CHECKS,
    *ANSWER_CHECKS,
    *APP_CHECKS,
    *RULE_CHECKS,
    *PEOPLE_CHECKS,
    *FEDERATION_CHECKS,
    *REGISTRATION_CHECKS,
    *SCIM_CHECKS,
    *AUDIT_CHECKS,
)
"""Each check with the sections it reads; it is left out while one of them is broken."""
