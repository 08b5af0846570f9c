"""Puts the account page together from the gateway's parts."""

from collections.abc import Mapping

from gateway.audit import Audit
from gateway.config.schema import Config
from gateway.devices import RememberedDevices
from gateway.directory.base import Directory, WritableDirectory
from gateway.factors.build import Factors
from gateway.limits import Limits
from gateway.portal.account import Account
from gateway.portal.account_news import AccountNews
from gateway.portal.account_password import PasswordChange
from gateway.portal.account_sessions import AccountSessions
from gateway.portal.account_views import AccountViews
from gateway.portal.enrolment import Enrolment
from gateway.portal.portal import View
from gateway.portal.render import Pages
from gateway.session import SessionLayer
from gateway.stores.base import AuditLog, Sessions


def account_pages(
    config: Config,
    directory: Directory,
    writable: WritableDirectory | None,
    factors: Factors,
    enrolment: Enrolment,
    layer: SessionLayer,
    records: Sessions,
    devices: RememberedDevices,
    limits: Limits,
    audit: Audit,
    activity: AuditLog,
    news: AccountNews,
    pages: Pages,
) -> Mapping[str, Mapping[str, View]]:
    """Pages by path, below the prefix."""
    places = AccountSessions(layer, records, devices, audit)
    views = AccountViews(
        Account(factors, enrolment, layer, directory, writable, news),
        places,
        PasswordChange(writable, layer, places, limits, audit, news) if writable is not None else None,
        activity,
        layer,
        pages,
        prefix=config.server.prefix,
        public_url=config.server.public_url,
    )
    return {"/account": {"GET": views.page, "POST": views.submit}}
