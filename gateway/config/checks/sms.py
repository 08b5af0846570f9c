"""Checks of senders and channels by country, and of lookups."""

import re
from collections.abc import Iterator

from gateway.config.checks.finding import Check, Finding
from gateway.config.countries import telephone_country
from gateway.config.schema import Config, SmsTwilio, SmsTwilioVerify
from gateway.config.yaml_document import KeyPath

DEFAULT = "default"
_NUMBER = re.compile(r"\+[1-9]\d{6,14}")
_SHORT_CODE = re.compile(r"\d{3,8}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_NAME = re.compile(r"[A-Za-z0-9 ]{1,11}")
_LETTER = re.compile(r"[A-Za-z]")
NO_NAMES = frozenset(("US", "CA", "PR"))
"""Countries whose carriers take no letters as a sender."""
SELDOM_NAMES = frozenset(["AR", "BR", "CL", "CN", "CO", "CR", "EC", "MX", "MY", "PA", "TW", "UY", "VE", "ZA"])
"""Countries where a name is replaced by a number, or the message is dropped."""
_INSTEAD = 'write a number such as `"+15005550006"`, a short code, or a Messaging Service SID (`MG…`)'


def senders(config: Config) -> Iterator[Finding]:
    """Find senders that no country takes."""
    section = config.sms
    if not isinstance(section, SmsTwilio):
        return
    base: KeyPath = ("sms", "senders")
    for place, sender in section.senders.items():
        if place != DEFAULT:
            yield from telephone_country((*base, place), place)
        yield from _sender((*base, place), place, sender)
    if DEFAULT in section.senders and (section.from_ or section.messaging_service_sid):
        key = "from" if section.from_ else "messaging_service_sid"
        yield Finding((*base, DEFAULT), f"is given beside `sms.{key}`", "keep one of the two")
    yield from _countries_without(section)


def _sender(path: KeyPath, place: str, sender: str) -> Iterator[Finding]:
    if _NUMBER.fullmatch(sender) or _SERVICE.fullmatch(sender):
        return
    if _SHORT_CODE.fullmatch(sender):
        if place == DEFAULT:
            yield Finding(
                path, f"`{sender}` is a short code, which reaches its own country only", "name that country"
            )
    elif not _NAME.fullmatch(sender):
        plain = _NAME.fullmatch(sender[:11]) and not sender.startswith("MG")
        mend = f"shorten it, such as `{sender[:11].strip()}`" if plain else _INSTEAD
        yield Finding(path, f"`{sender}` {_wrong(sender)}", mend)
    elif not _LETTER.search(sender):
        yield Finding(path, f"`{sender}` is no number, and a name needs one letter at least", _INSTEAD)
    elif place in NO_NAMES:
        yield Finding(path, f"`{sender}` is a name, and carriers of {place} take none", _INSTEAD)
    elif place in SELDOM_NAMES:
        problem = f"`{sender}` is a name, which carriers of {place} replace or drop"
        yield Finding(path, problem, _INSTEAD, warning=True)


def _wrong(sender: str) -> str:
    if sender.startswith("+"):
        return "is not a whole number with its country code"
    if sender.startswith("MG") and len(sender) > 11:
        return "is not a Messaging Service SID: `MG` and 32 hex digits"
    if len(sender) > 11:
        return f"has {len(sender)} characters, and a name has 11 at most"
    return "has a character that no name may have: letters, digits and blanks only"


def _countries_without(section: SmsTwilio) -> Iterator[Finding]:
    """A name for all reaches nobody where carriers take none."""
    sender = section.senders.get(DEFAULT) or section.from_ or ""
    if not _LETTER.search(sender) or _SERVICE.fullmatch(sender):
        return
    for country in section.allowed_countries:
        if country in NO_NAMES and country not in section.senders:
            problem = f"`{sender}` is a name, and carriers of {country} in `sms.allowed_countries` take none"
            yield Finding(("sms", "senders"), problem, f"give `{country}` a sender of its own there")


def channels(config: Config) -> Iterator[Finding]:
    """Find channels that nothing can send over, and channels that are never used."""
    section = config.sms
    if not isinstance(section, SmsTwilio | SmsTwilioVerify):
        return
    for place, names in section.channels.items():
        path: KeyPath = ("sms", "channels", place)
        if place != DEFAULT:
            yield from telephone_country(path, place)
        if not names:
            yield Finding(path, "is empty: no code could be sent", "name a channel, such as `[sms, call]`")
        for number, name in enumerate(names):
            if name in names[:number]:
                yield Finding((*path, number), f"`{name}` is there twice", "remove one")
            elif problem := _unusable(section, name):
                yield Finding((*path, number), *problem)
    if isinstance(section, SmsTwilio):
        used = {name for names in section.channels.values() for name in names}
        for name in ("whatsapp", "rcs"):
            if getattr(section, name) is not None and name not in used:
                mend = f"name `{name}` in `sms.channels`, or remove it"
                yield Finding(("sms", name), "has no effect: no country has this channel", mend)


def _unusable(section: SmsTwilio | SmsTwilioVerify, name: str) -> tuple[str, str] | None:
    """Why codes can't go over a channel, and what to do."""
    if name == "call" and not section.voice:
        return "`call` needs `sms.voice: true`", "set it, or remove `call`"
    if isinstance(section, SmsTwilioVerify):
        if name == "rcs":
            return "Twilio Verify sends RCS by itself where it sends `sms`", "write `sms`"
        return None
    if name == "call" and not _calling(section):
        return "`call` needs a number that calls", 'set `sms.voice_from: "+15005550006"`'
    if name in ("whatsapp", "rcs") and getattr(section, name) is None:
        return f"`{name}` needs a sender", f"add `sms.{name}` with `from` (docs/sms.md)"
    return None


def _calling(section: SmsTwilio) -> bool:
    sender = section.senders.get(DEFAULT) or section.from_ or ""
    return bool(section.voice_from or sender.startswith("+"))


def lookup(config: Config) -> Iterator[Finding]:
    """Find rules on lookups that nothing is asked for."""
    section = config.sms
    if not isinstance(section, SmsTwilio | SmsTwilioVerify):
        return
    given = section.lookup
    needs = {
        "on_voip": "line_type",
        "on_sim_swap": "sim_swap",
        "sim_swap_within": "sim_swap",
        "sim_swap_kept": "sim_swap",
        "on_reassigned": "reassigned",
        "on_pumping_risk": "pumping_risk",
        "pumping_score": "pumping_risk",
    }
    for key, package in needs.items():
        if key in given.model_fields_set and not getattr(given, package):
            problem = f"has no effect without `{package}: true`"
            yield Finding(("sms", "lookup", key), problem, f"add `{package}: true` beside it, or remove it")


SMS_CHECKS: tuple[tuple[frozenset[str], Check], ...] = tuple(
    (frozenset({"sms"}), check) for check in (senders, channels, lookup)
)
