"""Puts all pages together. A new page is one function here that takes the parts and says which paths it answers."""

from dataclasses import replace

from gateway.portal.access_requests.views import access_pages
from gateway.portal.account.api_token_views import token_pages
from gateway.portal.account.change_notices import AccountNews
from gateway.portal.account.enrolment import FactorEnrolment
from gateway.portal.account.enrolment_views import EnrolViews
from gateway.portal.account.routes import account_pages
from gateway.portal.rendering.domains import Sites
from gateway.portal.request import Views
from gateway.portal.selfservice.routes import self_service
from gateway.portal.services import Services
from gateway.portal.signin.approval_views import ApproveViews
from gateway.portal.signin.cross_domain_views import HandOffViews
from gateway.portal.signin.kept_post_views import KeptViews
from gateway.portal.signin.login_views import LoginViews
from gateway.portal.signin.logout_views import LogoutViews
from gateway.portal.signin.next_step import NextStep
from gateway.portal.signin.other_tabs import Tabs
from gateway.portal.signin.passkey_views import PasskeyViews
from gateway.portal.signin.redirect_loop import RedirectLoop
from gateway.portal.signin.second_factor_views import VerifyViews
from gateway.portal.signin.sms_status_views import SmsViews
from gateway.session.cross_domain_code import HandOffs
from gateway.session.domains import Domains


def build_pages(parts: Services) -> Views:
    """Pages by path, below the prefix."""
    news = AccountNews(parts.audit, parts.notices, parts.sms_notices, parts.sms.cool_off)
    enrolment = FactorEnrolment(
        parts.config.enrolment, parts.factors, parts.sessions, parts.ledger, parts.audit, news
    )
    alone = self_service(parts)
    return {
        **_sign_in(parts, can_reset="/reset" in alone),
        **_tabs(parts),
        **_kept(parts),
        **alone,
        **_passkey(parts),
        **_enrol(parts, enrolment),
        **_approve(parts),
        **_sms(parts),
        **account_pages(parts, enrolment, news),
        **access_pages(parts),
        **token_pages(parts, enrolment, news),
    }


def _sign_in(parts: Services, *, can_reset: bool) -> Views:
    trail = RedirectLoop(
        parts.config, parts.ring, parts.pages, parts.clock, session_cookie=parts.sessions.cookie_name
    )
    onward = NextStep(parts.signin, parts.routes, trail, parts.prefix)
    login = LoginViews(
        parts.signin,
        parts.sessions,
        parts.pages,
        parts.tokens,
        onward,
        can_reset=can_reset,
        passkeys=parts.factors.passkeys is not None,
        providers=[(one.name, one.label or one.name) for one in parts.config.identity_providers],
    )
    verify = VerifyViews(
        parts.signin,
        parts.sessions,
        parts.pages,
        parts.devices,
        onward,
        fallback=parts.config.sms.fallback,
        live=parts.sms.provider.reports is not None,
    )
    out = LogoutViews(
        parts.signin,
        parts.sessions,
        parts.pages,
        trail,
        Domains(parts.config),
        prefix=parts.prefix,
    )
    return {
        "/login": {"GET": login.page, "POST": login.submit},
        "/verify": {"GET": verify.page, "POST": verify.submit},
        "/logout": {"GET": out.page, "POST": out.submit},
    }


def build_sites(parts: Services, more: Views) -> Sites:
    """The same pages in the looks of each domain; `more` are those of other packages."""
    domains = Domains(parts.config)
    trail = RedirectLoop(
        parts.config, parts.ring, parts.pages, parts.clock, session_cookie=parts.sessions.cookie_name
    )
    views: dict[str, Views] = {}
    for name, pages in {"": parts.pages, **parts.pages.by_domain}.items():
        branded = replace(parts, pages=pages)
        handoff = HandOffViews(branded, HandOffs(parts.ledger, parts.ring, parts.clock), domains, trail)
        between: Views = {
            "/across": {"GET": handoff.across, "POST": handoff.agreed},
            "/handoff": {"GET": handoff.arrive},
        }
        views[name] = {**build_pages(branded), **(between if domains.any else {}), **more}
    return Sites(views, handoff.leave, domains, parts.routes, prefix=parts.prefix)


def _tabs(parts: Services) -> Views:
    tabs = Tabs(parts.signin, parts.routes, prefix=parts.prefix)
    return {"/tab": {"GET": tabs.state}}


def _kept(parts: Services) -> Views:
    views = KeptViews(parts.kept, parts.signin, parts.pages, prefix=parts.prefix)
    return {"/kept": {"GET": views.page, "POST": views.submit}}


def _passkey(parts: Services) -> Views:
    views = PasskeyViews(
        parts.factors.passkeys,
        parts.signin,
        parts.sessions,
        parts.pages,
        parts.routes,
        parts.limits,
        prefix=parts.prefix,
        tokens=parts.tokens,
    )
    return {"/passkey": {"GET": views.page, "POST": views.submit}}


def _sms(parts: Services) -> Views:
    views = SmsViews(parts.sms.provider.reports, parts.sms.deliveries, parts.sms.desk)
    return {"/sms/status": {"POST": views.status}, "/sms/delivery": {"GET": views.delivery}}


def _approve(parts: Services) -> Views:
    views = ApproveViews(
        parts.factors.approval,
        parts.notices,
        parts.audit,
        parts.pages,
        prefix=parts.prefix,
        clock=parts.clock,
    )
    return {
        "/approve": {"GET": views.page, "POST": views.submit},
        "/approve/wait": {"GET": views.wait_for_question},
        "/verify/wait": {"GET": views.wait_for_answer},
    }


def _enrol(parts: Services, enrolment: FactorEnrolment) -> Views:
    views = EnrolViews(
        enrolment,
        parts.signin,
        parts.sessions,
        parts.pages,
        parts.routes,
        prefix=parts.prefix,
    )
    return {"/enrol": {"GET": views.page, "POST": views.submit}}
