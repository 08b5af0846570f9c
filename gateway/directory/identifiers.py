"""Checks usernames, groups, phone numbers and mail addresses, and gives each its one canonical spelling. Pure.

The rules exist because these values become HTTP headers (a comma separates groups), file columns (a colon separates
htpasswd) and lookup keys.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace

import idna
import phonenumbers

from gateway.config.names import (
    LONGEST_NAME,
    OWN_FACTS,
    checked_user_name,
    group_name,
    is_attribute_name,
    mail_domain,
    plain,
)
from gateway.errors import InvalidUser
from gateway.i18n.text import N_
from gateway.model import Attributes, User

_MARKUP = frozenset('<>"/\\|;%?#*`{}')
_TOGETHER: tuple[frozenset[str], ...] = (  # UTS 39 §5.2, "highly restrictive"
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)
_LONGEST_VALUE, _LARGEST_ATTRIBUTES = 500, 4000
_EMAIL = re.compile(r"[^@\s,<>\"]{1,64}@[^@\s,<>\"]{1,255}")


def checked(user: User, *, country: str = "") -> User:
    """The user in canonical spelling; raises InvalidUser naming the field at fault.

    `country` is that of a number without country code (`sms.default_country`).
    """
    return replace(
        user,
        username=checked_user_name(user.username),
        name=full_name(user.name),
        email=email(user.email),
        phone=phone(user.phone, country=country),
        groups=tuple(dict.fromkeys(group(name) for name in user.groups)),
        attributes=attributes(dict(user.attributes)),
    )


def checked_new(user: User, *, country: str = "") -> User:
    """Like `checked`, for a user who is being added. Raises InvalidUser."""
    return checked(replace(user, username=new_username(user.username)), country=country)


def full_name(text: str) -> str:
    """Return a name on one line. Raises InvalidUser."""
    return plain("name", text.strip())


def new_username(text: str) -> str:
    """Like `checked_user_name`, for a user who is being added: what can be taken for something or somebody else is
    refused.

    Raises InvalidUser.
    """
    name = checked_user_name(text)
    if " " in name:
        raise InvalidUser(f"username {text!r}: blanks are not allowed, shells and files read two words")
    if not (name[0].isalnum() or name[0] == "_") or not any(map(str.isalnum, name)):
        raise InvalidUser(f"username {text!r}: it must begin with a letter, a digit or an underscore")
    if strange := sorted(set(name) & _MARKUP):
        raise InvalidUser(
            f"username {text!r}: {' '.join(strange)} is not allowed, files and pages read it otherwise"
        )
    scripts = {_script(character) for character in name if character.isalpha()}
    if not any(scripts <= together for together in _TOGETHER) and len(scripts) > 1:
        mixed = " and ".join(sorted(script.capitalize() for script in scripts))
        raise InvalidUser(
            f"username {text!r} mixes letters of {mixed}, which can look like another user's name"
        )
    return name


def _script(character: str) -> str:
    """The script of a letter, by the first word of its name in Unicode."""
    return unicodedata.name(character, "UNKNOWN").partition(" ")[0].partition("-")[0]


def group(text: str) -> str:
    """Return the name of a group. Raises InvalidUser."""
    if "," in text:
        raise InvalidUser(f"group {text!r}: commas are not allowed, they separate groups")
    return group_elsewhere(text)


def group_elsewhere(text: str) -> str:
    """Return the name of a group as a directory elsewhere has it: also with commas, which headers escape.

    Raises InvalidUser.
    """
    name = group_name(text)
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidUser(f"a group name has 1 to {LONGEST_NAME} characters")
    return plain("group", name)


def attributes(given: Mapping[str, Sequence[str]]) -> Attributes:
    """Return attributes in order, without those that have no value. Raises InvalidUser for names, signs and sizes that
    can't be: they become headers.
    """
    found = []
    for name, values in sorted(given.items()):
        if not is_attribute_name(name):
            raise InvalidUser(
                f"attribute {name!r}: a name has up to 40 lower-case letters, digits, _ and -, and is none of "
                + ", ".join(OWN_FACTS)
            )
        texts = dict.fromkeys(text.strip() for text in values)
        if any(len(plain(f"attribute {name}", text)) > _LONGEST_VALUE for text in texts):
            raise InvalidUser(f"attribute {name}: a value has at most {_LONGEST_VALUE} characters")
        if some := tuple(text for text in texts if text):
            found.append((name, some))
    if sum(len(name) + sum(map(len, values)) for name, values in found) > _LARGEST_ATTRIBUTES:
        raise InvalidUser(f"attributes: all of a user's have at most {_LARGEST_ATTRIBUTES} characters")
    return tuple(found)


def email(text: str) -> str:
    """Return a mail address with its domain in lower case; "" stays "". Raises InvalidUser."""
    address = text.strip()
    if address and not _EMAIL.fullmatch(address):
        raise InvalidUser(
            f"e-mail address {text!r}: write it like name@example.com",
            public=N_("Please write the e-mail address like %(example)s.", example="name@example.com"),
        )
    return plain("e-mail address", address)


def email_spellings(address: str) -> list[str]:
    """How directories may have written a mail address, in lower case; none where that can't be told.

    It can't where letters beyond ASCII stand before the @: databases fold them each in its own way.
    """
    local, _, domain = address.strip().lower().rpartition("@")
    if not local.isascii() or not (known := mail_domain(domain)):
        return []
    return sorted({f"{local}@{name}" for name in (domain, known, idna.decode(known))})


def phone(text: str, *, country: str = "") -> str:
    """Return E.164 of a number, with or without spaces; "" stays "". Raises InvalidUser.

    `00` stands for `+`. Without country code it is a number of `country` (ISO 3166-1), as it is dialled there; with ""
    it is refused.
    """
    if not text.strip():
        return ""
    try:
        number = phonenumbers.parse(_with_plus(text.strip(), country), country or None)
    except phonenumbers.NumberParseException:
        hint = "" if country else "; or set sms.default_country"
        raise InvalidUser(
            f"phone number {text!r}: write it with country code, like +4915112345678{hint}",
            public=N_(
                "Please write the phone number with its country code, like %(example)s.",
                example="+4915112345678",
            ),
        ) from None
    if not phonenumbers.is_possible_number(number):
        raise InvalidUser(
            f"phone number {text!r}: it has too few or too many digits for its country",
            public=N_("This phone number has too few or too many digits for its country."),
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _with_plus(text: str, country: str) -> str:
    """Write 00, by which most countries dial abroad, as +; but read a number as it is dialled in `country`, where 0011
    (Australia) or 00700 (Korea) may stand before the country code.
    """
    if not text.startswith("00"):
        return text
    region = phonenumbers.PhoneMetadata.metadata_for_region(country, None) if country else None
    abroad = (region.international_prefix if region else None) or "(?!)"
    digits = phonenumbers.normalize_digits_only(text)
    return text if re.match(abroad, digits) else f"+{text[2:]}"
