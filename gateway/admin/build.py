"""Builds the console: which page answers which path."""

from aiohttp import web

from gateway.admin.api.lockouts import BlockOperations
from gateway.admin.api.operation import Operation
from gateway.admin.api.records import RecordOperations
from gateway.admin.api.registrations import RegistrationOperations
from gateway.admin.api.router import Router
from gateway.admin.api.state import StateOperations
from gateway.admin.api.users import UserOperations
from gateway.admin.authorization import ConsoleAuthorization
from gateway.admin.bulk import BulkActs
from gateway.admin.dispatch import Console
from gateway.admin.lockouts import AdminBlocks
from gateway.admin.pages.audit import AuditScreens
from gateway.admin.pages.base import Paper
from gateway.admin.pages.blocked import BlockedScreens
from gateway.admin.pages.bulk import BulkScreens
from gateway.admin.pages.registrations import RegistrationScreens
from gateway.admin.pages.routes import RouteScreens
from gateway.admin.pages.sessions import SessionScreens
from gateway.admin.pages.sms import SmsScreens
from gateway.admin.pages.user_files import UserFileScreens
from gateway.admin.pages.users import UserScreens
from gateway.admin.registrations import AdminRegistrations
from gateway.admin.revocation import Accesses
from gateway.admin.services import AdminServices
from gateway.admin.user_import import UserImport
from gateway.admin.users import UserChanges
from gateway.portal.request import PortalRequest, Views


def admin_pages(admin: AdminServices) -> Views:
    """Pages by path, below the gateway's prefix."""
    door, paper = ConsoleAuthorization(admin), Paper(admin)
    people, accesses, blocks = UserChanges(admin), Accesses(admin), AdminBlocks(admin)
    users, sessions = (
        UserScreens(paper=paper, people=people, accesses=accesses, blocks=blocks),
        SessionScreens(paper, accesses),
    )
    files = UserFileScreens(paper, UserImport(admin, people))
    bulk = BulkScreens(paper, BulkActs(admin, people, accesses))
    audit, routes, blocked = AuditScreens(paper), RouteScreens(paper), BlockedScreens(paper, blocks)
    registrations = RegistrationScreens(paper, AdminRegistrations(admin))
    console = Console(
        admin,
        door,
        {
            "": {"GET": sessions.overview},
            "/users": {"GET": users.list, "POST": users.add},
            "/user": {"GET": users.show, "POST": users.act},
            "/users/bulk": {"GET": bulk.preview, "POST": bulk.act},
            "/users/done": {"GET": bulk.done, "POST": bulk.undo},
            "/users/import": {"GET": files.show, "POST": files.take},
            "/users.csv": {"GET": files.give},
            "/users.yaml": {"GET": users.export},
            "/sessions": {"GET": sessions.list, "POST": sessions.end},
            "/blocked": {"GET": blocked.list, "POST": blocked.lift},
            "/registrations": {"GET": registrations.list, "POST": registrations.decide},
            "/audit": {"GET": audit.list},
            "/audit/export": {"GET": audit.export},
            "/changes": {"GET": audit.changes},
            "/routes": {"GET": routes.list},
            "/sms": {"GET": SmsScreens(paper).show},
        },
    )
    operations = all_operations(admin, people, accesses, blocks, paper)
    router = Router(admin=admin, door=door, operations=operations)

    async def below(request: PortalRequest) -> web.StreamResponse:
        api = request.target.path.startswith(f"{admin.home}/api/")
        return await (router if api else console).handle(request)

    page = {"GET": console.handle, "POST": console.handle}
    return {"/admin": page, "/admin/*": dict.fromkeys(("GET", "POST", "PATCH", "DELETE", "PUT"), below)}


def all_operations(
    admin: AdminServices, people: UserChanges, accesses: Accesses, blocks: AdminBlocks, paper: Paper
) -> list[Operation]:
    """Return every operation of the API."""
    return [
        *StateOperations(admin, accesses).all(),
        *UserOperations(admin, people, accesses).all(),
        *BlockOperations(people, blocks).all(),
        *RegistrationOperations(AdminRegistrations(admin)).all(),
        *RecordOperations(admin, accesses, paper).all(),
    ]
