"""The pages for people who have no password (any more): reset and invitation, where the directory can be changed."""

from collections.abc import Mapping

from gateway.audit import Audit
from gateway.clock import Clock
from gateway.config.schema import Config
from gateway.directory.base import WritableDirectory
from gateway.invitations import Invitations
from gateway.limits import Limits
from gateway.notices import Notices
from gateway.portal.invite_views import InviteViews
from gateway.portal.portal import View
from gateway.portal.render import Pages
from gateway.portal.reset_views import ResetViews
from gateway.portal.resets import Resets
from gateway.portal.signin import SignIn
from gateway.portal.visitors import VisitorForms
from gateway.session import SessionLayer
from gateway.stores.base import Ledger, Sessions


def self_service(
    config: Config,
    directory: WritableDirectory | None,
    signin: SignIn,
    sessions: SessionLayer,
    records: Sessions,
    ledger: Ledger,
    limits: Limits,
    audit: Audit,
    notices: Notices,
    pages: Pages,
    clock: Clock,
) -> Mapping[str, Mapping[str, View]]:
    """Pages by path, below the prefix."""
    if directory is None:
        return {}
    prefix, public_url = config.server.prefix, config.server.public_url
    base = public_url.rstrip("/") + prefix
    forms = VisitorForms(sessions, pages, public_url=public_url)
    invitations = Invitations(directory, ledger, clock, base=base)
    invite = InviteViews(invitations, forms, sessions, limits, audit, pages, prefix=prefix)
    views: dict[str, Mapping[str, View]] = {"/invite": {"GET": invite.page, "POST": invite.submit}}
    if config.passwords.reset_by_mail:
        resets = Resets(directory, signin, records, ledger, limits, audit, notices, clock, base=base)
        reset = ResetViews(resets, forms, pages, prefix=prefix)
        views["/reset"] = {"GET": reset.page, "POST": reset.submit}
    return views
