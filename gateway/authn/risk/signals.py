"""Compares a sign-in with earlier ones and says what is unusual and what to do about it. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, ip_network
from math import asin, cos, radians, sin, sqrt

from gateway.config.schema import Risk, RiskAction
from gateway.model import IPAddress
from gateway.stores.protocols.core import Place

EARTH_RADIUS_KM = 6371.0
NEAR_KM = 100.0
"""Locations of addresses are no better than this; nobody travels impossibly within it."""

_SEVERITY: tuple[RiskAction, ...] = ("allow", "notify", "step_up", "deny")


@dataclass(frozen=True, slots=True)
class Signal:
    """`name` is its key under `risk` in the configuration; `data` goes into the audit log."""

    name: str
    data: Mapping[str, object]


def signals(here: Place, past: Sequence[Place], max_speed_kmh: float) -> tuple[Signal, ...]:
    """Return what differs from where the user signed in before (`past`, newest first). A first sign-in differs from
    nothing.
    """
    if not past:
        return ()
    found = [_new_network(here, past), _new_device(here, past), _new_country(here, past)]
    found.append(_impossible_travel(here, past, max_speed_kmh))
    return tuple(signal for signal in found if signal is not None)


def action_for(found: Sequence[Signal], config: Risk) -> RiskAction:
    """Return the severest action that the configuration has for these signals."""
    return max((_configured(signal, config) for signal in found), key=_SEVERITY.index, default="allow")


def to_notify(found: Sequence[Signal], config: Risk) -> bool:
    """Tell whether the user should be told: of everything that is not plainly allowed."""
    return any(_configured(signal, config) != "allow" for signal in found)


def _configured(signal: Signal, config: Risk) -> RiskAction:
    action: RiskAction = getattr(config, signal.name)
    return action


def _new_network(here: Place, past: Sequence[Place]) -> Signal | None:
    if any(place.network == here.network for place in past):
        return None
    return Signal("new_network", {"network": here.network, "before": past[0].network})


def _new_device(here: Place, past: Sequence[Place]) -> Signal | None:
    if any(place.device == here.device for place in past):
        return None
    return Signal("new_device", {"device": here.device[:8]})


def _new_country(here: Place, past: Sequence[Place]) -> Signal | None:
    known = {place.country for place in past if place.country}
    if not here.country or not known or here.country in known:
        return None
    return Signal("new_country", {"country": here.country, "known": sorted(known)})


def _impossible_travel(here: Place, past: Sequence[Place], max_speed_kmh: float) -> Signal | None:
    located = [place for place in past if place.latitude is not None]
    if here.latitude is None or not located:
        return None
    distance = kilometres(here, located[0])
    hours = max(here.seen_at - located[0].seen_at, 1.0) / 3600
    if distance <= NEAR_KM or distance / hours <= max_speed_kmh:
        return None
    data = {"km": round(distance), "hours": round(hours, 2), "from": located[0].country, "to": here.country}
    return Signal("impossible_travel", data)


def kilometres(one: Place, other: Place) -> float:
    """Return the great-circle distance of two places (haversine); both must have coordinates."""
    assert one.latitude is not None
    assert one.longitude is not None
    assert other.latitude is not None
    assert other.longitude is not None
    first, second = radians(one.latitude), radians(other.latitude)
    north, east = second - first, radians(other.longitude - one.longitude)
    chord = sin(north / 2) ** 2 + cos(first) * cos(second) * sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(sqrt(min(1.0, chord)))


def network_of(address: IPAddress) -> str:
    """Return the block that one connection's addresses stay in: /24, or a customer's /48 of IPv6."""
    return str(ip_network((address, 24 if isinstance(address, IPv4Address) else 48), strict=False))


def device_of(user_agent: str) -> str:
    """Return a digest of the kind of browser. Version numbers are left out: updates don't make a new device."""
    return sha256(re.sub(r"[\d._]+", "", user_agent).encode()).hexdigest()
