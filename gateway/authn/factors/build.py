"""Makes the second factors that the configuration names: the one place that knows every kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from gateway.authn.factors.approval import ApprovalFactor
from gateway.authn.factors.approval_questions import ApprovalQuestions
from gateway.authn.factors.attestation import key_approval
from gateway.authn.factors.base import Enrols, Factor
from gateway.authn.factors.bypass import Bypasses, BypassFactor
from gateway.authn.factors.challenge import Codes
from gateway.authn.factors.contact_enrolment import Contact, ContactEnrolment, DirectoryContact
from gateway.authn.factors.email import EmailFactor
from gateway.authn.factors.phone_lines import Phones, SecondPhone
from gateway.authn.factors.preference import Preferences
from gateway.authn.factors.recovery import RecoveryFactor
from gateway.authn.factors.sms import SmsFactor
from gateway.authn.factors.sms_migration import SmsMigrationPlan
from gateway.authn.factors.sms_verify import SmsVerifyFactor
from gateway.authn.factors.totp import TotpFactor
from gateway.authn.factors.webauthn import WebAuthnFactor
from gateway.authn.factors.webauthn_relying_party import RelyingParty
from gateway.authn.risk.geo import Geo
from gateway.clock import Clock
from gateway.config import addresses
from gateway.config.schema import Config
from gateway.directory import identifiers
from gateway.directory.base import WritableDirectory
from gateway.keyring import KeyRing
from gateway.messaging.senders.base import CodeService, EmailSender, SmsProvider
from gateway.messaging.sms.cool_off import CoolOff
from gateway.messaging.sms.dispatch import SmsDispatch
from gateway.observability.audit import Audit
from gateway.rate_limits import RateLimits
from gateway.stores.protocols.core import Credentials, SessionStore
from gateway.stores.protocols.ledger import Ledger


@dataclass(frozen=True, slots=True)
class FactorServices:
    """What the factors are made of."""

    config: Config
    ring: KeyRing
    ledger: Ledger
    credentials: Credentials
    sessions: SessionStore
    limits: RateLimits
    audit: Audit
    sms: SmsProvider
    dispatch: SmsDispatch
    cool_off: CoolOff
    email: EmailSender
    directory: WritableDirectory | None
    """None where users are kept elsewhere: phone and mail address can't be changed here then."""
    geo: Geo
    clock: Clock


@dataclass(frozen=True, slots=True)
class Factors:
    """The factors of this gateway. `second` in the order in which they are offered; `enrols` those that users may
    add.

    `second_phone` adds no factor but another number for `sms`.
    """

    second: Mapping[str, Factor]
    enrols: Mapping[str, Enrols]
    second_phone: Enrols
    prove_phone: Callable[[Contact], Enrols]
    """Makes what proves a number by a code to it, wherever it is to be kept then."""
    phones: Phones
    recovery: RecoveryFactor
    passkeys: WebAuthnFactor | None
    approval: ApprovalFactor
    preferences: Preferences
    credentials: Credentials
    sms_plan: SmsMigrationPlan


def build_factors(parts: FactorServices) -> Factors:
    """Make all second factors of the configuration."""
    config, ring = parts.config, parts.ring
    totp = TotpFactor(
        parts.credentials,
        parts.ledger,
        parts.clock,
        issuer=config.branding.name,
        seal=ring.seal,
        open=ring.open,
    )
    site = relying_party(config, parts.clock)
    preferences = Preferences(parts.credentials, parts.clock)
    keys = WebAuthnFactor(
        credentials=parts.credentials, ledger=parts.ledger, clock=parts.clock, site=site, notes=preferences
    )
    recovery = RecoveryFactor(parts.credentials, parts.ledger, parts.clock)
    approval = _approval(parts)
    phones = _phones(parts)
    sms, email = _sms(parts, phones), _email(parts)
    every: list[Factor] = [sms, totp, keys, email, approval, recovery, _bypass(parts)]
    left_out = set() if config.email.second_factor else {"email"}
    enrols: list[Enrols] = [totp]
    if site.possible:
        enrols.append(keys)
    adding_phone = _sms(parts, None)
    spell_phone = partial(identifiers.phone, country=config.sms.default_country)
    if parts.directory is not None:
        enrols.append(
            _contact(
                parts,
                adding_phone,
                DirectoryContact(name="sms", field="phone", spell=spell_phone, directory=parts.directory),
            )
        )
        enrols.append(
            _contact(
                parts,
                email,
                DirectoryContact(
                    name="email", field="email", spell=identifiers.email, directory=parts.directory
                ),
            )
        )
    return Factors(
        second={factor.name: factor for factor in every if factor.name not in left_out},
        enrols={one.name: one for name in config.enrolment.factors for one in enrols if one.name == name},
        second_phone=_contact(
            parts, adding_phone, SecondPhone(parts.credentials, parts.clock, spell=spell_phone)
        ),
        prove_phone=partial(_contact, parts, adding_phone),
        phones=phones,
        recovery=recovery,
        passkeys=keys if config.webauthn.passwordless and site.possible else None,
        approval=approval,
        preferences=preferences,
        credentials=parts.credentials,
        sms_plan=SmsMigrationPlan(config.sms.migration, parts.credentials, parts.clock),
    )


