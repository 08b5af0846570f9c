"""The services that pages share, built group by group from what nearly everything stands on."""

from dataclasses import dataclass
from functools import partial
from typing import TextIO

from gateway.authn.attacks import Attacks
from gateway.authn.elsewhere import BoundSessionNotices, ElsewhereNotices
from gateway.authn.factors.build import Factors, FactorServices, build_factors
from gateway.authn.login import SignIn
from gateway.authn.password_check import PasswordCheck
from gateway.authn.remembered_devices import RememberedDevices
from gateway.authn.risk.assessment import build_watch
from gateway.authn.risk.geo import Geo
from gateway.clock import Clock
from gateway.config.schema import Config, DirectoryDatabase
from gateway.config.sections.admin import admin_route
from gateway.directory.build import DirectoryBundle
from gateway.keyring import KeyRing
from gateway.messaging.notices import Notices
from gateway.messaging.senders.build import build_email, build_sms
from gateway.messaging.sms.account_texts import SmsNotices
from gateway.messaging.sms.build import build_sms_dispatch
from gateway.observability.audit import Audit
from gateway.policy.decide import Routes
from gateway.portal.forms import SignInTokens
from gateway.portal.return_url import is_own_page, stands_for
from gateway.portal.services import Authn, Messaging, Users
from gateway.rate_limits import RateLimits
from gateway.request.target import nowhere
from gateway.session import Sessions
from gateway.session.binding import SessionBinding
from gateway.session.cookie import cookie_path
from gateway.session.device_binding import DeviceBinding
from gateway.session.device_endpoints import key_endpoints
from gateway.session.domains import Domains
from gateway.session.reading import counts_everywhere
from gateway.stores.build import Stores

_BEHIND = 600.0
"""Seconds for which a session may go on while it is read again: our own database tells of each change of a user."""


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
    """Make what knows users and passwords."""
    people = base.people
    passwords = PasswordCheck(
        directory=people.directory,
        limits=base.limits,
        audit=base.audit,
        key=partial(base.ring.derive, b"typed names"),
        attacks=Attacks(base.stores.audit_search, base.clock),
        by_email=base.config.passwords.by_email,
    )
    return Users(directory=people.directory, writable=people.writable, passwords=passwords)


def build_messaging(base: Foundation, stream: TextIO) -> Messaging:
    """Make what sends text messages and mail; `stream` is the terminal, for senders that write there."""
    config = base.config
    email = build_email(config.email, stream)
    notices = Notices(
        sender=email, audit=base.audit, brand=config.branding.name, lang=config.branding.language
    )
    status_url = f"{config.server.pages_url}/sms/status"
    provider = build_sms(config.sms, stream, status_url=status_url)
    sms = build_sms_dispatch(
        config=config.sms,
        provider=provider,
        stores=base.stores.sms,
        ledger=base.stores.ledger,
        limits=base.limits,
        audit=base.audit,
        ring=base.ring,
        clock=base.clock,
    )
    texts = SmsNotices(provider=sms.provider, dispatch=sms.dispatch, notices=notices, audit=base.audit)
    return Messaging(sms=sms, email=email, notices=notices, account_texts=texts)


def build_sessions(base: Foundation, form_tokens: SignInTokens) -> Sessions:
    """Make what knows sessions."""
    domains, bind = Domains(base.config), base.config.session.bind
    places = Geo(base.config.risk.geoip_file) if bind.country else None
    country_of = (lambda address: places.locate(address).country) if places else nowhere
    return Sessions(
        base.config.session,
        secure=base.secure,
        fernet=base.ring.fernet,
        sessions=base.stores.sessions,
        directory=base.people.directory,
        changes=base.stores.changes,
        # What nobody can ask for is not looked up at each sign-in.
        granted=base.stores.access_requests.granted if base.config.access_requests else None,
        clock=base.clock,
        behind_for=_BEHIND if isinstance(base.config.directory, DirectoryDatabase) else 0.0,
        bound_to=domains.bound_to if domains.any else counts_everywhere,
        binding=SessionBinding(bind, country_of) if bind else None,
        devices=DeviceBinding(
            base.config.session,
            secure=base.secure,
            fernet=base.ring.fernet,
            endpoints=key_endpoints(base.config),
            clock=base.clock,
            path=cookie_path(base.config),
        ),
        csrf=form_tokens.new,
        path=cookie_path(base.config),
    )


def build_authn(
    base: Foundation, users: Users, messaging: Messaging, sessions: Sessions, form_tokens: SignInTokens
) -> Authn:
    """Make what judges sign-ins: factors, remembered devices, risk."""
    config, prefix = base.config, base.config.server.prefix
    if sessions.binding is not None:
        elsewhere = ElsewhereNotices(base.stores.ledger, base.audit, messaging.notices)
        sessions.binding.on_elsewhere = elsewhere.tell
    keyless = BoundSessionNotices(base.stores.ledger, base.audit, messaging.notices)
    sessions.devices.on_keyless = keyless.keyless
    geo = Geo(config.risk.geoip_file)
    factors = _factors(base, messaging, geo)
    devices = RememberedDevices(
        config.session,
        secure=base.secure,
        fernet=base.ring.fernet,
        store=base.stores.devices,
        audit=base.audit,
        clock=base.clock,
        path=cookie_path(config),
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
        own=partial(is_own_page, prefix=prefix),
        meant=partial(stands_for, prefix=prefix, routes=base.routes),
        preferences=factors.preferences,
        passwords=users.passwords,
        sms_plan=factors.sms_plan,
    )
    return Authn(signin=signin, form_tokens=form_tokens, factors=factors, devices=devices, geo=geo)


def _factors(base: Foundation, messaging: Messaging, geo: Geo) -> Factors:
    sms = messaging.sms
    return build_factors(
        FactorServices(
            config=base.config,
            ring=base.ring,
            ledger=base.stores.ledger,
            credentials=base.stores.credentials,
            sessions=base.stores.sessions,
            limits=base.limits,
            audit=base.audit,
            sms=sms.provider,
            dispatch=sms.dispatch,
            cool_off=sms.cool_off,
            email=messaging.email,
            directory=base.people.writable,
            geo=geo,
            clock=base.clock,
        )
    )
