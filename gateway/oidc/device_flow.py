"""The device flow (RFC 8628): a television shows a short code, its owner types it in where they can sign in.

Both codes are kept as digests. Only the short one could be guessed, so typing it in is limited for each user and
network.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from gateway.oidc.clients import Client
from gateway.oidc.errors import OAuthError
from gateway.rate_limits import Budget, RateLimits
from gateway.stores.protocols.ledger import Ledger

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL = 5
"""Seconds between two questions of a device (RFC 8628 §3.2)."""
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 §6.1: no vowels, so no words; 20^8 codes
DEVICE_CODES_PER_USER = Budget(name="oidc-device-user", limit=10, window=900, about="user")
DEVICE_CODES_PER_IP = Budget(name="oidc-device-ip", limit=20, window=900, about="address")
DEVICE_STARTS_PER_IP = Budget(name="oidc-device-start", limit=60, window=600, about="address")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A device that waits for its owner. `slot` is where its record is in the ledger; `ends` a Unix time."""

    slot: str
    client_id: str
    scopes: tuple[str, ...]
    ends: float


class DeviceFlow:
    """The devices that wait, in the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        limits: RateLimits,
        clock: Callable[[], float],
        *,
        token: Callable[[], str] = secrets.token_urlsafe,
        choose: Callable[[str], str] = secrets.choice,
    ) -> None:
        self._ledger, self._limits, self._clock = ledger, limits, clock
        self._token, self._choose = token, choose

    async def start(self, app: Client, scopes: tuple[str, ...], network: str) -> tuple[str, str]:
        """Return a device code and a user code (RFC 8628 §3.2). Raises TooManyAttempts."""
        await self._limits.spend(DEVICE_STARTS_PER_IP, network)
        device = self._token()
        letters = "".join(self._choose(_LETTERS) for _ in range(8))
        # Two codes (RFC 8628 §3.2): the long one stays in the device and fetches the tokens, the short one is for the
        # owner to type and fetches nothing.
        life = app.settings.lifetimes.device
        record = {"client": app.id, "scopes": scopes, "ends": self._clock() + life, "state": "pending"}
        await self._ledger.put(_device_slot(device), json.dumps(record).encode(), life)
        await self._ledger.put(_user_slot(letters), _device_slot(device).encode(), life)
        return device, f"{letters[:4]}-{letters[4:]}"

    async def find(self, typed: str, username: str, network: str) -> Waiting | None:
        """Return the device behind a code that a user typed in. Raises TooManyAttempts."""
        await self._limits.check(DEVICE_CODES_PER_USER, username)
        await self._limits.check(DEVICE_CODES_PER_IP, network)
        letters = "".join(letter for letter in typed.upper() if letter.isalpha())[:40]
        slot = await self._ledger.get(_user_slot(letters))
        found = await self._waiting(slot.decode()) if slot else None
        if found is None:
            await self._limits.spend(DEVICE_CODES_PER_USER, username)
            await self._limits.spend(DEVICE_CODES_PER_IP, network)
        return found

    async def settle(self, typed: str, waiting: Waiting, grant: str) -> bool:
        """Tell the device yes (the id of a grant) or no (""); of several answers the first one counts."""
        letters = "".join(letter for letter in typed.upper() if letter.isalpha())[:40]
        # Taken, so that the code is answered once; and it must still lead to the device that its owner was shown.
        slot = await self._ledger.take(_user_slot(letters))
        left = waiting.ends - self._clock()
        if slot is None or slot.decode() != waiting.slot or left <= 0:
            return False
        record = {"client": waiting.client_id, "ends": waiting.ends, "grant": grant}
        record["state"] = "approved" if grant else "denied"
        await self._ledger.put(waiting.slot, json.dumps(record).encode(), left)
        return True

    async def collect(self, app: Client, device: str) -> str:
        """Return the grant that the owner gave; exactly one call gets it. Raises OAuthError (RFC 8628 §3.5)."""
        slot = _device_slot(device)
        found = await self._ledger.get(slot)
        record = json.loads(found) if found else None
        if record is None:
            raise OAuthError("expired_token", "the device code is unknown, used or expired")
        # An app may only collect what its own device asked for (RFC 6749 §5.2, invalid_grant).
        if record["client"] != app.id:
            raise OAuthError("invalid_grant", "the device code was issued to another client")
        if record["state"] == "pending":
            await self._pace(slot, record["ends"] - self._clock())
            raise OAuthError("authorization_pending")
        if await self._ledger.take(slot) is None:
            raise OAuthError("expired_token", "the device code is used")
        if record["state"] != "approved":
            raise OAuthError("access_denied", "the user refused")
        return str(record["grant"])

    async def _pace(self, slot: str, left: float) -> None:
        """Answer slow_down to a device that asks too often (RFC 8628 §3.5): each makes its interval five seconds
        longer.

        Devices are told apart by their code, so one that hurries does not slow another one down.
        """
        slowed, _ = await self._ledger.count(f"{slot}:slow")
        if await self._ledger.claim_once(f"{slot}:poll", _pause(slowed)):
            return
        slowed = await self._ledger.hit(f"{slot}:slow", max(left, 1.0))
        await self._ledger.delete(f"{slot}:poll")
        await self._ledger.claim_once(f"{slot}:poll", _pause(slowed))
        raise OAuthError("slow_down")

    async def _waiting(self, slot: str) -> Waiting | None:
        found = await self._ledger.get(slot)
        record = json.loads(found) if found else None
        if record is None or record["state"] != "pending":
            return None
        return Waiting(
            slot=slot, client_id=record["client"], scopes=tuple(record["scopes"]), ends=record["ends"]
        )


def _pause(slowed: int) -> float:
    """Half a second less than the interval, since the network delays one call more than the next."""
    return INTERVAL * (1 + slowed) - 0.5


def _device_slot(device: str) -> str:
    return f"oidc:device:{sha256(device[:200].encode(errors='surrogatepass')).hexdigest()}"


def _user_slot(letters: str) -> str:
    return f"oidc:user-code:{sha256(letters.encode()).hexdigest()}"