def _approval(parts: FactorServices) -> ApprovalFactor:
    return ApprovalFactor(
        asks=ApprovalQuestions(parts.ledger, seal=parts.ring.seal, open=parts.ring.open),
        sessions=parts.sessions,
        limits=parts.limits,
        audit=parts.audit,
        clock=parts.clock,
        lifetimes=parts.config.session.lifetimes,
        locate=lambda address: parts.geo.locate(address).country,
    )


def _bypass(parts: FactorServices) -> BypassFactor:
    return BypassFactor(Bypasses(parts.ledger, partial(parts.ring.derive_all, b"bypass")), parts.ledger)


def relying_party(config: Config, clock: Clock) -> RelyingParty:
    """Return the WebAuthn relying party: the portal, `webauthn.origins`, and the hosts that routes name.

    Raises ConfigError for metadata of keys that can't be trusted.
    """
    public = urlsplit(config.server.public_url)
    id = config.webauthn.rp_id or (config.session.domain or "").lstrip(".") or public.hostname or ""
    port = f":{public.port}" if public.port else ""
    named = {route.host.lower() for route in config.routes if "*" not in route.host}
    return RelyingParty(
        id,
        config.branding.name,
        f"{public.scheme}://{public.netloc}",
        listed=frozenset(config.webauthn.origins),
        approval=key_approval(config.webauthn.attestation, clock),
        routed=frozenset(f"{public.scheme}://{host}{port}" for host in named if addresses.is_below(host, id)),
    )


def _codes(parts: FactorServices, factor: str, length: int, lifetime: float) -> Codes:
    keys = partial(parts.ring.derive_all, b"codes")
    return Codes(
        factor=factor, ledger=parts.ledger, keys=keys, clock=parts.clock, length=length, lifetime=lifetime
    )


def _phones(parts: FactorServices) -> Phones:
    lifetime = parts.config.sms.code_lifetime
    return Phones(
        credentials=parts.credentials,
        cool_off=parts.cool_off,
        ledger=parts.ledger,
        clock=parts.clock,
        lifetime=lifetime,
    )


def _sms(parts: FactorServices, phones: Phones | None) -> Factor:
    """Without `phones`, codes go to the very number that is being added."""
    config, provider = parts.config.sms, parts.sms
    codes = _codes(parts, "sms", config.code_length, config.code_lifetime)
    if isinstance(provider.sender, CodeService):
        return SmsVerifyFactor(
            config=config, service=provider.sender, codes=codes, dispatch=parts.dispatch, phones=phones
        )
    brand = parts.config.branding.name
    return SmsFactor(
        config=config,
        sender=provider.sender,
        caller=provider.caller,
        chats=provider.chats,
        codes=codes,
        dispatch=parts.dispatch,
        phones=phones,
        brand=brand,
    )


def _email(parts: FactorServices) -> Factor:
    config = parts.config.email
    codes = _codes(parts, "email", config.code_length, config.code_lifetime)
    return EmailFactor(
        config=config, sender=parts.email, codes=codes, limits=parts.limits, brand=parts.config.branding.name
    )


def _contact(parts: FactorServices, factor: Factor, contact: Contact) -> ContactEnrolment:
    return ContactEnrolment(factor, contact, parts.ledger, seal=parts.ring.seal, open=parts.ring.open)
