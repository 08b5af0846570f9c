"""Assesses sign-ins: gathers signals, notes each in the audit log, tells the user, and returns what must follow.

Places are learnt only from sign-ins that asked nothing more, or once a second factor was proven: whoever has just a
password can't make an unusual place a usual one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from ipaddress import IPv4Address, ip_network
from math import asin, cos, radians, sin, sqrt

from gateway.authn.risk.geo import Geo, Location
from gateway.clock import Clock
from gateway.config.schema import Config, Risk, RiskAction
from gateway.errors import RequestRefused
from gateway.i18n.text import N_, Text, joined
from gateway.messaging.notices import Notices
from gateway.model import IPAddress, User
from gateway.observability.audit import Audit
from gateway.stores.protocols.core import Place, Places

EARTH_RADIUS_KM = 6371.0
NEAR_KM = 100.0
"""Locations of addresses are no better than this; nobody travels impossibly within it."""

_SEVERITY: tuple[RiskAction, ...] = ("allow", "notify", "step_up", "deny")


@dataclass(frozen=True, slots=True)
class Signal:
    """One way in which a sign-in is unusual. `name` is its key under `risk` in the configuration; `data` goes into the
    audit log.
    """

    name: str
    data: Mapping[str, object]


def signals(here: Place, past: Sequence[Place], max_speed_kmh: float) -> tuple[Signal, ...]:
    """Return what differs from where the user signed in before (`past`, newest first). A first sign-in differs from
    nothing.

    `max_speed_kmh`: whoever was faster from the last place to this one can't have travelled (km/h).
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


WORDS = {
    "new_network": N_("It came from a network that we have not seen you use."),
    "new_device": N_("It came from a device or browser that we have not seen you use."),
    "new_country": N_("It came from a country that we have not seen you in."),
    "impossible_travel": N_(
        "It came from a place that you can hardly have travelled to since the last time."
    ),
}


_SAME_SIGN_IN = 120.0
"""Seconds from the first factor to the second for which a place needs no second writing."""
_MOST_LEARNT = 10_000


def _same(here: Place, learnt: Place) -> bool:
    return replace(here, seen_at=0.0) == replace(learnt, seen_at=0.0)


class TooUnusual(RequestRefused):
    """The sign-in is so unusual that it is refused. `risk` refuses sign-ins like this one. `signals` are the names of
    what was unusual.
    """

    status = 403
    public = N_("This sign-in is too unusual to be let through. Please ask your administrator.")

    def __init__(self, found: Sequence[Signal]) -> None:
        self.signals = tuple(signal.name for signal in found)
        why = joined([self.public, *(WORDS[name] for name in self.signals)])
        super().__init__("sign-in refused: " + ", ".join(self.signals), public=why)


class RiskWatch:
    """Judges sign-ins by how unusual they are. `account_url` is where users see and end their sessions."""

    def __init__(
        self,
        config: Risk,
        geo: Geo,
        places: Places,
        audit: Audit,
        notices: Notices,
        clock: Clock,
        *,
        account_url: str,
    ) -> None:
        self._config, self._geo, self._places = config, geo, places
        self._audit, self._notices, self._clock = audit, notices, clock
        self._account_url = account_url
        self._learnt: dict[str, Place] = {}
        """The newest place of those who signed in here of late: both steps of a sign-in learn the same one."""

    async def assess(
        self, user: User, address: IPAddress, user_agent: str, *, lang: str, known_device: bool = False
    ) -> RiskAction:
        """Return what must follow from where and with which browser `user` proved the first factor. Raises
        TooUnusual.
        """
        here = self._here(address, user_agent)
        past = await self._recent(user.username)
        found = signals(here, past, self._config.max_speed_kmh)
        if known_device:
            found = tuple(signal for signal in found if signal.name != "new_device")
        action = action_for(found, self._config)
        self._note(user, str(address), found, action, lang)
        if action == "deny":
            self._audit.record("login_refused", user.username, str(address), signals=[s.name for s in found])
            raise TooUnusual(found)
        if action != "step_up":
            await self._learn(user.username, here)
        return action

    async def settled(self, user: User, address: IPAddress, user_agent: str) -> None:
        """Learn the place, since a second factor was proven from there."""
        here = self._here(address, user_agent)
        learnt = self._learnt.get(user.username)
        if (
            learnt is None
            or not 0 <= here.seen_at - learnt.seen_at < _SAME_SIGN_IN
            or not _same(here, learnt)
        ):
            await self._learn(user.username, here)

    async def _learn(self, username: str, here: Place) -> None:
        await self._places.put(username, here)
        self._learnt.pop(username, None)
        self._learnt[username] = here
        if len(self._learnt) > _MOST_LEARNT:
            del self._learnt[next(iter(self._learnt))]

    async def _recent(self, username: str) -> list[Place]:
        since = self._clock() - self._config.remembered
        return [place for place in await self._places.of(username) if place.seen_at >= since]

    def _here(self, address: IPAddress, user_agent: str) -> Place:
        found = self._geo.locate(address) if self._geo.has_file else Location()
        return Place(
            network=network_of(address),
            device=device_of(user_agent),
            country=found.country,
            latitude=found.latitude,
            longitude=found.longitude,
            seen_at=self._clock(),
        )

    def _note(self, user: User, ip: str, found: Sequence[Signal], action: RiskAction, lang: str) -> None:
        for signal in found:
            own = getattr(self._config, signal.name)
            self._audit.record(
                "risk_signal", user.username, ip, signal=signal.name, action=own, **dict(signal.data)
            )
        if to_notify(found, self._config):
            brand = self._notices.brand
            text = _letter(brand, ip, found, action, self._account_url)
            subject = N_("%(brand)s: new sign-in", brand=brand)
            self._notices.mail(user.username, user.email, subject, text, about="unusual_sign_in", lang=lang)


_OUTCOMES = {
    "deny": N_("It was refused."),
    "step_up": N_("It needs a second factor before it gets any further."),
}


def _letter(brand: str, ip: str, found: Sequence[Signal], action: RiskAction, account_url: str) -> Text:
    what = [WORDS[signal.name] for signal in found]
    return N_(
        "Somebody just began to sign in to your account at %(brand)s (IP address %(ip)s).\n\n%(what)s\n\n"
        "If this was you, there is nothing to do.\n"
        "If not, somebody knows your password: change it and end that session now:\n%(link)s\n",
        brand=brand,
        ip=ip,
        what=joined([*what, _OUTCOMES[action]] if action in _OUTCOMES else what, "\n"),
        link=account_url,
    )


def build_watch(
    config: Config, geo: Geo, places: Places, audit: Audit, notices: Notices, clock: Clock
) -> RiskWatch:
    """Build the assessment from the `risk` section."""
    account = f"{config.server.pages_url}/account"
    return RiskWatch(
        config=config.risk,
        geo=geo,
        places=places,
        audit=audit,
        notices=notices,
        clock=clock,
        account_url=account,
    )
