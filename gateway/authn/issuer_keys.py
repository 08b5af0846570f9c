"""The keys of an issuer whose tokens programs show: found by discovery, kept for an hour, read again when it changes
them.

Only keys of the issuer ever count: what a token says of its own key (`jwk`, `jku`, `x5u`, RFC 7515 §4.1) is not read.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from gateway.authn.federation.base import ProviderUnavailable
from gateway.authn.federation.http_client import ProviderHttp, PublicAddresses
from gateway.clock import Clock
from gateway.config.sections.foreign_jwt import ALGORITHMS, ForeignIssuer
from gateway.errors import GatewayError, StoreUnavailable

FRESH = 3600.0
"""Seconds for which keys count after they were read."""
AGAIN_AFTER = 30.0
"""Seconds between two tries to read them, whatever tokens come meanwhile."""
_SHORTEST_MODULUS = 342  # 2048 bits in base64url
_KINDS = (RSAKey, ECKey, OKPKey)
SigningKey = RSAKey | ECKey | OKPKey


class IssuerUnavailable(GatewayError):
    """The issuer's keys can't be had: nobody can tell whether its tokens are right, so none counts."""

    status = 503
    public = StoreUnavailable.public


class NotVerified(GatewayError):
    """No token of this issuer. `reason` is for the audit log: unreadable, algorithm, unknown_key or signature."""

    status = 401

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class IssuerKeys:
    """The keys of one issuer, as one worker knows them. `names` finds the addresses of other hosts that the issuer has
    its keys at.
    """

    def __init__(self, config: ForeignIssuer, clock: Clock, *, names: AbstractResolver | None = None) -> None:
        self._config, self._clock, self._names = config, clock, names
        self._http: ProviderHttp | None = None
        self._keys: Sequence[SigningKey] = ()
        self._read_at = self._tried_at = float("-inf")
        self._reading = asyncio.Lock()

    async def verified(self, token: str) -> tuple[Mapping[str, Any], str]:
        """Return the claims of a token that the issuer has signed, and by which algorithm.

        What the claims say is not judged here. Raises NotVerified and IssuerUnavailable.
        """
        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError, TypeError, RecursionError):
            raise NotVerified("unreadable") from None
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:  # never "none", never an HMAC of what everybody can read
            raise NotVerified("algorithm")
        key = await self._key(header.get("kid"))
        if key is None:
            raise NotVerified("unknown_key")
        try:
            decoded = jwt.decode(token, key, algorithms=[algorithm])
        except (JoseError, ValueError, TypeError, RecursionError):
            raise NotVerified("signature") from None
        return dict(decoded.claims), algorithm

    async def _key(self, kid: object) -> SigningKey | None:
        """The key that a token names; its only one if it names none. An unknown name may be that of a new key."""
        if self._is_fresh() and (found := self._find(kid)):
            return found
        async with self._reading:
            now = self._clock()
            if not (self._is_fresh() and self._find(kid)) and not 0 <= now - self._tried_at < AGAIN_AFTER:
                self._tried_at = now
                self._keys, self._read_at = await self._read(), now
        if not self._is_fresh():
            raise IssuerUnavailable(f"{self._config.issuer}: its keys could not be read a moment ago")
        return self._find(kid)

    def _is_fresh(self) -> bool:
        return 0 <= self._clock() - self._read_at < FRESH

    def _find(self, kid: object) -> SigningKey | None:
        if kid is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.get("kid") == kid), None)

    async def _read(self) -> Sequence[SigningKey]:
        config = self._config
        try:
            if config.jwks_file is not None:
                return _keys_of(json.loads(await asyncio.to_thread(config.jwks_file.read_bytes)))
            if self._http is None:
                self._http = ProviderHttp(config.issuer, tls=await asyncio.to_thread(self._tls))
            if config.jwks_url is not None:
                return _keys_of(await self._http.get(config.jwks_url, token=await self._shown()))
            return await self._discovered(self._http)
        except (ProviderUnavailable, OSError, ValueError, RecursionError) as error:
            raise IssuerUnavailable(f"{config.issuer}: its keys can't be read: {error}") from None

    async def _discovered(self, http: ProviderHttp) -> Sequence[SigningKey]:
        """The keys from where discovery says they are (OpenID Connect Discovery §4). Raises ValueError."""
        config = self._config
        where = f"{config.issuer.rstrip('/')}/.well-known/openid-configuration"
        found = await http.get(where, token=await self._shown())
        if not isinstance(found, dict) or found.get("issuer") != config.issuer:
            raise ValueError("discovery names another issuer")
        address = found.get("jwks_uri")
        if not isinstance(address, str) or not may_hold_keys(config.issuer, address):
            raise ValueError("discovery names keys at an address that is not taken")
        there, home = urlsplit(address), urlsplit(config.issuer)
        if there.hostname == home.hostname:
            # Another port may be another's: the token is for the issuer alone.
            same = (there.scheme, there.port) == (home.scheme, home.port)
            return _keys_of(await http.get(address, token=await self._shown() if same else ""))
        names = PublicAddresses(self._names or aiohttp.ThreadedResolver())  # the issuer chose it, nobody here
        other = ProviderHttp(config.issuer, tls=await asyncio.to_thread(self._tls), names=names)
        try:
            return _keys_of(await other.get(address))
        finally:
            await other.close()

    async def _shown(self) -> str:
        file = self._config.bearer_file
        return (await asyncio.to_thread(file.read_text)).strip() if file is not None else ""

    def _tls(self) -> ssl.SSLContext | None:
        file = self._config.ca_file
        return ssl.create_default_context(cafile=str(file)) if file is not None else None

    async def close(self) -> None:
        """Close the connections to the issuer."""
        if self._http is not None:
            await self._http.close()


def may_hold_keys(issuer: str, address: str) -> bool:
    """Whether discovery may send us to this address: https, and nothing inside our network that the issuer isn't.

    Google's keys are at another host than its issuer, so other names are taken.
    """
    try:
        there, home = urlsplit(address), urlsplit(issuer)
        if there.hostname is None or there.username is not None:
            return False
    except ValueError:
        return False
    if there.hostname == home.hostname:
        return there.scheme in ("https", home.scheme)
    return there.scheme == "https" and not _is_inside(there.hostname)


def _is_inside(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost") or "." not in host


def _keys_of(found: object) -> Sequence[SigningKey]:
    """The keys of a JWK set that can sign (RFC 7517 §5): kinds that we don't know are left out, as §5 wants.

    Raises ValueError for what is no set, and for one without any key that counts.
    """
    listed = found.get("keys") if isinstance(found, dict) and found.get("_status", 200) == 200 else None
    if not isinstance(listed, list):
        raise ValueError("no set of keys came")
    keys: list[SigningKey] = []
    for one in listed:
        if not isinstance(one, dict) or one.get("use", "sig") != "sig":
            continue
        if one.get("kty") not in ("RSA", "EC", "OKP") or _is_weak(one):
            continue
        try:
            key = JWKRegistry.import_key(one)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, _KINDS):
            keys.append(key)
    if not keys:
        raise ValueError("none of the keys can sign")
    return keys


def _is_weak(key: Mapping[str, Any]) -> bool:
    """Whether it is RSA with less than 2048 bits (RFC 7518 §3.3)."""
    return key["kty"] == "RSA" and len(str(key.get("n", ""))) < _SHORTEST_MODULUS
