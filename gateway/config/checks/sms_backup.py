"""Checks of the second SMS vendor: whether it could send, and whether codes may go where it is."""

import json
import re
from collections.abc import Iterator
from ipaddress import ip_address

from gateway.config import addresses
from gateway.config.checks.finding import Check, Finding
from gateway.config.countries import telephone_country
from gateway.config.schema import Config
from gateway.config.sections.sms_backup import NEEDS, PLACEHOLDERS, HttpTemplate, SmsBackup, template_of
from gateway.config.yaml_document import KeyPath

_BASE: KeyPath = ("sms", "backup")
_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_NUMBER_START = re.compile(r"\+[1-9][0-9]{0,8}")
_NAMED = {"from_": "from", "secret": "secret_file"}


def backup(config: Config) -> Iterator[Finding]:
    """Find a second vendor that could send nothing, or would be asked where codes must not go."""
    found = config.sms.backup
    if found is None:
        return
    if config.sms.provider not in ("twilio", "webhook"):
        problem = f"can't stand in for `provider: {config.sms.provider}`"
        yield Finding(_BASE, problem, "it needs codes of ours: `twilio` or `webhook`")
        return
    template = template_of(found)
    for key in NEEDS[found.preset]:
        if not getattr(found, key):
            name = _NAMED.get(key, key)
            yield Finding((*_BASE, name), f"is missing, which {found.preset} needs")
    yield from _where(found, template.url)
    yield from _body(found, template)
    yield from _texts(found)
    for key in found.prices:
        if not _NUMBER_START.fullmatch(key):
            yield from telephone_country((*_BASE, "prices", key), key)


def _where(found: SmsBackup, url: str) -> Iterator[Finding]:
    path = (*_BASE, "url")
    if not url:
        yield Finding(path, "is missing", "write the vendor's address, or a `preset`")
        return
    parts = addresses.split(_PLACEHOLDER.sub("x", url))
    if parts is None or parts.username is not None or parts.password is not None:
        yield Finding(path, "is not a URL without credentials", 'write "https://host/path"')
        return
    host = parts.hostname or ""
    local = addresses.is_local(host) or (addresses.is_ip(host) and not ip_address(host).is_global)
    if local and not found.allow_private:
        yield Finding(path, f"{host} is a private address", "correct it, or set `sms.backup.allow_private`")
    elif parts.scheme == "http" and not addresses.is_local(host):
        yield Finding(path, "is http: codes and credentials would travel in the clear", "write https")


def _body(found: SmsBackup, template: HttpTemplate) -> Iterator[Finding]:
    if found.form and found.json_:
        yield Finding((*_BASE, "json"), "is given beside `form`", "keep one of the two")
        return
    if not template.form and not template.json:
        yield Finding((*_BASE, "form"), "is missing", "write `form` or `json`, with `{to}` and `{text}`")
        return
    if template.json:
        try:
            json.loads(template.json)
        except ValueError:
            yield Finding((*_BASE, "json"), "is not JSON", 'write JSON text, such as \'{"to": "{to}"}\'')
            return
    body = template.json or "\n".join(template.form.values())
    used = set(_PLACEHOLDER.findall(body))
    if not used & {"to", "digits"} or "text" not in used:
        key = "json" if template.json else "form"
        yield Finding(
            (*_BASE, key), "does not say where number and text go", "write `{to}` or `{digits}`, and `{text}`"
        )


def _texts(found: SmsBackup) -> Iterator[Finding]:
    """Placeholders that don't exist, and characters that can't be in a header. Values of headers are secret."""
    headers = {name: value.get_secret_value() for name, value in found.headers.items()}
    secret = found.secret.get_secret_value() if found.secret else ""
    places: dict[KeyPath, str] = {
        ("url",): found.url or "",
        ("json",): found.json_,
        **{("form", name): text for name, text in found.form.items()},
        **{("headers", name): text for name, text in headers.items()},
    }
    for place, text in places.items():
        if unknown := sorted(set(_PLACEHOLDER.findall(text)) - PLACEHOLDERS):
            known = ", ".join(f"`{{{one}}}`" for one in sorted(PLACEHOLDERS))
            yield Finding(
                (*_BASE, *place), f"has `{{{unknown[0]}}}`, which stands for nothing", f"there are {known}"
            )
    sent: dict[KeyPath, str] = {("account",): found.account, ("secret",): secret, ("from",): found.from_}
    sent.update({("headers", name): text for name, text in headers.items()})
    for place, text in sent.items():
        if not text.isprintable():
            yield Finding((*_BASE, *place), "has a line break or another control character")


SMS_BACKUP_CHECKS: tuple[tuple[frozenset[str], Check], ...] = ((frozenset({"sms"}), backup),)
"""Each check with the sections it reads."""
