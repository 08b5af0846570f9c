"""The one spelling in which users, groups, mail addresses, mail domains and passwords are kept and compared. Pure.

Rules, directories, imports, lookups and explanations all come here, so none of them can see two names where another
sees one, nor one where another sees two. What can't be a name is refused here, too.
"""

import re
import unicodedata
from typing import Annotated

import idna
from pydantic import AfterValidator

from gateway.config.sections.base import Words
from gateway.errors import InvalidUser

_BLANKS = re.compile(" {2,}")
# CR and LF (Cc) would end a header; surrogates and unassigned (Cs, Cn) may not be UTF-8. Invisible characters
# (Cf) make two names look the same; people's names need some (Persian writes a zero-width non-joiner).
_UNSAFE = {"Cc", "Cs", "Cn", "Zl", "Zp"}
LONGEST_NAME = 128
OWN_FACTS = ("username", "name", "email", "phone", "groups")
"""What every user has; no attribute is called so."""
ATTRIBUTE_NAME = r"[a-z][a-z0-9_-]{0,39}"
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def user_name(text: str) -> str:
    """The spelling that usernames are kept and compared in: "Alice" and full-width "alice" are one user.

    So are "anna maria" with one blank and with several: LDAP servers take them for the same (RFC 4518 §2.6.1), and
    each spelling would bring fresh tries.
    """
    once = unicodedata.normalize("NFKC", text).casefold()
    name = unicodedata.normalize("NFKC", once).strip(" ")
    return _BLANKS.sub(" ", name) if "  " in name else name


def checked_user_name(text: str) -> str:
    """Return a username in canonical spelling; directories elsewhere have some with a blank. Raises InvalidUser."""
    name = user_name(text)
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidUser(f"a username has 1 to {LONGEST_NAME} characters")
    if any((character != " " and character.isspace()) or character in ":," for character in name):
        raise InvalidUser(f"username {text!r}: tabs, line ends, colons and commas are not allowed")
    return plain("username", name)


def password_bytes(text: str) -> bytes:
    """One spelling for what different keyboards send (NIST SP 800-63B-4 §3.1.1.2: NFKC before hashing)."""
    return unicodedata.normalize("NFKC", text).encode(errors="replace")


def group_name(text: str) -> str:
    """The spelling of a group. Capitals count: directories have `Staff` and `staff` as two groups."""
    return unicodedata.normalize("NFKC", text).strip()


def plain(field: str, text: str) -> str:
    """Return the text of a `field` (its name, for the error) without change. Raises InvalidUser for characters that
    would end a header, that may not be UTF-8, or that nobody sees.
    """
    refused = _UNSAFE if field == "name" else _UNSAFE | {"Cf"}
    if any(unicodedata.category(character) in refused for character in text):
        raise InvalidUser(f"{field} {text!r}: control and invisible characters are not allowed")
    return text


def is_attribute_name(text: str) -> bool:
    """Whether an attribute can be called so: up to 40 lower-case letters, digits, `_` and `-`, no fact of all users."""
    return re.fullmatch(ATTRIBUTE_NAME, text) is not None and text not in OWN_FACTS


def mail_domain(text: str) -> str:
    """A domain as DNS has it (IDNA 2008), in lower case; "" for what is none.

    `straße.example` and `strasse.example` are two domains with two owners, though folding makes them one text.
    """
    name = text.strip().rstrip(".")
    try:
        return idna.encode(name, uts46=True, std3_rules=True, transitional=False).decode().lower()
    except (idna.IDNAError, UnicodeError):
        return ""


def mail_address(text: str) -> str:
    """The spelling in which mail addresses are compared, "" for what is none.

    Before the @, capitals of ASCII don't count, as no provider tells them apart; all other letters stay what they are:
    `weiß` is not `weiss`, nor does a long s make a `boss`.
    """
    local, at, domain = text.strip().rpartition("@")
    known = mail_domain(domain)
    return f"{local.translate(_ASCII_LOWER)}@{known}" if local and at and known else ""


def _named(text: str) -> str:
    if not (name := user_name(text)):
        raise ValueError("is empty")
    return name


def _group(text: str) -> str:
    if not (name := group_name(text)):
        raise ValueError("is empty")
    return name


def _domain(text: str) -> str:
    if not (name := mail_domain(text.removeprefix("@"))):
        raise ValueError("is not a domain such as `example.com`")
    return name


UserName = Annotated[str, AfterValidator(_named), Words("text")]
GroupName = Annotated[str, AfterValidator(_group), Words("text")]
MailDomain = Annotated[str, AfterValidator(_domain), Words("a domain such as `example.com`")]
