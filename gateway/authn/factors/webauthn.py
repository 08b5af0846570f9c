"""Security keys and passkeys (W3C WebAuthn Level 3). Phishing can't use them, since they sign for our origin only.

Each challenge is random, kept in the ledger and taken once. A key with a counter must count upwards; a copy of it is
noticed there. With its user verified (PIN, fingerprint) a passkey also stands for the password.
"""

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers.structs import CredentialDeviceType
from webauthn.registration.verify_registration_response import VerifiedRegistration

from gateway.authn.factors.base import Attempt, HeldAsCredential, Outcome, Prompt, Setup, given_name
from gateway.authn.factors.challenge import Tries
from gateway.authn.factors.preference import Preferences
from gateway.authn.factors.webauthn_relying_party import RegisteredKey, RelyingParty, parse_answer
from gateway.clock import Clock
from gateway.i18n.catalogues import language
from gateway.i18n.text import N_
from gateway.model import User
from gateway.policy.key_models import fits_model
from gateway.stores.protocols.core import Credential, Credentials
from gateway.stores.protocols.ledger import Ledger

_LIFETIME = 300.0
"""Seconds for which a challenge is good: somebody may have to fetch the key from another room."""
_BYTES = 32
"""Of a challenge, which needs 16 (WebAuthn §13.4.3), and of a user handle, which may have 64 (§5.4.3)."""


@dataclass(frozen=True, slots=True)
class _Used:
    username: str
    handle_matches: bool
    model: str
    """Of a key that its maker vouches for, else ""."""


