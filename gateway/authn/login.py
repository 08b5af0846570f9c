"""The login without HTTP: prove a password, prove a second factor, and say what is still missing.

Views translate forms into calls and results into pages. Whatever fails in here leaves nobody signed in.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from gateway.authn.factors.base import Factor, Outcome, Prompt, Resend
from gateway.authn.factors.preference import Preferences
from gateway.authn.factors.sms_migration import SmsMigrationPlan
from gateway.authn.factors.webauthn import WebAuthnFactor
from gateway.authn.login_origin import LoginOrigin
from gateway.authn.missing_proof import MissingProof, OwnPages
from gateway.authn.password_check import PasswordCheck, as_counted
from gateway.authn.remembered_devices import RememberedDevices
from gateway.authn.risk.assessment import RiskWatch
from gateway.directory.base import Directory
from gateway.errors import SendFailed, TooManyAttempts
from gateway.model import Principal, SessionRecord, Target, User
from gateway.observability import metrics
from gateway.observability.audit import Audit
from gateway.policy.decide import DEVICE, EMAIL_LINK, UPSTREAM_MFA, Routes
from gateway.rate_limits import CODE_FAILURES, CODES_PER_USER, RateLimits
from gateway.session import Sessions
from gateway.stores.protocols.core import Device

USER_VERIFIED = "user_verification"
"""What a passkey proves beside being there: it knows its user by PIN or fingerprint."""


class SignIn(MissingProof):
    """The steps of a sign-in, one per worker."""

    def __init__(
        self,
        directory: Directory,
        sessions: Sessions,
        factors: Mapping[str, Factor],
        limits: RateLimits,
        audit: Audit,
        routes: Routes,
        devices: RememberedDevices,
        risk: RiskWatch,
        own: OwnPages,
        meant: Callable[[Target], Target],
        preferences: Preferences,
        passwords: PasswordCheck,
        sms_plan: SmsMigrationPlan,
    ) -> None:
        super().__init__(
            factors=factors,
            sessions=sessions,
            routes=routes,
            own=own,
            meant=meant,
            preferences=preferences,
            sms_plan=sms_plan,
        )
        self._directory, self._limits, self._audit = directory, limits, audit
        self._devices, self._risk, self._passwords = devices, risk, passwords

    # -- first factor ----------------------------------------------------------------------------------------------

    async def password(
        self, client: LoginOrigin, username: str, password: str, before: Principal | None
    ) -> Principal | None:
        """Start a session if the password is right, else return None. Raises TooManyAttempts and TooUnusual."""
        username = await self._passwords.meant(username)
        device = await self.own_device(client, username)
        user = await self._passwords.check(username, password, client.ip, door="login", device=device)
        metrics.sign_ins.labels("password", "wrong" if user is None else "right").inc()
        return await self._let_in(client, user, before) if user else None

    async def own_device(self, client: LoginOrigin, username: str) -> str:
        """The remembered device of this very user that asks, "" if it is none. Strangers cost no look into a store."""
        if self._devices.cookie_name not in client.cookies:
            return ""
        name = as_counted(username)
        user = await self._directory.get(name) if self._devices.current(client.cookies, name) else None
        device = await self._device(client, user) if user else None
        return device.id if device else ""

    async def _device(self, client: LoginOrigin, user: User) -> Device | None:
        """The remembered device that asks, if it is this user's; most browsers have no cookie of one."""
        has_cookie = self._devices.cookie_name in client.cookies
        return await self._devices.recognise(client.cookies, user) if has_cookie else None

    async def federated(
        self,
        client: LoginOrigin,
        user: User,
        before: Principal | None,
        *,
        mfa: bool,
        groups: tuple[str, ...] = (),
    ) -> Principal:
        """Start a session for a user whom a provider vouches for; `mfa`: with a second factor that we trust; `groups`
        are those that it names. Raises TooUnusual.
        """
        metrics.sign_ins.labels("federated", "right").inc()
        return await self._let_in(client, user, before, factor="federated", mfa=mfa, groups=groups)

    async def mailed_link(self, client: LoginOrigin, user: User, before: Principal | None) -> Principal:
        """Start a session for a user who followed a link in their mailbox. Raises TooUnusual."""
        metrics.sign_ins.labels(EMAIL_LINK, "right").inc()
        return await self._let_in(client, user, before, factor=EMAIL_LINK)

    async def _let_in(
        self,
        client: LoginOrigin,
        user: User,
        before: Principal | None,
        *,
        factor: str = "password",
        mfa: bool = False,
        groups: tuple[str, ...] | None = None,
    ) -> Principal:
        """After the first factor: a session that knows of a remembered device, and of what is unusual."""
        # A device may be remembered for a code to the mailbox, so it adds nothing to a link that went there.
        device = await self._device(client, user) if factor != EMAIL_LINK else None
        action = await self._risk.assess(
            user, client.address, client.user_agent, lang=client.lang, known_device=device is not None
        )
        rise = partial(self._sessions.rise, ip=client.ip, user_agent=client.user_agent, keep=client.keep)
        step_up = action == "step_up"
        record = await rise(before, user.username, factor, step_up=step_up, provider_groups=groups)
        self._note_kept(client, record)
        if factor == "password":
            self._audit.record("password_ok", user.username, client.ip, sid=record.sid[:8])
        elif factor == EMAIL_LINK:
            self._audit.record("email_link_ok", user.username, client.ip, sid=record.sid[:8])
        else:
            self._audit.record("federated_ok", user.username, client.ip, sid=record.sid[:8])
        if mfa and not step_up:
            record = await rise(Principal(user, record), user.username, UPSTREAM_MFA)
        if device is not None and not step_up:
            record = await rise(Principal(user, record), user.username, DEVICE)
            await self._devices.used(device, client.ip)
            self._audit.record(
                "login", user.username, client.ip, factors=list(record.amr), sid=record.sid[:8]
            )
        return await self._sessions.with_grants(user, record)

    def _note_kept(self, client: LoginOrigin, record: SessionRecord) -> None:
        """Note in the audit log that the user has chosen a session that is kept, and until when."""
        if client.keep and record.kept:
            until, sid = round(record.expires_at), record.sid[:8]
            self._audit.record("signed_in_kept", record.username, client.ip, sid=sid, until=until)

    # -- second factor ---------------------------------------------------------------------------------------------

    async def begin(
        self,
        client: LoginOrigin,
        principal: Principal,
        factor: str,
        *,
        resend: Resend | None = None,
        key_models: frozenset[str] = frozenset(),
        no_other_way: bool = False,
    ) -> Prompt:
        """Start (or describe) a challenge; `key_models` are of the decision. Raises SendFailed and TooManyAttempts."""
        await self._check_locked(principal.username)
        device = await self._device(client, principal.user)
        known, attempt = device is not None, client.attempt(principal)
        attempt = replace(
            attempt, resend=resend, known_device=known, key_models=key_models, no_other_way=no_other_way
        )
        try:
            prompt = await self._factors[factor].begin(attempt, again=resend is not None)
        except SendFailed as failure:
            metrics.codes_sent.labels(factor, "failed").inc()
            self._audit.record(
                "send_failed",
                principal.username,
                client.ip,
                factor=factor,
                code=failure.code,
                cause=failure.detail,
                mend=failure.mend,
            )
            raise
        if prompt.sent:
            metrics.codes_sent.labels(factor, "sent").inc()
            channel = prompt.outlook.channel if prompt.outlook.state else factor
            self._audit.record(
                "code_sent", principal.username, client.ip, factor=factor, channel=channel, to=prompt.hint
            )
        return prompt

    async def prove(
        self,
        client: LoginOrigin,
        principal: Principal,
        factor: str,
        form: Mapping[str, str],
        *,
        key_models: frozenset[str] = frozenset(),
    ) -> tuple[Outcome, SessionRecord | None]:
        """Judge a second factor; when it is right, return the session under its new id, too. `key_models` are of the
        decision. Raises TooManyAttempts.
        """
        outcome = await self.judge(client, principal, factor, form, key_models=key_models)
        if outcome is not Outcome.RIGHT:
            return outcome, None
        name = principal.username
        await self._preferences.used(name, factor)
        record = await self._sessions.rise(
            principal,
            name,
            factor,
            ip=client.ip,
            user_agent=client.user_agent,
            key_model=self._model_used(factor, principal.session.sid),
        )
        await self._risk.settled(principal.user, client.address, client.user_agent)
        self._audit.record("login", name, client.ip, factors=list(record.amr), sid=record.sid[:8])
        return outcome, record

    def _model_used(self, factor: str, by: str) -> str:
        """The model of the security key that was just used, "" for other factors and where nobody vouches for it."""
        known = self._factors.get(factor)
        return known.model_used(by) if isinstance(known, WebAuthnFactor) else ""

    async def judge(
        self,
        client: LoginOrigin,
        principal: Principal,
        factor: str,
        form: Mapping[str, str],
        *,
        key_models: frozenset[str] = frozenset(),
    ) -> Outcome:
        """Judge a second factor and count a failure; signs nobody in. Raises TooManyAttempts."""
        name = principal.username
        failures = await self._check_locked(name)
        attempt = replace(client.attempt(principal), key_models=key_models)
        outcome = await self._factors[factor].verify(attempt, form)
        if outcome is Outcome.PENDING:
            return outcome
        metrics.sign_ins.labels(factor, outcome.value).inc()
        if outcome is Outcome.RIGHT:
            if failures:  # most people make none, and then there is nothing to forget
                await self._limits.forget(name, CODES_PER_USER, CODE_FAILURES)
            return outcome
        self._audit.record("code_failed", name, client.ip, factor=factor, outcome=outcome.value)
        if outcome is Outcome.EXHAUSTED:
            await self._sessions.end(principal.session.sid)
        if outcome is not Outcome.EXPIRED:
            await self._count_failure(client, name, factor)
        return outcome

    async def _check_locked(self, name: str) -> int:
        """Return how many failures there were. Raises TooManyAttempts."""
        return await self._limits.check(CODES_PER_USER, name) + await self._limits.check(CODE_FAILURES, name)

    async def _count_failure(self, client: LoginOrigin, name: str, factor: str) -> None:
        try:
            await self._limits.spend(CODES_PER_USER, name)
            left = await self._limits.spend(CODE_FAILURES, name)
        except TooManyAttempts:
            return  # this failure is answered as one; the next attempt meets the limit
        if left == 0:
            await self._passwords.closed(name, client.ip, factor, locked=True)

    async def passkey(self, client: LoginOrigin, username: str, visitor: str = "") -> SessionRecord | None:
        """Start a session for the user whom a passkey named, with its user verified: that counts as two factors."""
        user = await self._directory.get(username)
        if user is None or user.disabled:
            return None
        await self._risk.assess(user, client.address, client.user_agent, lang=client.lang)
        rise = partial(self._sessions.rise, ip=client.ip, user_agent=client.user_agent, keep=client.keep)
        model = self._model_used("webauthn", visitor)
        record = await rise(None, username, "webauthn", key_model=model)
        record = await rise(Principal(user, record), username, USER_VERIFIED)
        self._note_kept(client, record)
        await self._risk.settled(user, client.address, client.user_agent)
        metrics.sign_ins.labels("passkey", "right").inc()
        self._audit.record("login", username, client.ip, factors=list(record.amr), sid=record.sid[:8])
        return record

    # -- the end ---------------------------------------------------------------------------------------------------

    async def sign_out(self, client: LoginOrigin, principal: Principal) -> None:
        """End the session and note it in the audit log."""
        await self._sessions.end(principal.session.sid)
        self._audit.record("logout", principal.username, client.ip, sid=principal.session.sid[:8])
