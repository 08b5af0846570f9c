"""Puts the console together: which page answers which path."""

from gateway.admin.access import Accesses
from gateway.admin.console import Console
from gateway.admin.door import Door
from gateway.admin.parts import AdminParts
from gateway.admin.people import People
from gateway.admin.screen import Paper
from gateway.admin.screens_audit import AuditScreens
from gateway.admin.screens_routes import RouteScreens
from gateway.admin.screens_sessions import SessionScreens
from gateway.admin.screens_sms import SmsScreens
from gateway.admin.screens_users import UserScreens
from gateway.portal.ask import Views


def admin_pages(admin: AdminParts) -> Views:
    """Pages by path, below the gateway's prefix."""
    door, paper = Door(admin), Paper(admin)
    people, accesses = People(admin), Accesses(admin)
    users, sessions = UserScreens(paper, people, accesses), SessionScreens(paper, accesses)
    audit, routes = AuditScreens(paper), RouteScreens(paper)
    console = Console(
        admin,
        door,
        {
            "": {"GET": sessions.overview},
            "/users": {"GET": users.list, "POST": users.add},
            "/user": {"GET": users.show, "POST": users.act},
            "/users.yaml": {"GET": users.export},
            "/sessions": {"GET": sessions.list, "POST": sessions.end},
            "/audit": {"GET": audit.list},
            "/audit/export": {"GET": audit.export},
            "/changes": {"GET": audit.changes},
            "/routes": {"GET": routes.list},
            "/sms": {"GET": SmsScreens(paper).show},
        },
    )
    page = {"GET": console.handle, "POST": console.handle}
    return {"/admin": page, "/admin/*": page}
