"""When a certificate is renewed, and when an order that failed is tried again. Pure."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from gateway.server.tls.acme.bundle import Bundle

_PAUSES = (60.0, 600.0, 3600.0, 3 * 3600.0, 6 * 3600.0)
"""Seconds before an order is tried again, by how often it failed. Let's Encrypt bears five failures an hour."""
_BETWEEN = 600.0
"""Seconds between a certificate and the next one that is ordered only because other names are wanted."""
_LONGEST_ASKED = 7 * 86400.0
_SOONEST_LOOK, _LATEST_LOOK = 60.0, 86400.0
LOOK_AGAIN = 6 * 3600.0
"""Seconds until the authority is asked again when to renew, where it does not say (RFC 9773 §4.3.3)."""


@dataclass(frozen=True, slots=True)
class RenewalState:
    """What all replicas know of renewals.

    Args:
        serial: of the certificate that `draw`, `window` and `look_at` are about.
        draw: a number in [0, 1) that spreads renewals.
        window: between which moments the authority wants it renewed (RFC 9773 §4.2); None if it did not say.
        look_at: when to ask it again.
        failures: how often an order failed in a row.
        retry_at: when it may be tried again.
        limited: whether the authority itself said so.
        hosts: for which names it was tried.
        cause: why it failed.
        failed_at: when.
        ordered_at: when the certificate was got.
    """

    serial: str = ""
    draw: float = 0.5
    window: tuple[float, float] | None = None
    look_at: float = 0.0
    failures: int = 0
    retry_at: float = 0.0
    limited: bool = False
    hosts: tuple[str, ...] = ()
    cause: str = ""
    failed_at: float = 0.0
    ordered_at: float = 0.0

    @classmethod
    def parse(cls, text: bytes | None) -> "RenewalState":
        """Read what `dump` wrote; what can't be read is a state in which nothing is known."""
        try:
            found = json.loads(text) if text else {}
            window = found.get("window")
            found["window"] = (float(window[0]), float(window[1])) if window else None
            found["hosts"] = tuple(found.get("hosts", ()))
            return cls(**found)
        except (ValueError, TypeError, AttributeError, LookupError):
            return cls()

    def dump(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    def failed(
        self, hosts: Sequence[str], now: float, *, cause: str, asked: float | None, draw: float
    ) -> "RenewalState":
        """Return the state after an order failed; `asked` is for how many seconds the authority wants us to wait, and
        `draw`, in [0, 1), spreads the next tries.
        """
        pause = _PAUSES[min(self.failures, len(_PAUSES) - 1)] * (0.75 + draw / 2)
        return replace(
            self,
            failures=self.failures + 1,
            retry_at=now + max(pause, min(asked or 0.0, _LONGEST_ASKED)),
            limited=asked is not None,
            hosts=tuple(hosts),
            cause=cause,
            failed_at=now,
        )

    def looked(
        self, bundle: Bundle, now: float, window: tuple[float, float] | None, *, again: float, draw: float
    ) -> "RenewalState":
        """Return the state after the authority was asked when to renew; it is asked `again` in so many seconds, and
        `draw`, in [0, 1), says where in the window.
        """
        known = self.serial == bundle.serial
        pause = min(max(again, _SOONEST_LOOK), _LATEST_LOOK)
        return replace(
            self,
            serial=bundle.serial,
            draw=self.draw if known else draw,
            window=window,
            look_at=now + pause,
        )

    def must_look(self, bundle: Bundle | None, now: float) -> bool:
        """Tell whether the authority is to be asked when to renew. Not once it has ended (RFC 9773 §4.3)."""
        if bundle is None or now >= bundle.not_after:
            return False
        return self.serial != bundle.serial or now >= self.look_at

    def must_order(
        self, bundle: Bundle | None, hosts: Sequence[str], now: float, wanted_at: float = 0.0
    ) -> bool:
        """Tell whether a certificate is to be ordered now. `wanted_at` is when an operator asked for one: that counts
        until it is there, or could not be had.
        """
        if wanted_at > max(self.ordered_at, self.failed_at):
            return True
        changed = self.failures > 0 and not self.limited and set(hosts) != set(self.hosts)
        if now < self.retry_at and not changed:
            return False
        if bundle is None or now >= self.renew_at(bundle):
            return True
        # Replicas that name different hosts must not order in turn without a pause.
        return not bundle.is_for(hosts) and now >= self.ordered_at + _BETWEEN

    def renew_at(self, bundle: Bundle) -> float:
        """Return when to renew: in the authority's window, else with a third of its life left, or a little earlier."""
        if self.serial != bundle.serial or self.window is None:
            draw = self.draw if self.serial == bundle.serial else 0.0
            return bundle.not_after - bundle.lifetime * (1 / 3 + draw / 20)
        start, end = self.window
        # No window keeps us from renewing before the end.
        return min(start + self.draw * (end - start), bundle.not_after - bundle.lifetime / 10)


def is_overdue(bundle: Bundle | None, now: float) -> bool:
    """Tell whether somebody should look: less than a sixth of its life is left, or there is none."""
    return bundle is None or bundle.not_after - now < bundle.lifetime / 6
