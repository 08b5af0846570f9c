"""What may become a password: asked wherever one is set, by whom- and howsoever (NIST SP 800-63B-4 §3.1.1.2).

There are no rules of composition. Refused is what guessers try first: common and breached passwords, the user's and
the service's own names, a season, month or such a name with a number, rows of keys.
"""

import asyncio
import gzip
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files

from gateway.config.names import password_bytes
from gateway.config.sections.passwords import PasswordRules
from gateway.directory.breached_passwords import BreachedPasswords
from gateway.errors import WeakPassword
from gateway.i18n.text import N_, NN_
from gateway.model import User

PRODUCT = "auth-gateway"
_SHORTEST_NAME = 3
_ESTIMATED = 72
"""Characters that are estimated; the time grows with the square of their number."""
_PARTS = re.compile(r"[^\W_]+")
_PIECES = re.compile(r"[\s@.]+")
_WORD_AND_NUMBER = re.compile(r"[\W\d_]*([^\W\d_]+)[\W\d_]*")
_CALENDAR = """
spring summer autumn fall winter frühling fruehling frühjahr sommer herbst primavera verano otoño otono invierno
printemps été ete automne hiver haru natsu aki fuyu
january february march april may june july august september october november december
januar februar märz maerz mai juni juli oktober dezember enero febrero marzo abril mayo junio julio agosto
septiembre octubre noviembre diciembre janvier février fevrier mars avril juin juillet août aout septembre octobre
novembre décembre decembre monday tuesday wednesday thursday friday saturday sunday
montag dienstag mittwoch donnerstag freitag samstag sonntag lunes martes miércoles miercoles jueves viernes
sábado sabado domingo lundi mardi mercredi jeudi vendredi samedi dimanche
"""
CALENDAR = frozenset(_CALENDAR.split())
"""Seasons, months and weekdays in the languages of the pages."""


class PasswordStrength:
    """Judges passwords. `names` are those of the service: its hosts and what its pages are called."""

    def __init__(self, rules: PasswordRules, names: Sequence[str] = ()) -> None:
        self._rules = rules
        self._names = frozenset(_words(*names, PRODUCT, *rules.words))
        self._breached = BreachedPasswords(rules.breached)

    async def check(self, password: str, user: User) -> None:
        """Judge a new password. Raises WeakPassword with a sentence that tells the user why."""
        text = password_bytes(password).decode()
        self._check_length(text)
        folded = text.casefold()
        if folded in _common() or len(set(text)) == 1:
            raise _weak(N_("This password is on the list of common passwords. Please choose another."))
        if any(name in folded for name in _usernames(user.username)):
            raise _weak(N_("Your password must not contain your username. Please choose another."))
        own = frozenset(_words(user.username, user.name, user.email))
        only = _WORD_AND_NUMBER.fullmatch(folded)
        if only and only[1] in own | self._names | CALENDAR:
            raise _weak(
                N_(
                    "This password is a name, season or month with a number, which guessers try first. "
                    "Please choose another."
                )
            )
        if (
            self._rules.min_guesses
            and await asyncio.to_thread(self._guesses, text, own) < self._rules.min_guesses
        ):
            raise _weak(
                N_("This password is easy to guess. Please choose a longer one, for example several words.")
            )
        if await self._breached.seen(text):
            raise _weak(
                N_("This password has appeared in a data breach, so guessers know it. Please choose another.")
            )

    def _check_length(self, text: str) -> None:
        if len(text) < self._rules.min_length:
            raise _weak(
                NN_(
                    "Please choose a password of at least %(count)s character.",
                    "Please choose a password of at least %(count)s characters.",
                    self._rules.min_length,
                )
            )
        if len(text) > self._rules.max_length:
            raise _weak(
                NN_(
                    "Please choose a password of at most %(count)s character.",
                    "Please choose a password of at most %(count)s characters.",
                    self._rules.max_length,
                )
            )

    def _guesses(self, text: str, own: frozenset[str]) -> float:
        """The estimated number of guesses, as a power of ten."""
        from zxcvbn import zxcvbn  # its word lists cost memory: only workers that set passwords have them

        known = [*sorted(own), *sorted(self._names), *sorted(CALENDAR)]
        return float(zxcvbn(text[:_ESTIMATED], user_inputs=known)["guesses_log10"])


def _weak(sentence: str) -> WeakPassword:
    return WeakPassword("the password is too weak", public=sentence)


def _usernames(username: str) -> set[str]:
    """The username and the part of it before an @; very short ones are in too many words."""
    folded = unicodedata.normalize("NFKC", username).casefold()
    return {name for name in (folded, folded.partition("@")[0]) if len(name) >= _SHORTEST_NAME}


def _words(*names: str) -> Iterator[str]:
    for name in names:
        folded = unicodedata.normalize("NFKC", name).casefold()
        for piece in (
            folded,
            *_PIECES.split(folded),
        ):  # "Acme Tools", "acme-tools" and "acmetools" are one name
            parts = _PARTS.findall(piece)
            yield from (part for part in (*parts, "".join(parts)) if len(part) >= _SHORTEST_NAME)


@cache
def _common() -> frozenset[str]:
    packed = files("gateway.directory").joinpath("common_passwords.txt.gz").read_bytes()
    _header, _, words = gzip.decompress(packed).decode().partition("\n\n")
    return frozenset(words.split("\n"))
