"""Puts the account page together from the gateway's parts."""

from functools import partial

from gateway.portal.account.change_notices import AccountNews
from gateway.portal.account.change_password import PasswordChange
from gateway.portal.account.enrolment import FactorEnrolment
from gateway.portal.account.factors import AccountFactors
from gateway.portal.account.links import doors
from gateway.portal.account.sessions import AccountSessions
from gateway.portal.account.views import AccountViews
from gateway.portal.request import Views
from gateway.portal.services import Services


def account_pages(parts: Services, enrolment: FactorEnrolment, news: AccountNews) -> Views:
    """Pages by path, below the prefix."""
    places = AccountSessions(parts.sessions, parts.records, parts.devices, parts.audit, parts.geo)
    password = (
        PasswordChange(parts.writable, parts.sessions, places, parts.passwords, news)
        if parts.writable is not None
        else None
    )
    views = AccountViews(
        AccountFactors(parts.factors, enrolment, parts.sessions, parts.directory, parts.writable, news),
        places,
        password,
        parts.audit_log,
        parts.factors.approval.asks,
        parts.sessions,
        parts.pages,
        partial(doors, parts.config),
        prefix=parts.prefix,
    )
    return {"/account": {"GET": views.page, "POST": views.submit}}
