"""Describes scopes on the pages that ask users about them."""

from collections.abc import Mapping, Sequence

from gateway.i18n.text import N_

_WORDS = {
    "openid": N_("Know who you are"),
    "profile": N_("See your name and username"),
    "email": N_("See your mail address"),
    "phone": N_("See your phone number"),
    "groups": N_("See which groups you are in"),
    "offline_access": N_("Keep its access while you are away"),
}


def described(scopes: Sequence[str], own: Mapping[str, str]) -> list[str]:
    """Return a sentence for each scope; `own` are those of the configuration. Unknown ones are shown as they are."""
    return [own.get(scope) or _WORDS.get(scope) or scope for scope in scopes]
