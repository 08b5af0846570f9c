"""The composition root: from a Config to the parts of one worker's gateway.

The only file, beside the commands and the demo, that names concrete stores, directories and senders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.authn.api_credentials import ApiCredentials
from gateway.authn.factors.build import FactorParts, build_factors
from gateway.authn.login import SignIn
from gateway.authn.password_check import PasswordCheck
from gateway.authn.remembered_devices import RememberedDevices
from gateway.authn.risk.assessment import build_watch
from gateway.authn.risk.geo import Geo
from gateway.clock import Clock
from gateway.config.schema import Config
from gateway.config.sections.admin import admin_route
from gateway.directory.build import DirectoryBundle, build_directory
from gateway.directory.password_hashing import PasswordHashing
from gateway.forwardauth.engine_pass import pass_cookie
from gateway.keyring import KeyRing
from gateway.messaging.notices import Notices
from gateway.messaging.senders.build import build_email, build_sms
from gateway.messaging.sms.build import build_desk
from gateway.messaging.sms.phone_change_notice import ChangeNotice
from gateway.observability.audit import Audit
from gateway.observability.tracing import RequestTracer, build_tracing
from gateway.policy.routes import Routes
from gateway.portal.csrf import SignInTokens
from gateway.portal.health import Health
from gateway.portal.rendering.reader_language import LANGUAGE_COOKIE
from gateway.portal.rendering.render import Pages
from gateway.portal.return_url import is_own_page, stands_for
from gateway.portal.services import Services
from gateway.proxy.proxy import Proxy
from gateway.rate_limits import RateLimits
from gateway.server.background import clocks_agree
from gateway.server.websocket_watch import TunnelWatch
from gateway.session import Granted, Sessions
from gateway.session.assertions import Assertions
from gateway.session.auxiliary_cookie import PURPOSES
from gateway.session.domains import Domains
from gateway.session.kept_posts import KeptPosts
from gateway.stores.build import Stores, build_stores


@dataclass(frozen=True, slots=True)
class Composed:
    """All that a worker starts, uses and closes; `parts` is what the pages share."""

    parts: Services
    stores: Stores
    people: DirectoryBundle
    passwords: PasswordHashing
    proxy: Proxy
    tunnel_watch: TunnelWatch
    health: Health
    credentials: ApiCredentials
    tracing: RequestTracer | None


def compose(config: Config, engine: AsyncEngine, *, clock: Clock, stream: TextIO) -> Composed:
    """Connects to nothing yet; `stream` is where the console senders write. Raises ConfigError."""
    ring = KeyRing.load_or_create(Path(config.session.keys_file), clock)
    stores = build_stores(config, engine, ring, clock)
    passwords = PasswordHashing(config.passwords)
    people = build_directory(config, engine, passwords, clock)
    parts = _parts(config, ring, stores, people, clock, stream)
    credentials = ApiCredentials(
        stores.tokens,
        people.directory,
        parts.passwords,
        parts.limits,
        parts.audit,
        lambda: ring.derive_all(b"tokens"),
        clock,
        own=config.user_tokens.enabled,
    )
    proxy = Proxy(
        config.routes, session_cookie_names=own_cookies(parts), prefix=config.server.prefix, clock=clock
    )
    health = Health(
        {
            "store": stores.changes.latest,
            "clock": partial(clocks_agree, stores.time),
            **stores.state.checks,
            **people.checks,
        }
    )
    watch = TunnelWatch(parts.sessions, proxy.tunnels)
    parts.sessions.on_change.append(watch.hear)
    parts.sessions.on_change.append(_change_notice(parts).heard)
    parts.sessions.on_change.append(credentials.hear)
    return Composed(
        parts, stores, people, passwords, proxy, watch, health, credentials, build_tracing(config.tracing)
    )


def _change_notice(parts: Services) -> ChangeNotice:
    return ChangeNotice(
        parts.config.sms,
        parts.directory,
        parts.sms.stores.changes,
        parts.sms_notices,
        parts.notices,
        parts.ledger,
        parts.audit,
        parts.clock,
    )


def _parts(
    config: Config, ring: KeyRing, stores: Stores, people: DirectoryBundle, clock: Clock, stream: TextIO
) -> Services:
    secure = config.server.public_url.startswith("https:")
    prefix = config.server.prefix
    routes, limits, audit = (
        Routes(config.routes, [one.domain for one in config.domains]),
        RateLimits(stores.ledger, stores.spent),
        Audit(stores.audit_log, clock),
    )
    checked = PasswordCheck(people.directory, limits, audit, lambda: ring.derive(b"typed names"))
    geo = Geo(config.risk.geoip_file)
    email = build_email(config.email, stream)
    provider = build_sms(config.sms, stream, status_url=f"{config.server.public_url}{prefix}/sms/status")
    sms = build_desk(
        config.sms,
        provider,
        stores.sms,
        stores.ledger,
        limits,
        audit,
        ring,
        clock,
    )
    tokens = SignInTokens(lambda: ring.derive_all(b"csrf"), clock)
    sessions = Sessions(
        config.session,
        secure=secure,
        fernet=lambda: ring.fernet,
        sessions=stores.sessions,
        directory=people.directory,
        changes=stores.changes,
        granted=_granted(config, stores),
        clock=clock,
        bound_to=Domains(config).bound_to,
        csrf=tokens.new,
    )
    factors = build_factors(
        FactorParts(
            config,
            ring,
            stores.ledger,
            stores.credentials,
            stores.sessions,
            limits,
            audit,
            provider,
            sms.desk,
            sms.cool_off,
            email,
            people.writable,
            geo,
            clock,
        )
    )
    notices = Notices(email, audit, config.branding.name, config.branding.language)
    devices = RememberedDevices(
        config.session,
        secure=secure,
        fernet=lambda: ring.fernet,
        store=stores.devices,
        audit=audit,
        clock=clock,
    )
    risk = build_watch(config, geo, stores.places, audit, notices, clock)
    signin = SignIn(
        people.directory,
        sessions,
        factors.second,
        limits,
        audit,
        Routes((admin_route(config.admin, prefix), *config.routes)),
        devices,
        risk,
        lambda destination: is_own_page(destination, prefix),
        lambda destination: stands_for(destination, prefix, routes),
        factors.preferences,
        checked,
    )
    pages = _pages(config, secure)
    return Services(
        config,
        clock,
        ring,
        routes,
        people.directory,
        people.writable,
        stores.sessions,
        stores.ledger,
        stores.audit_log,
        stores.access_requests,
        stores.federated,
        stores.tokens,
        audit,
        sessions,
        limits,
        checked,
        geo,
        sms,
        email,
        factors,
        notices,
        devices,
        Assertions(config.server.public_url, lambda: list(ring.signing_keys), clock),
        signin,
        tokens,
        KeptPosts(config, ring, stores.ledger, audit, clock),
        pages,
    )


def _granted(config: Config, stores: Stores) -> Granted:
    """What nobody can ask for is not looked up at each sign-in."""

    async def nothing(username: str, now: float) -> Sequence[tuple[str, float]]:
        return ()

    return stores.access_requests.granted if config.access_requests else nothing


def _form_targets(config: Config, secure: bool) -> tuple[str, ...]:
    """Browsers hold redirects after a form post to this too, and an app may send its users anywhere.

    Apps that sign in through us may be on a phone, with a scheme of their own, or listen on loopback.
    """
    registered = [uri.partition(":")[0] for client in config.oidc.clients for uri in client.redirect_uris]
    schemes = {"https", *registered} if secure else {"http", "https", *registered}
    return tuple(f"{scheme}:" for scheme in sorted(schemes))


def _pages(config: Config, secure: bool) -> Pages:
    """All looks: the portal's, and those of each further domain."""
    make = partial(
        Pages,
        prefix=config.server.prefix,
        templates=config.server.templates,
        hsts=secure,
        form_action=_form_targets(config, secure),
        apps=bool(config.oidc.clients),
    )
    pages = make(config.branding)
    for one in config.domains:
        looks = config.branding.model_copy(update=one.branding.model_dump(exclude_none=True))
        pages.by_domain[one.domain] = make(looks, folder=f"{one.domain}/")
    return pages


def own_cookies(parts: Services) -> frozenset[str]:
    """The cookies that never reach an app and that no app can set (security rule 6)."""
    name = parts.config.session.cookie_name
    bare = (name, *(f"{name}_{purpose}" for purpose in PURPOSES))
    names = {prefix + one for one in bare for prefix in ("", "__Host-", "__Secure-")}
    return frozenset(names | {pass_cookie(parts.config), parts.devices.cookie_name, LANGUAGE_COOKIE})
