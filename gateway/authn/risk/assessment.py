"""Assesses sign-ins: gathers signals, notes each in the audit log, tells the user, and returns what must follow.

Places are learnt only from sign-ins that asked nothing more, or once a second factor was proven: whoever has just a
password can't make an unusual place a usual one.
"""

from collections.abc import Sequence

from gateway.authn.risk.geo import Geo
from gateway.authn.risk.signals import Signal, action_for, device_of, network_of, signals, to_notify
from gateway.clock import Clock
from gateway.config.schema import Config, Risk, RiskAction
from gateway.errors import RequestRefused
from gateway.i18n.text import N_, Text, joined
from gateway.messaging.notices import Notices
from gateway.model import IPAddress, User
from gateway.observability.audit import Audit
from gateway.stores.protocols.core import Place, Places

WORDS = {
    "new_network": N_("It came from a network that we have not seen you use."),
    "new_device": N_("It came from a device or browser that we have not seen you use."),
    "new_country": N_("It came from a country that we have not seen you in."),
    "impossible_travel": N_(
        "It came from a place that you can hardly have travelled to since the last time."
    ),
}


class TooUnusual(RequestRefused):
    """`risk` refuses sign-ins like this one. `signals` are the names of what was unusual."""

    status = 403
    public = N_("This sign-in is too unusual to be let through. Please ask your administrator.")

    def __init__(self, found: Sequence[Signal]) -> None:
        self.signals = tuple(signal.name for signal in found)
        why = joined([self.public, *(WORDS[name] for name in self.signals)])
        super().__init__("sign-in refused: " + ", ".join(self.signals), public=why)


class RiskWatch:
    """`account_url` is where users see and end their sessions."""

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
            await self._places.put(user.username, here)
        return action

    async def settled(self, user: User, address: IPAddress, user_agent: str) -> None:
        """Learn the place, since a second factor was proven from there."""
        await self._places.put(user.username, self._here(address, user_agent))

    async def _recent(self, username: str) -> list[Place]:
        since = self._clock() - self._config.remembered
        return [place for place in await self._places.of(username) if place.seen_at >= since]

    def _here(self, address: IPAddress, user_agent: str) -> Place:
        found = self._geo.locate(address)
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
    account = f"{config.server.public_url}{config.server.prefix}/account"
    return RiskWatch(
        config=config.risk,
        geo=geo,
        places=places,
        audit=audit,
        notices=notices,
        clock=clock,
        account_url=account,
    )
