"""The composition root: builds the services of one worker's gateway from a Config.

The only file, beside the commands and the demo, that names concrete stores, directories and senders.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.authn.api_credentials import ApiCredentials
from gateway.authn.federation.build import build_providers
from gateway.authn.foreign_tokens import ForeignTokens
from gateway.authn.password_check import PasswordCheck
from gateway.clock import Clock
from gateway.config.schema import Config
from gateway.directory.build import DirectoryBundle, build_directory, names_of
from gateway.directory.password_hashing import PasswordHashing
from gateway.forwardauth.engine_pass import pass_cookie
from gateway.keyring import KeyRing
from gateway.messaging.sms.phone_change_notice import ChangeNotice
from gateway.observability.audit import Audit
from gateway.observability.tracing import RequestTracer, build_tracing
from gateway.policy.decide import Routes
from gateway.portal.forms import SignInTokens
from gateway.portal.health import Health, WriteProbe
from gateway.portal.rendering.render import Pages
from gateway.portal.request import LANGUAGE_COOKIE
from gateway.portal.services import Messaging, PortalStores, Services
from gateway.proxy.identity import Assertions
from gateway.proxy.proxy import Proxy
from gateway.rate_limits import RateLimits
from gateway.server.background import clocks_agree
from gateway.server.service_groups import (
    Foundation,
    build_authn,
    build_messaging,
    build_sessions,
    build_users,
)
from gateway.server.tls.acme.build import Certificates, build_certificates
from gateway.server.websocket_watch import TunnelWatch
from gateway.session.cookie import PURPOSES
from gateway.session.kept_posts import KeptPosts
from gateway.stores.build import Stores, build_stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """All that a worker starts, uses and closes; `services` is what the pages share."""

    services: Services
    stores: Stores
    people: DirectoryBundle
    passwords: PasswordHashing
    proxy: Proxy
    tunnel_watch: TunnelWatch
    assertions: Assertions
    health: Health
    credentials: ApiCredentials
    tracing: RequestTracer | None
    certificates: Certificates | None


def compose(config: Config, engine: AsyncEngine, *, clock: Clock, stream: TextIO) -> Composed:
    """Connects to nothing yet; `stream` is where the console senders write. Raises ConfigError."""
    ring = KeyRing(Path(config.session.keys_file), clock)
    stores = build_stores(config, engine, ring, clock)
    passwords = PasswordHashing(config.passwords, names=names_of(config))
    base = Foundation(
        config=config,
        clock=clock,
        ring=ring,
        stores=stores,
        people=build_directory(config, engine, passwords, clock),
        routes=Routes(
            config.routes,
            [one.domain for one in config.domains],
            portal=urlsplit(config.server.public_url).hostname or "",
            base=config.server.base,
        ),
        limits=RateLimits(stores.ledger, stores.spent),
        audit=Audit(stores.audit_log, clock),
    )
    if base.people.persons is not None:
        base.people.persons.tell = lambda name: base.audit.record("name_passed_on", name, "")
    services = _services(base, stream)
    proxy = Proxy(
        config.routes, session_cookie_names=own_cookies(services), prefix=config.server.prefix, clock=clock
    )
    services = replace(services, fetch_picture=proxy.picture_of)
    credentials = _credentials(base, services.users.passwords)
    watch = TunnelWatch(services.sessions, proxy.tunnels, proxy.answers.admitted)
    services.sessions.on_change += [
        watch.hear,
        _change_notice(base, services.messaging).heard,
        credentials.hear,
    ]
    certificates = build_certificates(config, engine, ring, stores.ledger, base.audit, clock)
    return Composed(
        services=services,
        stores=stores,
        people=base.people,
        passwords=passwords,
        proxy=proxy,
        tunnel_watch=watch,
        assertions=Assertions(config.server.public_url, lambda: list(ring.signing_keys), clock),
        health=_health(base, certificates),
        credentials=credentials,
        tracing=build_tracing(config.tracing),
        certificates=certificates,
    )


def _health(base: Foundation, certificates: Certificates | None) -> Health:
    stores = base.stores
    certificate = {"certificate": certificates.served.check} if certificates is not None else {}
    return Health(
        {
            "store": stores.changes.latest,
            "clock": partial(clocks_agree, stores.time),
            "writes": WriteProbe(stores.try_writing),
            **stores.state.checks,
            **base.people.checks,
            **certificate,
        }
    )


def _services(base: Foundation, stream: TextIO) -> Services:
    config, clock, ring, stores = base.config, base.clock, base.ring, base.stores
    form_tokens = SignInTokens(partial(ring.derive_all, b"csrf"), clock)
    users = build_users(base)
    messaging = build_messaging(base, stream)
    sessions = build_sessions(base, form_tokens)
    return Services(
        config=config,
        clock=clock,
        ring=ring,
        routes=base.routes,
        audit=base.audit,
        limits=base.limits,
        sessions=sessions,
        kept=KeptPosts(config=config, ring=ring, ledger=stores.ledger, audit=base.audit, clock=clock),
        pages=pages_of(config),
        users=users,
        stores=PortalStores(
            records=stores.sessions,
            ledger=stores.ledger,
            audit_log=stores.audit_log,
            access_requests=stores.access_requests,
            registrations=stores.registrations,
            federated=stores.federated,
            provider_sign_ins=stores.provider_sign_ins,
            own_tokens=stores.tokens,
            device_keys=stores.device_keys,
        ),
        authn=build_authn(base, users, messaging, sessions, form_tokens),
        messaging=messaging,
        providers=build_providers(config.identity_providers, clock),
    )


def _credentials(base: Foundation, passwords: PasswordCheck) -> ApiCredentials:
    return ApiCredentials(
        tokens=base.stores.tokens,
        directory=base.people.directory,
        passwords=passwords,
        limits=base.limits,
        audit=base.audit,
        keys=partial(base.ring.derive_all, b"tokens"),
        clock=base.clock,
        own=base.config.user_tokens.enabled,
        foreign=ForeignTokens(
            limits=base.limits, audit=base.audit, ledger=base.stores.ledger, clock=base.clock
        ),
    )


def _change_notice(base: Foundation, messaging: Messaging) -> ChangeNotice:
    return ChangeNotice(
        config=base.config.sms,
        directory=base.people.directory,
        changes=messaging.sms.stores.changes,
        texts=messaging.account_texts,
        notices=messaging.notices,
        ledger=base.stores.ledger,
        audit=base.audit,
        clock=base.clock,
    )


def _form_targets(config: Config, secure: bool) -> tuple[str, ...]:
    """Browsers hold redirects after a form post to this too, and an app may send its users anywhere.

    Apps that sign in through us may be on a phone, with a scheme of their own, or listen on loopback.
    """
    registered = [uri.partition(":")[0] for client in config.oidc.clients for uri in client.redirect_uris]
    if config.oidc.self_registration.enabled and config.oidc.self_registration.loopback:
        registered.append("http")
    schemes = {"https", *registered} if secure else {"http", "https", *registered}
    return tuple(f"{scheme}:" for scheme in sorted(schemes))


def pages_of(config: Config) -> Pages:
    """Make the pages in all looks: the portal's, and those of each further domain."""
    secure = config.server.public_url.startswith("https:")
    make = partial(
        Pages,
        prefix=config.server.prefix,
        templates=config.server.templates,
        hsts=secure,
        form_action=_form_targets(config, secure),
        frame_ancestors=config.server.frame_ancestors,
        apps=config.oidc.enabled,
        # Beside the path of public_url are another proxy's apps: home is our own page then, which is on every host.
        front=f"{config.server.prefix}/" if config.server.base else "/",
    )
    pages = make(config.branding)
    for one in config.domains:
        looks = config.branding.model_copy(update=one.branding.model_dump(exclude_none=True))
        pages.by_domain[one.domain] = make(looks, folder=f"{one.domain}/")
    return pages


def own_cookies(services: Services) -> frozenset[str]:
    """The cookies that never reach an app and that no app can set (security rule 6)."""
    name = services.config.session.cookie_name
    bare = (name, *(f"{name}_{purpose}" for purpose in PURPOSES))
    names = {prefix + one for one in bare for prefix in ("", "__Host-", "__Secure-")}
    return frozenset(
        names | {pass_cookie(services.config), services.authn.devices.cookie_name, LANGUAGE_COOKIE}
    )
