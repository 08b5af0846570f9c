"""The pages of the admin console with sample data."""

from dataclasses import replace
from datetime import date
from ipaddress import ip_address
from typing import Any

from gateway.admin.bulk import Act, BulkReport, Plan
from gateway.admin.charts import bar_chart
from gateway.admin.explain import answered
from gateway.admin.overview import Overview, Warned
from gateway.admin.pages.base import MENU
from gateway.admin.pages.routes import RouteRow
from gateway.admin.pages.sms import Cap, SmsAlone, SmsNumbers
from gateway.admin.pages.user_filters import FIELDS, UserFilter
from gateway.admin.revocation import HeldDevice, HeldFactor, Seat
from gateway.admin.safeguards import OWN_FACTORS
from gateway.admin.traffic import Traffic
from gateway.admin.user_import import ImportLine, ImportPlan
from gateway.admin.users import OneTimeLink
from gateway.authn.attacks import Attack
from gateway.authn.lockouts import Lockout
from gateway.config.schema import Policy, Route
from gateway.config.sections.sms_migration import SmsMigration
from gateway.directory.user_files import BadLine
from gateway.i18n.text import N_
from gateway.model import User
from gateway.policy.decide import Routes
from gateway.proxy.proxy import UpstreamHealth
from gateway.request.target import nowhere
from gateway.stores.protocols.audit import AuditEntry
from gateway.stores.protocols.core import AuditRow
from gateway.stores.protocols.registrations import Registration
from gateway.stores.protocols.sms import SmsBlock, SmsCost, SmsMessage, SmsRates, SmsSpend
from gateway.stores.protocols.user_search import FoundUsers, UserQuery

