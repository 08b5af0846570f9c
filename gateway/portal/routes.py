"""Builds the table of all pages. A new page is one function here that takes the services and returns its paths."""

from dataclasses import replace

from gateway.authn.elsewhere import BoundSessionNotices
from gateway.portal.access_requests.views import access_pages
from gateway.portal.account.api_token_views import token_pages
from gateway.portal.account.change_notices import AccountNews
from gateway.portal.account.enrolment import FactorEnrolment
from gateway.portal.account.enrolment_views import EnrolViews
from gateway.portal.account.routes import account_pages
from gateway.portal.apps.app_list import AppList
from gateway.portal.apps.app_views import app_pages
from gateway.portal.apps.icons import Icons
from gateway.portal.dispatch import Sites
from gateway.portal.request import Views
from gateway.portal.selfservice.routes import self_service
from gateway.portal.services import Services
from gateway.portal.signin.approval_views import ApproveViews
from gateway.portal.signin.cross_domain_views import HandOffViews
from gateway.portal.signin.device_key_views import DeviceKeyViews
from gateway.portal.signin.email_link_views import email_link_pages
from gateway.portal.signin.kept_post_views import KeptViews
from gateway.portal.signin.login_views import LoginViews, Tabs
from gateway.portal.signin.logout_views import LogoutViews
from gateway.portal.signin.next_step import NextStep, RedirectLoop
from gateway.portal.signin.passkey_nudge import PasskeyNudge
from gateway.portal.signin.passkey_views import PasskeyViews
from gateway.portal.signin.provider_sign_out import ProviderSignOut
from gateway.portal.signin.provider_ways import ProviderWays
from gateway.portal.signin.second_factor_views import VerifyViews
from gateway.portal.signin.sms_migration_views import PATH as MIGRATION
from gateway.portal.signin.sms_migration_views import Nudges, SmsMigrationNudge
from gateway.portal.signin.sms_status_views import SmsViews
from gateway.session.cross_domain_code import HandOffs
from gateway.session.device_endpoints import REFRESH, REGISTER, SITE, site_host
from gateway.session.device_keys import KeyRegistry
from gateway.session.domains import Domains


def build_pages(services: Services) -> Views:
    """Pages by path, below the prefix."""
    news = AccountNews(
        audit=services.audit,
        notices=services.messaging.notices,
        texts=services.messaging.account_texts,
        cool_off=services.messaging.sms.cool_off,
    )
    enrolment = FactorEnrolment(
        config=services.config.enrolment,
        factors=services.authn.factors,
        sessions=services.sessions,
        ledger=services.stores.ledger,
        audit=services.audit,
        news=news,
    )
    alone = self_service(services)
    return {
        **_sign_in(services, can_reset="/reset" in alone, can_register="/register" in alone),
        **_tabs(services),
        **_kept(services),
        **alone,
        **_passkey(services),
        **_enrol(services, enrolment),
        **_approve(services),
        **_sms(services),
        **_device_keys(services),
        **account_pages(services, enrolment, news),
        **access_pages(services),
        **token_pages(services, enrolment, news),
    }


def _sign_in(services: Services, *, can_reset: bool, can_register: bool) -> Views:
    trail = RedirectLoop(
        config=services.config,
        ring=services.ring,
        pages=services.pages,
        clock=services.clock,
        session_cookie=services.sessions.cookie_name,
    )
    onward = NextStep(
        signin=services.authn.signin,
        routes=services.routes,
        trail=trail,
        prefix=services.prefix,
        home_url=services.config.server.home_url,
    )
    ways = ProviderWays.of(services.config, passkeys=services.authn.factors.passkeys is not None)
    login = LoginViews(
        signin=services.authn.signin,
        sessions=services.sessions,
        pages=services.pages,
        tokens=services.authn.form_tokens,
        onward=onward,
        by_email=services.config.passwords.by_email,
        can_reset=can_reset,
        can_register=can_register,
        passkeys=services.authn.factors.passkeys is not None,
        ways=ways,
        keep_for=services.config.session.keep_signed_in,
        email_link=services.config.email_link.enabled,
    )
    nudge = PasskeyNudge(
        config=services.config.webauthn,
        factors=services.authn.factors,
        pages=services.pages,
        routes=services.routes,
        clock=services.clock,
        prefix=services.prefix,
    )
    migration = SmsMigrationNudge(
        plan=services.authn.factors.sms_plan,
        factors=services.authn.factors,
        pages=services.pages,
        routes=services.routes,
        audit=services.audit,
        clock=services.clock,
        prefix=services.prefix,
    )
    verify = VerifyViews(
        signin=services.authn.signin,
        sessions=services.sessions,
        pages=services.pages,
        devices=services.authn.devices,
        onward=onward,
        nudges=Nudges(migration=migration, passkey=nudge),
        fallback=services.config.sms.fallback,
        live=services.messaging.sms.provider.reports is not None,
    )
    out = LogoutViews(
        signin=services.authn.signin,
        sessions=services.sessions,
        pages=services.pages,
        trail=trail,
        domains=Domains(services.config),
        routes=services.routes,
        ways=ways,
        elsewhere=ProviderSignOut.of(services),
        config=services.config.session.sign_out,
        prefix=services.prefix,
    )
    return {
        **email_link_pages(services, onward),
        "/login": {"GET": login.page, "POST": login.submit},
        "/verify": {"GET": verify.page, "POST": verify.submit},
        "/logout": {"GET": out.page, "POST": out.submit},
        "/passkey/nudge": {"GET": nudge.page},
        MIGRATION: {"GET": migration.page},
    }


