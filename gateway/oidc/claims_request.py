"""Reads the parameter `claims`, by which an app asks for single claims (OpenID Connect Core §5.5). Pure.

What the app may not have, and what nobody knows, is left out and no error, as §5.5 wants it.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gateway.oidc.session_names import ACR_VALUES

_LONGEST = 4096
_MOST = 50
_UNMEETABLE = "unknown"
PLACES = ("userinfo", "id_token")


class BadClaims(ValueError):
    """The parameter is not what OpenID Connect Core §5.5 describes; the text says why."""


@dataclass(frozen=True, slots=True)
class AskedClaims:
    """What an app asks for.

    Attributes:
        userinfo, id_token: facts about the user that it wants there.
        acr: contexts of the sign-in that it would like, best first.
        acr_needed: contexts of which one is a must; one that nobody can meet where it names none that we know.
        subjects: users of whom one must be signed in; empty: anybody.
        tell_time: it wants to know when the user proved something.
    """

    userinfo: tuple[str, ...] = ()
    id_token: tuple[str, ...] = ()
    acr: tuple[str, ...] = ()
    acr_needed: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    tell_time: bool = False


def read_claims(text: str, askable: Collection[str]) -> AskedClaims:
    """Read the parameter; `askable` are the claims that the app may have. Raises BadClaims."""
    if not text:
        return AskedClaims()
    members = _members(text)
    wanted = {place: tuple(name for name in members[place] if name in askable) for place in PLACES}
    in_token = members["id_token"]
    acr = tuple(value for value in _values(in_token.get("acr")) if value in ACR_VALUES)
    must = "acr" in in_token and bool(in_token["acr"].get("essential")) and bool(_values(in_token["acr"]))
    return AskedClaims(
        userinfo=wanted["userinfo"],
        id_token=wanted["id_token"],
        acr=acr,
        acr_needed=(acr or (_UNMEETABLE,)) if must else (),
        subjects=_values(in_token.get("sub")),
        tell_time="auth_time" in in_token,
    )


def _members(text: str) -> dict[str, dict[str, Mapping[str, object]]]:
    """The claims asked for in each place, with what is said of each."""
    if len(text) > _LONGEST:
        raise BadClaims(f"claims has more than {_LONGEST} characters")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        raise BadClaims("claims is no JSON") from None
    if not isinstance(parsed, dict):
        raise BadClaims("claims is no JSON object")
    members: dict[str, dict[str, Mapping[str, object]]] = {}
    for place in PLACES:
        asked = parsed.get(place)
        if asked is not None and not isinstance(asked, dict):
            raise BadClaims(f"claims: {place} is no JSON object")
        members[place] = {name: _said(name, value) for name, value in (asked or {}).items()}
    if sum(map(len, members.values())) > _MOST:
        raise BadClaims(f"claims asks for more than {_MOST}")
    return members


def _said(name: str, value: object) -> Mapping[str, object]:
    """`null` asks in the usual way (§5.5.1)."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not isinstance(value.get("essential", False), bool):
        raise BadClaims(
            f"claims: {name[:50]} is neither null nor a JSON object with essential, value or values"
        )
    return value


def _values(said: Mapping[str, object] | None) -> tuple[str, ...]:
    """`value` or `values` (§5.5.1), as far as they are text. Raises BadClaims for values that are no list."""
    if said is None:
        return ()
    several = said.get("values", ())
    if not isinstance(several, list | tuple):
        raise BadClaims("claims: values is no JSON array")
    given = [said["value"]] if "value" in said else several
    return tuple(one for one in given if isinstance(one, str))