NOW = 1_800_000_000.0
BASE: dict[str, Any] = {"csrf_token": "t", "menu": MENU, "home": "/_auth/admin"}
MIRA = User(
    "mira", "Mira Holm", "mira@harbour.example", "+4915112345678", ("admins", "staff"), password_hash="x"
)
OTTO = User("otto", "Otto Berg", "otto@harbour.example", "", ("staff",), disabled=True, password_hash="x")
SEATS = [
    Seat(
        "1", "mira", "Firefox on Linux", "198.51.100.7", "DE", ("password", "totp"), NOW, NOW, NOW + 9, True
    ),
    Seat(
        "2",
        "otto",
        "Safari on iPhone",
        "2001:db8::17",
        "",
        ("password", "sms"),
        NOW - 5000,
        NOW - 60,
        NOW + 9,
    ),
]
WAITING = [
    Registration(
        "1", "mira.lund@harbour.example", "Mira Lund", "+4915112345678", "de", "waiting", NOW, NOW + 9
    ),
    Registration("2", "otto@harbour.example", "Otto Berg", "", "en", "waiting", NOW + 60, NOW + 99),
]
ENTRIES = [
    AuditEntry(
        3,
        AuditRow(
            NOW,
            "user_changed",
            "otto",
            "198.51.100.7",
            {
                "by": "mira",
                "fields": ["groups", "phone"],
                "changes": {"groups": [["staff"], ["staff", "wiki"]], "phone": [None, "+49•••••678"]},
            },
        ),
    ),
    AuditEntry(
        2, AuditRow(NOW - 60, "login", "mira", "198.51.100.7", {"factors": ["password", "totp"], "sid": "x"})
    ),
    AuditEntry(1, AuditRow(NOW - 90, "password_failed", "<b>nobody", "203.0.113.9", {})),
]
TRAFFIC = Traffic(
    48210, 312, {"2": 47800, "4": 390, "5": 20}, {0.005: 20000, 0.01: 40000, 0.05: 48000, float("inf"): 48210}
)
UPSTREAMS = [
    UpstreamHealth("wiki", "http://10.0.0.5:9000", True),
    UpstreamHealth("wiki", "http://10.0.0.6:9000", False, "[Errno 111] Connection refused"),
]
ROUTE = Route(
    name="wiki", host="wiki.example.com", upstream="http://10.0.0.5:9000", policy=Policy(groups=("staff",))
)
HOURS = [f"{hour:02}:00" for hour in range(24)]
LOGINS = [2, 1, 0, 0, 1, 4, 12, 38, 71, 64, 40, 33, 45, 52, 47, 39, 30, 22, 14, 9, 8, 6, 4, 3]
OVERVIEW = Overview(
    "0.1.0",
    128,
    3,
    87,
    545,
    61,
    402,
    2,
    TRAFFIC,
    bar_chart(HOURS, {"good": LOGINS, "bad": [value // 9 for value in LOGINS]}),
    bar_chart(["≤ 5 ms", "≤ 10 ms", "≤ 50 ms", "∞"], {"requests": [20000, 20000, 8000, 210]}, ticks=5),
    UPSTREAMS,
    [Warned("config.yaml:3", "server.public_url", "is plain http beyond localhost", "serve https")],
)
MESSAGE = SmsMessage(
    "m",
    "otto",
    "s",
    "+49•••••678",
    "n",
    "r",
    "DE",
    "twilio",
    "sms",
    81000,
    "USD",
    NOW,
    status="delivered",
    priced=True,
)
SMS = SmsNumbers(
    "USD",
    [Cap("sms", 4.2, 100.0), Cap("call", 0.0, 20.0)],
    [SmsSpend("DE", "sms", "USD", 40, 3240000)],
    [SmsRates("DE", 240, 230, 4, 6, 221)],
    [MESSAGE, replace(MESSAGE, status="failed", error="30003", priced=False)],
    [SmsBlock("+99890", NOW, NOW + 9999, 20, 0)],
)
SMS_PAGE: dict[str, Any] = {
    "sms": SMS,
    "costs": [SmsCost("DE", "USD", 240, 221, 200, 19440000), SmsCost("FR", "USD", 2, 0, 0, 160000)],
    "alone": SmsAlone(410, FoundUsers([MIRA], 37, {}), 30),
    "plan": SmsMigration(),
    "ended": False,
}
PLAN = SmsMigration(nudge_from=date(2027, 4, 1), deadline=date(2027, 10, 1), after="deny")
ATTACKS = [
    Attack("otto", 4212, (("198.51.100.7", 3000), ("2001:db8:17::/64", 1190)), 22, NOW - 7000, NOW - 3),
    Attack("unknown:1f2e3d4c", 12, (("203.0.113.9", 12),), 0, NOW - 600, NOW - 60),
]
BLOCKED = [
    Lockout("user", "otto", "failures:code", 100, 100, NOW + 9e6),
    Lockout("user", "unknown:1f2e3d4c", "password-user", 10, 10, NOW + 400),
    Lockout("address", "2001:db8:17::/64", "password-ip", 30, 30, NOW + 300),
    Lockout("number", "+49•••••678", "sms-number-hourly", 10, 10, NOW + 200),
]
USER: dict[str, Any] = {
    "user": OTTO,
    "version": "v",
    "link": None,
    "entered": {},
    "recent": ENTRIES,
    "sessions": SEATS[1:],
    "factors": [
        HeldFactor("a", "totp", "Phone", N_("Authenticator app"), NOW, NOW),
        HeldFactor("sms", "sms", N_("Text message")),
    ],
    "devices": [HeldDevice("d", "Firefox on Linux", "198.51.100.7", NOW, NOW)],
    "can_change": True,
    "origin": "",
    "own": False,
    "blocked": BLOCKED[:1],
    "known": {"line_type": ("mobile", NOW), "sim_swap": (0.0, NOW), "reassigned": (False, NOW)},
}
USERS: dict[str, Any] = {
    "users": [MIRA, OTTO],
    "total": 128,
    "complete": True,
    "last": {"mira": NOW},
    "asked": UserFilter({**dict.fromkeys(FIELDS, ""), "idle": "45"}, UserQuery(sort="last_sign_in")),
    "entered": dict.fromkeys(("username", "name", "email", "phone", "groups"), ""),
    "after": "otto",
    "can_change": True,
    "origin": lambda user: "users.yaml:12",
    "admins": ("admins",),
}
AUDIT: dict[str, Any] = {"entries": [], "event_names": ("login", "logout"), "older": "", "export": "user=x"}
GIVEN = dict.fromkeys(("user", "event", "ip", "since", "until", "text"), "")
ASKED = {
    "url": "https://wiki.example.com/",
    "method": "GET",
    "ip": "198.51.100.7",
    "user": "otto",
    "amr": "password",
}


def _page(template: str, here: str, **context: Any) -> tuple[str, dict[str, Any]]:
    return f"admin/{template}", {**BASE, "here": here, **context}


ADMIN_PAGES = {
    "admin": _page("overview.html", "", now=OVERVIEW),
    "admin-users": _page("users.html", "/users", **USERS),
    "admin-users-elsewhere": _page(
        "users.html", "/users", **{**USERS, "can_change": False, "after": "", "complete": False}
    ),
    "admin-users-bulk": _page(
        "bulk.html",
        "/users",
        plan=Plan(Act("add_group", "wiki"), [MIRA], [("otto", N_("Nothing to do."))]),
        total=1200,
        most=1000,
        undo=True,
        address="all=1",
        back="",
    ),
    "admin-users-bulk-nobody": _page(
        "bulk.html",
        "/users",
        plan=Plan(Act("reset_factors"), [], [("mira", OWN_FACTORS)]),
        total=1,
        most=1000,
        undo=False,
        address="",
        back="",
    ),
    "admin-users-done": _page(
        "bulk_done.html",
        "/users",
        report=BulkReport("disable", "", ["mira"], [("otto", "there is no such user")]),
        id="abc",
    ),
    "admin-users-import": _page("import.html", "/users", text="", plan=None, done=None),
    "admin-users-import-preview": _page(
        "import.html",
        "/users",
        text="username\nnina\n",
        plan=ImportPlan(
            [
                ImportLine(2, replace(MIRA, username="nina"), None, None, ()),
                ImportLine(3, OTTO, None, OTTO, ("groups",)),
            ],
            [BadLine(4, "this row does not have 3 columns")],
            1,
        ),
        done=None,
    ),
    "admin-users-imported": _page(
        "import.html", "/users", text="", plan=ImportPlan((), [BadLine(4, "no")], 1), done=2
    ),
    "admin-user": _page("user.html", "/users", **USER),
    "admin-user-link": _page(
        "user.html",
        "/users",
        **{
            **USER,
            "factors": [],
            "sessions": [],
            "devices": [],
            "recent": [],
            "blocked": [],
            "link": OneTimeLink("invitation", "https://harbour.example/_auth/invite?token=abc", True),
        },
    ),
    "admin-user-elsewhere": _page(
        "user.html", "/users", **{**USER, "can_change": False, "origin": "users.yaml:12"}
    ),
    "admin-sessions": _page("sessions.html", "/sessions", sessions=SEATS, total=2, user="otto", next=2),
    "admin-registrations": _page("registrations.html", "/registrations", waiting=WAITING),
    "admin-registrations-nobody": _page("registrations.html", "/registrations", waiting=[]),
    "admin-blocked": _page("blocked.html", "/blocked", blocked=BLOCKED, total=204, attacks=ATTACKS),
    "admin-blocked-nobody": _page("blocked.html", "/blocked", blocked=[], total=0, attacks=[]),
    "admin-audit": _page(
        "audit.html",
        "/audit",
        **{**AUDIT, "entries": ENTRIES, "given": GIVEN, "older": "before=1", "export": ""},
    ),
    "admin-audit-nothing": _page("audit.html", "/audit", given=GIVEN, **AUDIT),
    "admin-changes": _page("changes.html", "/changes", entries=ENTRIES[:1], given={}, older="before=1"),
    "admin-routes": _page(
        "routes.html",
        "/routes",
        given=ASKED,
        engine="embedded",
        apps=[("Wiki", "wiki", "config.yaml:40")],
        rows=[RouteRow(ROUTE, "config.yaml:12", [(ROUTE.access[0], "config.yaml:14")], UPSTREAMS, TRAFFIC)],
        answer=answered(
            Routes([ROUTE]),
            ASKED["url"],
            "GET",
            str(ip_address(ASKED["ip"])),
            OTTO,
            ("password",),
            NOW,
            nowhere,
        ),
    ),
    "admin-sms": _page("sms.html", "/sms", **SMS_PAGE),
    "admin-sms-plan": _page("sms.html", "/sms", **{**SMS_PAGE, "plan": PLAN}),
    "admin-sms-ended": _page("sms.html", "/sms", **{**SMS_PAGE, "costs": [], "plan": PLAN, "ended": True}),
}