def build_sites(services: Services, more: Views) -> Sites:
    """The same pages in the looks of each domain; `more` are those of other packages."""
    domains = Domains(services.config)
    trail = RedirectLoop(
        config=services.config,
        ring=services.ring,
        pages=services.pages,
        clock=services.clock,
        session_cookie=services.sessions.cookie_name,
    )
    apps, icons = _apps(services)
    views: dict[str, Views] = {}
    for name, pages in {"": services.pages, **services.pages.by_domain}.items():
        branded = replace(services, pages=pages)
        handoff = HandOffViews(
            handoffs=HandOffs(services.stores.ledger, services.ring, services.clock),
            domains=domains,
            trail=trail,
            signin=services.authn.signin,
            sessions=services.sessions,
            records=services.stores.records,
            routes=services.routes,
            pages=pages,
            audit=services.audit,
            config=services.config,
        )
        between: Views = {
            "/across": {"GET": handoff.across, "POST": handoff.agreed},
            "/handoff": {"GET": handoff.arrive},
        }
        own = {**build_pages(branded), **app_pages(branded, apps, icons)}
        views[name] = {**own, **(between if domains.any else {}), **more}
    return Sites(
        views=views,
        leave=handoff.leave,
        domains=domains,
        routes=services.routes,
        prefix=services.prefix,
        root=apps.root,
    )


def _apps(services: Services) -> tuple[AppList, Icons]:
    apps = AppList(
        routes=services.routes,
        offered=services.config.access_requests,
        preferences=services.authn.factors.preferences,
        clock=services.clock,
        public_url=services.public_url,
        prefix=services.prefix,
    )
    services.authn.signin.judges.append(apps.decision)
    icons = Icons(services.fetch_picture, services.clock)
    services.closing.append(icons.close)
    return apps, icons


def _tabs(services: Services) -> Views:
    tabs = Tabs(services.authn.signin, services.routes, prefix=services.prefix)
    return {"/tab": {"GET": tabs.state}}


def _kept(services: Services) -> Views:
    views = KeptViews(
        services.kept,
        services.authn.signin,
        services.pages,
        prefix=services.prefix,
        front=services.routes.front,
    )
    return {"/kept": {"GET": views.page, "POST": views.submit}}


def _passkey(services: Services) -> Views:
    views = PasskeyViews(
        keys=services.authn.factors.passkeys,
        signin=services.authn.signin,
        sessions=services.sessions,
        pages=services.pages,
        routes=services.routes,
        limits=services.limits,
        prefix=services.prefix,
        tokens=services.authn.form_tokens,
        keep_for=services.config.session.keep_signed_in,
    )
    return {
        "/passkey": {"GET": views.page, "POST": views.submit},
        "/passkey/options": {"GET": views.options},
    }


def _sms(services: Services) -> Views:
    views = SmsViews(
        services.messaging.sms.provider.reports,
        services.messaging.sms.deliveries,
        services.messaging.sms.dispatch,
    )
    return {"/sms/status": {"POST": views.status}, "/sms/delivery": {"GET": views.delivery}}


def _device_keys(services: Services) -> Views:
    """Reached whether `session.bind.device` is on or not: sessions that have a key keep it."""
    portal = services.config.server.origin
    registry = KeyRegistry(services.sessions, services.stores.device_keys, services.stores.ledger)
    notices = BoundSessionNotices(services.stores.ledger, services.audit, services.messaging.notices)
    site = site_host(services.config) if services.config.session.bind.device else ""
    views = DeviceKeyViews(registry, notices, (portal,))
    speaks: Views = {SITE: {"GET": views.site}} if site else {}
    return {REGISTER: {"POST": views.register}, REFRESH: {"POST": views.refresh}, **speaks}


def _approve(services: Services) -> Views:
    views = ApproveViews(
        factor=services.authn.factors.approval,
        notices=services.messaging.notices,
        audit=services.audit,
        pages=services.pages,
        prefix=services.prefix,
        clock=services.clock,
    )
    return {
        "/approve": {"GET": views.page, "POST": views.submit},
        "/approve/wait": {"GET": views.wait_for_question},
        "/verify/wait": {"GET": views.wait_for_answer},
    }


def _enrol(services: Services, enrolment: FactorEnrolment) -> Views:
    views = EnrolViews(
        enrolment=enrolment,
        signin=services.authn.signin,
        sessions=services.sessions,
        pages=services.pages,
        routes=services.routes,
        prefix=services.prefix,
    )
    return {"/enrol": {"GET": views.page, "POST": views.submit}}
