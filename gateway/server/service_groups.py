"""The services that pages share, built group by group from what nearly everything stands on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from gateway.authn.factors.build import FactorParts, Factors, build_factors
from gateway.authn.login import SignIn
from gateway.authn.password_check import PasswordCheck
from gateway.authn.remembered_devices import RememberedDevices
from gateway.authn.risk.assessment import build_watch
from gateway.authn.risk.geo import Geo
from gateway.clock import Clock
from gateway.config.schema import Config
from gateway.config.sections.admin import admin_route
from gateway.directory.build import DirectoryBundle
from gateway.keyring import KeyRing
from gateway.messaging.notices import Notices
from gateway.messaging.senders.build import build_email, build_sms
from gateway.messaging.sms.account_texts import SmsNotices
from gateway.messaging.sms.build import build_desk
from gateway.observability.audit import Audit
from gateway.policy.routes import Routes
from gateway.portal.csrf import SignInTokens
from gateway.portal.return_url import is_own_page, stands_for
from gateway.portal.services import Authn, Messaging, Users
from gateway.rate_limits import RateLimits
from gateway.session import Granted, Sessions
from gateway.session.domains import Domains
from gateway.stores.build import Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """What nearly everything stands on."""

    config: Config
    clock: Clock
    ring: KeyRing
    stores: Stores
    people: DirectoryBundle
    routes: Routes
    limits: RateLimits
    audit: Audit

    @property
    def secure(self) -> bool:
        """Whether browsers come by https."""
        return self.config.server.public_url.startswith("https:")


def build_users(base: Foundation) -> Users:
    people = base.people
    passwords = PasswordCheck(
        directory=people.directory,
        limits=base.limits,
        audit=base.audit,
        key=lambda: base.ring.derive(b"typed names"),
    )
    return Users(directory=people.directory, writable=people.writable, passwords=passwords)


def build_messaging(base: Foundation, stream: TextIO) -> Messaging:
    config = base.config
    email = build_email(config.email, stream)
    notices = Notices(
        sender=email, audit=base.audit, brand=config.branding.name, lang=config.branding.language
    )
    status_url = f"{config.server.public_url}{config.server.prefix}/sms/status"
    provider = build_sms(config.sms, stream, status_url=status_url)
    sms = build_desk(
        config=config.sms,
        provider=provider,
        stores=base.stores.sms,
        ledger=base.stores.ledger,
        limits=base.limits,
        audit=base.audit,
        ring=base.ring,
        clock=base.clock,
    )
    texts = SmsNotices(provider=provider, desk=sms.desk, notices=notices, audit=base.audit)
    return Messaging(sms=sms, email=email, notices=notices, account_texts=texts)


def build_sessions(base: Foundation, form_tokens: SignInTokens) -> Sessions:
    return Sessions(
        base.config.session,
        secure=base.secure,
        fernet=lambda: base.ring.fernet,
        sessions=base.stores.sessions,
        directory=base.people.directory,
        changes=base.stores.changes,
        granted=_granted(base.config, base.stores),
        clock=base.clock,
        bound_to=Domains(base.config).bound_to,
        csrf=form_tokens.new,
    )


def build_authn(
    base: Foundation, users: Users, messaging: Messaging, sessions: Sessions, form_tokens: SignInTokens
) -> Authn:
    config, prefix = base.config, base.config.server.prefix
    geo = Geo(config.risk.geoip_file)
    factors = _factors(base, messaging, geo)
    devices = RememberedDevices(
        config.session,
        secure=base.secure,
        fernet=lambda: base.ring.fernet,
        store=base.stores.devices,
        audit=base.audit,
        clock=base.clock,
    )
    signin = SignIn(
        directory=users.directory,
        sessions=sessions,
        factors=factors.second,
        limits=base.limits,
        audit=base.audit,
        routes=Routes((admin_route(config.admin, prefix), *config.routes)),
        devices=devices,
        risk=build_watch(config, geo, base.stores.places, base.audit, messaging.notices, base.clock),
        own=lambda destination: is_own_page(destination, prefix),
        meant=lambda destination: stands_for(destination, prefix, base.routes),
        preferences=factors.preferences,
        passwords=users.passwords,
    )
    return Authn(signin=signin, form_tokens=form_tokens, factors=factors, devices=devices, geo=geo)


def _factors(base: Foundation, messaging: Messaging, geo: Geo) -> Factors:
    sms = messaging.sms
    return build_factors(
        FactorParts(
            config=base.config,
            ring=base.ring,
            ledger=base.stores.ledger,
            credentials=base.stores.credentials,
            sessions=base.stores.sessions,
            limits=base.limits,
            audit=base.audit,
            sms=sms.provider,
            desk=sms.desk,
            cool_off=sms.cool_off,
            email=messaging.email,
            directory=base.people.writable,
            geo=geo,
            clock=base.clock,
        )
    )


def _granted(config: Config, stores: Stores) -> Granted:
    """What nobody can ask for is not looked up at each sign-in."""

    async def nothing(username: str, now: float) -> Sequence[tuple[str, float]]:
        return ()

    return stores.access_requests.granted if config.access_requests else nothing
