"""What we ask an ACME authority (RFC 8555), and what went wrong, in words for the operator.

The `acme` library speaks the protocol. It waits while it does, so each call has a thread of its own, which holds up no
request, nor the end of a worker.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, TypeVar

import requests
from acme import challenges, client, errors, messages
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from josepy.interfaces import JSONDeSerializable
from josepy.json_util import field
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from gateway.config.sections.acme import Acme
from gateway.errors import GatewayError
from gateway.server.tls.acme.bundle import Bundle, signing_request
from gateway.server.tls.acme.threads import in_thread

logging.getLogger("acme").setLevel(logging.INFO)  # at DEBUG it shows what is sent, account bindings too
PATIENCE = 30
"""Seconds for one answer."""
_PROBLEMS = {
    "rateLimited": "wait: the next try keeps to what the authority asks",
    "caa": "allow this authority in the CAA records of the name",
    "dns": "see that the name has an address in the public DNS, and that it is ours",
    "connection": "see that port 80 of this name reaches this gateway from outside (or use dns_hook)",
    "unauthorized": "see that the name leads to this gateway and nothing else answers there (or use dns_hook)",
    "rejectedIdentifier": "remove the name: the authority does not sign it",
    "externalAccountRequired": "set server.tls.acme.external_account, as the authority tells its customers",
    "userActionRequired": "the terms of service have changed: read them, then agree at the authority",
}
_ELSE = "read what the authority says; the next try is made by itself"
_NONCES = 4
T = TypeVar("T")


class OrderFailed(GatewayError):
    """No certificate. `code` is the authority's problem type or "away"; `asked`: seconds to wait, if it says so."""

    def __init__(self, code: str, detail: str, asked: float | None = None) -> None:
        super().__init__(detail)
        self.code, self.asked = code, asked
        away = "see that this host reaches the authority (DNS, firewall, proxy); it may be down itself"
        self.mend = away if code == "away" else _PROBLEMS.get(code, _ELSE)


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that a name is ours.

    Args:
        host: the name, without a wildcard's "*.".
        token: under what the authority asks for it (http-01).
        value: what it must find: the key authorization, or for dns-01 the text of the record.
        authorization: where the authority says whether it has.
    """

    host: str
    token: str
    value: str
    authorization: str
    body: messages.ChallengeBody


@dataclass(frozen=True, slots=True)
class CertificateOrder:
    """An order under way: `url` says how it is, `finalize` takes the signing request."""

    url: str
    finalize: str
    proofs: tuple[Proof, ...]


class _NewOrder(messages.NewOrder):
    """With the certificate that it replaces, which spares it some rate limits (RFC 9773 §5)."""

    replaces: str | None = field("replaces", omitempty=True)


class Authority:
    """One account at one authority. Every method raises OrderFailed."""

    def __init__(
        self, section: Acme, *, account_key: str, account: str = "", now: Callable[[], float]
    ) -> None:
        """`account_key` is a PEM key; `account` its address at the authority, "" if it has none yet."""
        self._section, self._now = section, now
        self._key = JWKEC(key=load_pem_private_key(account_key.encode(), password=None))
        self._account = account
        self._client: client.ClientV2 | None = None
        self._asked: float | None = None

    async def register(self) -> str:
        """Return the address of our account, which is made if there is none."""
        return await self._call(self._register)

    async def order(self, hosts: Sequence[str], replaces: Bundle | None = None) -> CertificateOrder:
        """Order a certificate; of its proofs those that the authority has seen already are left out."""
        return await self._call(lambda: self._order(hosts, replaces))

    async def answer(self, proof: Proof) -> None:
        """Tell the authority that the proof is there."""
        await self._call(lambda: self._opened.answer_challenge(proof.body, proof.body.response(self._key)))

    async def proven(self, proof: Proof) -> bool:
        """Tell whether it has seen the proof; False while it looks."""
        return await self._call(lambda: self._proven(proof))

    async def finalize(self, order: CertificateOrder, key: str, hosts: Sequence[str]) -> None:
        """Ask for the certificate, all names being proven."""
        request = messages.CertificateRequest(csr=signing_request(key, hosts))
        await self._call(lambda: self._post(order.finalize, request))

    async def issued(self, order: CertificateOrder) -> str:
        """Return the certificate's chain (PEM); "" while the authority makes it."""
        return await self._call(lambda: self._issued(order))

    async def renewal_window(self, bundle: Bundle) -> tuple[tuple[float, float] | None, float | None]:
        """Return between which moments the authority wants it renewed, None if it has no opinion; and for how many
        seconds that holds, if it says (RFC 9773 §4).
        """
        return await self._call(lambda: self._renewal_window(bundle))

    # -- in a thread ------------------------------------------------------------------------------------------------

    async def _call(self, call: Callable[[], T]) -> T:
        return await in_thread(partial(self._patiently, call))

    def _patiently(self, call: Callable[[], T]) -> T:
        """An authority may refuse any nonce for no fault of ours (RFC 8555 §6.5); the library asks twice."""
        for _ in range(_NONCES):
            try:
                return self._explained(call)
            except OrderFailed as error:
                if error.code != "badNonce":
                    raise
        return self._explained(call)

    def _explained(self, call: Callable[[], T]) -> T:
        self._asked = None
        try:
            return call()
        except messages.Error as error:
            code = error.code or str(error.typ)[:80]
            raise OrderFailed(code, _words(error), self._asked) from None
        except OrderFailed:
            raise
        except requests.JSONDecodeError:
            raise self._malformed("half an answer") from None
        except OSError as error:  # those of `requests` are, too
            cause = str(error.__cause__ or error.__context__ or error)[:200]
            raise OrderFailed("away", f"{self._section.directory} can't be reached: {cause}") from None
        except Exception as error:  # the library trips over what is no ACME in many ways
            raise self._malformed(str(error)) from None

    def _malformed(self, cause: str) -> OrderFailed:
        detail = f"{self._section.directory} gave no answer that ACME knows: {cause[:200]}"
        return OrderFailed("malformed", detail, self._asked)

    @property
    def _opened(self) -> client.ClientV2:
        if self._client is None:
            account = _account_at(self._account)
            verify: Any = str(self._section.ca_file) if self._section.ca_file else True
            net = client.ClientNetwork(
                self._key,
                account if self._account else None,
                alg=ES256,
                verify_ssl=verify,
                user_agent="auth-gateway",
                timeout=PATIENCE,
            )
            net.session.hooks["response"].append(self._hear)
            self._client = client.ClientV2(client.ClientV2.get_directory(self._section.directory, net), net)
        return self._client

    def _hear(self, response: requests.Response, **_: object) -> None:
        """Note Retry-After (RFC 9110 §10.2.3), which the library's errors don't carry."""
        self._asked = _seconds(response.headers.get("Retry-After", ""), self._now())

    def _post(self, url: str, body: JSONDeSerializable | None = None) -> requests.Response:
        """POST, or "POST-as-GET" without a body (RFC 8555 §6.3)."""
        acme = self._opened
        return acme.net.post(url, body, new_nonce_url=acme.directory["newNonce"])

    def _register(self) -> str:
        acme, binding = self._opened, None
        if (given := self._section.external_account) is not None:
            secret = given.key.get_secret_value()
            binding = messages.ExternalAccountBinding.from_data(
                self._key.public_key(), given.key_id, secret, acme.directory
            )
        wanted = messages.NewRegistration.from_data(
            email=self._section.email, terms_of_service_agreed=True, external_account_binding=binding
        )
        try:
            account = acme.new_account(wanted)
        except errors.ConflictError as there:  # this key has an account
            account = _account_at(there.location)
        acme.net.account = account
        self._account = str(account.uri)
        return self._account

    def _order(self, hosts: Sequence[str], replaces: Bundle | None) -> CertificateOrder:
        names = [messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=host) for host in hosts]
        before = replaces.renewal_id if replaces is not None and self._knows_renewals else ""
        url = self._opened.directory["newOrder"]
        try:
            response = self._post(url, _NewOrder(identifiers=names, replaces=before or None))
        except errors.ConflictError:  # RFC 9773 §5: another order has replaced it already
            response = self._post(url, _NewOrder(identifiers=names))
        body = messages.Order.from_json(response.json())
        proofs = [self._proof(one) for one in body.authorizations]
        return CertificateOrder(
            url=response.headers["Location"],
            finalize=body.finalize,
            proofs=tuple(proof for proof in proofs if proof is not None),
        )

    def _proof(self, url: str) -> Proof | None:
        found = messages.Authorization.from_json(self._post(url).json())
        if found.status == messages.STATUS_VALID:
            return None
        kind = challenges.DNS01 if self._section.dns_hook else challenges.HTTP01
        for one in found.challenges:
            if isinstance(one.chall, kind):
                host, token = found.identifier.value, one.chall.encode("token")
                value = one.chall.validation(self._key)
                return Proof(host=host, token=token, value=value, authorization=url, body=one)
        raise OrderFailed("unsupported", f"{found.identifier.value} can't be proven by {kind.typ} there")

    def _proven(self, proof: Proof) -> bool:
        found = messages.Authorization.from_json(self._post(proof.authorization).json())
        if found.status in (messages.STATUS_PENDING, messages.STATUS_PROCESSING):
            return False
        if found.status == messages.STATUS_VALID:
            return True
        for one in found.challenges:
            if one.error is not None:
                words = f"{proof.host}: {_words(one.error)}"
                raise OrderFailed(one.error.code or "unauthorized", words)
        raise OrderFailed("unauthorized", f"{proof.host}: the authority found no proof ({found.status.name})")

    def _issued(self, order: CertificateOrder) -> str:
        found = messages.Order.from_json(self._post(order.url).json())
        if found.status == messages.STATUS_INVALID:
            words = _words(found.error) if found.error is not None else "the order was refused"
            raise OrderFailed("invalid", words)
        if found.status != messages.STATUS_VALID or not found.certificate:
            return ""
        return self._post(found.certificate).text

    @property
    def _knows_renewals(self) -> bool:
        return "renewalInfo" in self._opened.directory.to_partial_json()

    def _renewal_window(self, bundle: Bundle) -> tuple[tuple[float, float] | None, float | None]:
        acme, name = self._opened, bundle.renewal_id
        if not name or not self._knows_renewals:
            return None, None
        answer = acme.net.get(f"{str(acme.directory['renewalInfo']).rstrip('/')}/{name}")
        asked = self._asked
        window = messages.RenewalInfo.from_json(answer.json()).suggested_window
        start, end = window.start.timestamp(), window.end.timestamp()
        return ((start, end) if start < end else None), asked  # RFC 9773 §4.2: else as if there were none


def _account_at(url: str) -> messages.RegistrationResource:
    return messages.RegistrationResource(uri=url, body=messages.Registration())


def _words(error: messages.Error) -> str:
    """What the authority says, with what it says of each name."""
    said = [error.detail or error.title or str(error.typ)]
    for one in error.subproblems or ():
        of = f"{one.identifier.value}: " if one.identifier is not None else ""
        said.append(f"{of}{one.detail or one.title or one.typ}")
    text = "; ".join(said)
    return "".join(char if char.isprintable() else " " for char in text)[:500]


def _seconds(retry_after: str, now: float) -> float | None:
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return max(0.0, parsedate_to_datetime(retry_after).replace(tzinfo=UTC).timestamp() - now)
    except (ValueError, TypeError):
        return None
