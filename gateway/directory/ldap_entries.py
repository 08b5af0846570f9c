"""Turns an LDAP entry into a user. Pure. What makes no sense in an entry is left out, never guessed."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ldap3.core.exceptions import LDAPInvalidDnError
from ldap3.utils.dn import parse_dn

from gateway.config.names import checked_user_name
from gateway.config.schema import LdapAttributes
from gateway.directory import identifiers
from gateway.errors import InvalidUser
from gateway.model import Attributes, User

log = logging.getLogger("gateway.directory")

_CONTROL, _LOCKED, _PWD_LAST_SET, _PWD_CHANGED = (
    "userAccountControl",
    "pwdAccountLockedTime",
    "pwdLastSet",
    "pwdChangedTime",
)
_UUID, _GUID = "entryUUID", "objectGUID"  # RFC 4530; MS-ADA3 §2.43
ALWAYS = (_CONTROL, _LOCKED, _PWD_LAST_SET, _PWD_CHANGED, _UUID, _GUID)
STATE = (_CONTROL, _LOCKED)
"""What tells whether an account is disabled."""
_LONGEST_ID = 128
_ACCOUNT_DISABLED = 0x2  # MS-ADTS §2.2.16, ADS_UF_ACCOUNT_DISABLE
_ESCAPED = re.compile(rb"\\([0-9A-Fa-f]{2})|\\(.)")
_FILETIME_EPOCH = 11_644_473_600  # seconds from 1601 to 1970


@dataclass(frozen=True, slots=True)
class LdapEntry:
    """An entry as a search finds it: its name (DN) and the raw values of its attributes."""

    dn: str
    raw: Mapping[str, Sequence[bytes]]

    def texts(self, attribute: str) -> list[str]:
        """Attribute names are compared without case (RFC 4512 §2.5)."""
        for name, values in self.raw.items():
            if name.lower() == attribute.lower():
                return [value.decode(errors="replace") for value in values]
        return []

    def octets(self, attribute: str) -> bytes:
        """The first value as it is."""
        found = (values for name, values in self.raw.items() if name.lower() == attribute.lower())
        return next(iter(next(found, ())), b"")

    def text(self, attribute: str) -> str:
        return next(iter(self.texts(attribute)), "")


def user_of(
    entry: LdapEntry, attributes: LdapAttributes, groups: Sequence[str], *, country: str = ""
) -> User | None:
    """None if the entry has no username that we can use. Numbers without country code are of `country`."""
    try:
        username = checked_user_name(entry.text(attributes.username))
    except InvalidUser as error:
        log.warning("LDAP entry %s: %s", entry.dn, error.detail)
        return None
    found = (_sound(identifiers.group_elsewhere, group_name(dn), username) for dn in groups)
    phone, unreadable = _phone(entry.texts(attributes.phone), country)
    return User(
        username,
        name=_sound(identifiers.full_name, entry.text(attributes.name), username),
        email=_sound(identifiers.email, entry.text(attributes.email), username),
        phone=phone,
        groups=tuple(dict.fromkeys(group for group in found if group)),
        disabled=is_disabled(entry),
        password_changed_at=password_changed_at(entry),
        directory_id=entry.text(_UUID)[:_LONGEST_ID] or entry.octets(_GUID).hex()[:_LONGEST_ID],
        phone_unreadable=unreadable,
        attributes=_attributes(entry, attributes.more, username),
    )


def _attributes(entry: LdapEntry, wanted: Mapping[str, str], username: str) -> Attributes:
    found: Attributes = ()
    for name, attribute in sorted(wanted.items()):
        try:
            found = identifiers.attributes({**dict(found), name: entry.texts(attribute)})
        except InvalidUser as error:
            log.warning("LDAP user %s: %s", username, error.detail)
    return found


def _phone(values: Sequence[str], country: str) -> tuple[str, bool]:
    """The first number that can be read, and whether there are only others. What has no digit is no number."""
    numbers = [text for text in values if any(map(str.isdigit, text))]
    for text in numbers:
        try:
            return identifiers.phone(text, country=country), False
        except InvalidUser:
            continue
    return "", bool(numbers)


def group_name(dn: str) -> str:
    """ "staff" of "cn=staff,ou=groups,dc=example,dc=com"."""
    try:
        parts = parse_dn(dn, strip=True)
    except LDAPInvalidDnError:
        return dn
    return _unescaped(str(parts[0][1])) if parts else ""


def _unescaped(value: str) -> str:
    """RFC 4514 §2.4: `\\2C` is a byte, `\\,` the character itself."""

    def plain(match: re.Match[bytes]) -> bytes:
        return bytes([int(match[1], 16)]) if match[1] else match[2]

    return _ESCAPED.sub(plain, value.encode()).decode(errors="replace")


def is_disabled(entry: LdapEntry) -> bool:
    """Active Directory's flag, and OpenLDAP's permanent lock (draft-behera-ldap-password-policy §5.3.3)."""
    control = entry.text(_CONTROL)
    if control and (not control.lstrip("-").isdigit() or int(control) & _ACCOUNT_DISABLED):
        return True
    return entry.text(_LOCKED).startswith("000001010000")


def password_changed_at(entry: LdapEntry) -> float:
    """Unix seconds, 0.0 if the directory does not say. Older sessions end by this."""
    filetime = entry.text(_PWD_LAST_SET)
    if filetime.isdigit() and int(filetime):
        return int(filetime) / 10_000_000 - _FILETIME_EPOCH
    try:
        changed = datetime.strptime(entry.text(_PWD_CHANGED)[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    return changed.timestamp()


def _sound(check: Callable[[str], str], text: str, username: str) -> str:
    """The canonical value, or nothing where it can't be one."""
    try:
        return check(text) if text else ""
    except InvalidUser as error:
        log.warning("LDAP user %s: %s", username, error.detail)
        return ""
