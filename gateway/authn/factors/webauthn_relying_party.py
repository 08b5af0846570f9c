"""The WebAuthn relying party: what security keys are asked, and the checks of what they answer. No storage here."""

import json
import logging
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from uuid import UUID

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import (
    aaguid_to_string,
    base64url_to_bytes,
    bytes_to_base64url,
    parse_attestation_object,
    parse_authentication_credential_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AttestationFormat,
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from gateway.authn.factors.attestation import KeyApproval, names_model
from gateway.model import User

log = logging.getLogger("gateway.webauthn")

# The library parses bytes from outside; beside its own errors these are what damaged CBOR and keys raise.
MALFORMED = (
    WebAuthnException,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RecursionError,
    struct.error,
)


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """A registered key. `handle` is the random name under which the key knows its user."""

    id: bytes
    public: bytes
    handle: bytes
    aaguid: bytes = b""
    """The model, as the key said; kept only where `webauthn.attestation` asks for it."""
    attested: bytes = b""
    """Not empty: the model's maker vouched for it."""

    def packed(self) -> bytes:
        """Return the key as it is stored. What is empty is left out: older code knows three fields."""
        fields = {"id": self.id, "public": self.public, "handle": self.handle}
        fields |= {name: value for name in ("aaguid", "attested") if (value := getattr(self, name))}
        return json.dumps({name: bytes_to_base64url(value) for name, value in fields.items()}).encode()

    @classmethod
    def unpacked(cls, data: bytes) -> "RegisteredKey":
        """Read a key as `packed` wrote it."""
        return cls(**{name: base64url_to_bytes(value) for name, value in json.loads(data).items()})


_CONVEYANCE = {False: AttestationConveyancePreference.NONE, True: AttestationConveyancePreference.DIRECT}


def model_of(made: VerifiedRegistration) -> bytes:
    """The AAGUID of a key that was just made."""
    return UUID(made.aaguid).bytes


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """What keys and browsers know us as. `id` is the domain that keys are bound to, `origin` the portal's own, `name`
    what browsers show.

    A key signs for any host below `id`, also for one that somebody else holds. So the origins are a list: `listed` by
    the operator, and `routed`, those of hosts that a route names, which count for sign-ins at that host alone.
    """

    id: str
    name: str
    origin: str
    listed: frozenset[str] = frozenset()
    routed: frozenset[str] = frozenset()
    approval: KeyApproval = field(default_factory=KeyApproval)
    """Which models of keys count."""

    @property
    def possible(self) -> bool:
        """Tell whether keys can be used: browsers bind them to domain names, never to addresses."""
        try:
            ip_address(self.id.strip("[]"))
        except ValueError:
            return bool(self.id)
        return False

    def origins(self, here: str) -> list[str]:
        """Return the origins that an answer may come from, on a page whose origin is `here`."""
        return [self.origin, *self.listed, *({here} & self.routed)]

    def registration(
        self, user: User, handle: bytes, challenge: bytes, known: Sequence[RegisteredKey]
    ) -> str:
        """Return options for navigator.credentials.create(), as JSON (WebAuthn §5.4)."""
        return options_to_json(
            generate_registration_options(
                rp_id=self.id,
                rp_name=self.name,
                user_id=handle,
                user_name=user.username,
                user_display_name=user.name or user.username,
                challenge=challenge,
                exclude_credentials=_descriptors(known),
                attestation=_CONVEYANCE[self.approval.any],
                # Preferred, not required: older security keys can store nothing and have no PIN, and are good second
                # factors all the same. What a passkey needs instead of a password is checked at each sign-in.
                authenticator_selection=AuthenticatorSelectionCriteria(
                    resident_key=ResidentKeyRequirement.PREFERRED,
                    user_verification=UserVerificationRequirement.PREFERRED,
                ),
            )
        )

    def authentication(self, challenge: bytes, known: Sequence[RegisteredKey], *, verified: bool) -> str:
        """Return options for navigator.credentials.get(), as JSON (WebAuthn §5.5); without `known` keys any passkey
        may answer.
        """
        need = UserVerificationRequirement.REQUIRED if verified else UserVerificationRequirement.PREFERRED
        return options_to_json(
            generate_authentication_options(
                rp_id=self.id,
                challenge=challenge,
                allow_credentials=_descriptors(known),
                user_verification=need,
            )
        )

    def registered(self, answer: str, challenge: bytes, here: str) -> VerifiedRegistration | None:
        """Verify a registration (WebAuthn §7.1); None if it is not for this challenge, origin and domain, or of a
        model that does not count.
        """
        try:
            response = parse_registration_credential_json(answer).response
            roots = self._roots(response.attestation_object)
            made = verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=self.origins(here),
                pem_root_certs_bytes_by_fmt=roots,
            )
            framed = _is_framed(response.client_data_json)
        except MALFORMED:
            return None
        if self.approval.any and not self.approval.approves(model_of(made), attested=bool(roots)):
            log.warning(
                "a key of model %s was not added: webauthn.attestation does not let it count", made.aaguid
            )
            return None
        return None if framed or not is_credential_id(made.credential_id) else made

    def _roots(self, attestation: bytes) -> dict[AttestationFormat, list[bytes]]:
        """The roots that must vouch for the key, {} where nobody has to. Raises ValueError if somebody must and nobody
        can.
        """
        roots = self._vouching(attestation)
        if not roots and self.approval.roots is not None and self.approval.required:
            raise ValueError("no certificate vouches for this key, or the metadata does not know its model")
        return roots

    def _vouching(self, attestation: bytes) -> dict[AttestationFormat, list[bytes]]:
        """The roots by which somebody vouches for the key, {} if nobody does. The signature is checked elsewhere."""
        made = parse_attestation_object(attestation)
        known, certificates = made.auth_data.attested_credential_data, made.att_stmt.x5c
        if known is None or not certificates or not names_model(certificates[0], known.aaguid):
            return {}
        roots = self.approval.roots_of(aaguid_to_string(known.aaguid))
        return {made.fmt: roots} if roots else {}

    def key(self, made: VerifiedRegistration, handle: bytes) -> RegisteredKey:
        """Return the key that `registered` let through, as it is to be stored.

        Where somebody vouches for it, `registered` has checked that they do.
        """
        vouched = self.approval.roots is not None and bool(self._vouching(made.attestation_object))
        return RegisteredKey(
            made.credential_id,
            made.credential_public_key,
            handle,
            aaguid=model_of(made) if self.approval.any else b"",
            attested=b"1" if vouched else b"",
        )

    def authenticated(
        self,
        answer: AuthenticationCredential,
        key: RegisteredKey,
        count: int,
        challenge: bytes,
        here: str,
        *,
        verified: bool,
    ) -> VerifiedAuthentication | None:
        """Verify an assertion (WebAuthn §7.2); None unless the key signed this challenge for our origin and domain.

        `count` is the signature counter that is known of the key (WebAuthn §6.1.1): a lower one betrays a copy.
        `verified`: the user must have been verified, by PIN or fingerprint.
        """
        try:
            if _is_framed(answer.response.client_data_json):
                return None
            return verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=self.origins(here),
                credential_public_key=key.public,
                credential_current_sign_count=count,
                require_user_verification=verified,
            )
        except MALFORMED:
            return None


def parse_answer(text: str) -> AuthenticationCredential | None:
    """Parse the JSON answer of a key, None if it is malformed."""
    try:
        answer = parse_authentication_credential_json(text)
    except MALFORMED:
        return None
    return answer if is_credential_id(answer.raw_id) else None


def is_credential_id(id: bytes) -> bool:
    """Tell whether this can be a credential id: 1 to 1023 bytes (WebAuthn §4, §7.1 step 25)."""
    return 0 < len(id) <= 1023


def _is_framed(client_data: bytes) -> bool:
    """WebAuthn §7.1 step 10, §7.2 step 14: whether another site had our page in a frame, which no page of ours allows.

    Raises ValueError for what is no JSON.
    """
    said = json.loads(client_data)
    return said.get("crossOrigin") not in (None, False) or "topOrigin" in said


def _descriptors(keys: Sequence[RegisteredKey]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=key.id) for key in keys]