class WebAuthnFactor(HeldAsCredential):
    """The factor `webauthn`, and sign-in with a passkey alone."""

    name = "webauthn"

    def __init__(
        self,
        credentials: Credentials,
        ledger: Ledger,
        clock: Clock,
        site: RelyingParty,
        notes: Preferences,
        *,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._credentials, self._ledger, self._clock = credentials, ledger, clock
        self._site, self._notes, self._random = site, notes, random
        self._tries = Tries(self.name, ledger)
        self._models: dict[str, str] = {}

    # -- as second factor ------------------------------------------------------------------------------------------

    async def begin(self, attempt: Attempt, *, again: bool = False) -> Prompt:
        challenge = await self._challenge(_slot(attempt))
        keys = await self._keys(attempt.user.username, attempt.key_models)
        return Prompt(options=self._site.authentication(challenge, keys, verified=False))

    async def verify(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        """Judge the answer of a key. The challenge is used up, whatever the answer is (WebAuthn §13.4.3)."""
        challenge = await self._ledger.take(_slot(attempt))
        if challenge is None:
            return Outcome.EXPIRED
        if await self._tries.spent(attempt):
            return Outcome.EXHAUSTED
        # As a second factor the key stands beside the password, so touching it is enough: `verified=False` asks for no
        # PIN.
        used = await self._use(form.get("credential", ""), challenge, attempt.origin, verified=False)
        if used is None or used.username != attempt.user.username:
            return Outcome.WRONG
        if attempt.key_models and not fits_model(used.model, attempt.key_models):
            return Outcome.WRONG
        self._models[attempt.sid] = used.model
        await self._tries.forget(attempt)
        return Outcome.RIGHT

    # -- instead of a password -------------------------------------------------------------------------------------

    async def passkey_begin(self, visitor: str) -> str:
        """Return options (JSON) for any passkey of ours, with its user verified; `visitor` is what the challenge is
        bound to.
        """
        return self._site.authentication(await self._challenge(_passkey_slot(visitor)), (), verified=True)

    async def passkey_finish(self, visitor: str, origin: str, answer: str) -> str | None:
        """Return the username whose passkey answered, with the user verified; None if none did."""
        challenge = await self._ledger.take(_passkey_slot(visitor))
        if challenge is None:
            return None
        used = await self._use(answer, challenge, origin, verified=True)
        # WebAuthn §7.2 step 6: nobody was named beforehand, so the key itself must name its user.
        if used is None or not used.handle_matches:
            return None
        self._models[visitor] = used.model
        return used.username

    def model_used(self, by: str) -> str:
        """Return the model of the key that was right a moment ago, "" if nobody vouches for it; tells it once.

        `by` is the session's id, or the visitor's token.
        """
        return self._models.pop(by, "")

    async def has_model(self, user: User, wanted: Collection[str]) -> bool:
        """Whether the user has a key of one of these models."""
        return bool(await self._keys(user.username, wanted))

    # -- adding one ------------------------------------------------------------------------------------------------

    async def enrol_begin(self, attempt: Attempt, form: Mapping[str, str]) -> Setup:
        # All keys of a user have the same handle: by it an authenticator knows that a new passkey is for an account
        # that it already has one for (§5.4.3), and the key names its user without telling the user's name to anybody.
        challenge = await self._challenge(_enrol_slot(attempt))
        known = await self._keys(attempt.user.username)
        handle = known[0].handle if known else await self._handle(attempt)
        return Setup(Prompt(options=self._site.registration(attempt.user, handle, challenge, known)))

    async def enrol_finish(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        challenge = await self._ledger.take(_enrol_slot(attempt))
        if challenge is None:
            return Outcome.EXPIRED
        made = self._site.registered(form.get("credential", ""), challenge, attempt.origin)
        # WebAuthn §7.1, the step about known credential ids: an id that is somebody's already would give two users one
        # key.
        if made is None or await self._credentials.get(_name(made.credential_id)) is not None:
            return Outcome.WRONG
        handle = await self._ledger.take(_handle_slot(attempt))
        if handle is None:
            known = await self._keys(attempt.user.username)
            handle = known[0].handle if known else self._random(_BYTES)
        now, key = self._clock(), self._site.key(made, handle)
        await self._credentials.add(
            Credential(
                id=_name(made.credential_id),
                username=attempt.user.username,
                kind=self.name,
                name=given_name(form, language(attempt.lang).text(N_("Security key or passkey"))),
                secret=key.packed(),
                created_at=now,
                last_used_at=now,
                counter=made.sign_count,
            )
        )
        self._models[attempt.sid] = self._model(key)
        await self._note_backup(attempt.user.username, _name(made.credential_id), made)
        return Outcome.RIGHT

    # -- shared ----------------------------------------------------------------------------------------------------

    async def _use(self, answer: str, challenge: bytes, origin: str, *, verified: bool) -> _Used | None:
        given = parse_answer(answer)
        stored = await self._credentials.get(_name(given.raw_id)) if given else None
        if given is None or stored is None or stored.kind != self.name:
            return None
        key = RegisteredKey.unpacked(stored.secret)
        if not self._site.approval.approves(key.aaguid, attested=bool(key.attested)):
            return None  # it was added before its model was asked for, or counts no more
        proof = self._site.authenticated(given, key, stored.counter, challenge, origin, verified=verified)
        if proof is None:
            return None
        # Synced passkeys don't count, they answer 0 for ever (WebAuthn §6.1.1). Those that count advance in one step.
        counts = proof.new_sign_count > 0
        if counts and not await self._credentials.advance(stored.id, proof.new_sign_count, self._clock()):
            return None
        await self._note_backup(stored.username, stored.id, proof)
        return _Used(stored.username, given.response.user_handle == key.handle, self._model(key))

    def _model(self, key: RegisteredKey) -> str:
        return self._site.approval.vouched(key.aaguid, attested=bool(key.attested))

    async def _note_backup(
        self, username: str, id: str, proof: VerifiedRegistration | VerifiedAuthentication
    ) -> None:
        """Remember what a key says of itself (WebAuthn §6.1.3, BE and BS): for its owner to see, it decides nothing."""
        state = "device"
        if proof.credential_device_type is CredentialDeviceType.MULTI_DEVICE:
            state = "synced" if proof.credential_backed_up else "eligible"
        if await self._notes.noted(username, backup_note(id)) != state:
            await self._notes.note(username, backup_note(id), state)

    async def _keys(self, username: str, models: Collection[str] = ()) -> Sequence[RegisteredKey]:
        """The user's keys, all of them or those of certain models."""
        stored = await self._credentials.list(username, self.name)
        keys = [RegisteredKey.unpacked(one.secret) for one in stored]
        return [key for key in keys if not models or fits_model(self._model(key), models)]

    async def _challenge(self, slot: str) -> bytes:
        """The running challenge, or a new one: a second tab must not void the first."""
        running = await self._ledger.get(slot)
        if running is None:
            running = self._random(_BYTES)
            await self._ledger.put(slot, running, _LIFETIME)
        return running

    async def _handle(self, attempt: Attempt) -> bytes:
        """A random name for a user's first key; it must be the same from begin to finish."""
        running = await self._ledger.get(_handle_slot(attempt))
        if running is None:
            running = self._random(_BYTES)
            await self._ledger.put(_handle_slot(attempt), running, 2 * _LIFETIME)
        return running


def backup_note(id: str) -> str:
    """Under which name it is kept whether a key is synced; `id` is the credential's."""
    return f"backup:{id[:24]}"


def _name(credential_id: bytes) -> str:
    """Credential ids may have 1023 bytes: the store's key is their digest."""
    return sha256(credential_id).hexdigest()


def _slot(attempt: Attempt) -> str:
    return f"challenge:webauthn:{attempt.user.username}:{attempt.sid}"


def _enrol_slot(attempt: Attempt) -> str:
    return f"enrol:webauthn:{attempt.user.username}:{attempt.sid}"


def _handle_slot(attempt: Attempt) -> str:
    return f"enrol:webauthn-handle:{attempt.user.username}:{attempt.sid}"


def _passkey_slot(visitor: str) -> str:
    return f"challenge:passkey:{visitor}"
