"""What the doctor looks at beside the gateway itself: certificates, Twilio, what the audit log asks to be mended."""

import asyncio
import base64
from collections.abc import Iterator, Sequence

import aiohttp
from cryptography.x509 import load_pem_x509_certificates
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.cli.doctor.symptoms import Symptom
from gateway.config.schema import Config, SmsTwilio, SmsTwilioVerify
from gateway.config.sections.sms_migration import begins
from gateway.directory.build import build_directory
from gateway.directory.password_hashing import PasswordHashing
from gateway.stores.protocols.core import AuditRow
from gateway.stores.protocols.user_search import UserQuery
from gateway.stores.sql.audit_log import SqlAuditLog
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.migrate import newest_revision, usable_revision

DAY = 86400.0
SOON = 14 * DAY
"""Seconds before its end in which a certificate should have been renewed."""
PATIENCE = 10.0
_RECENT = 2000
_LOOKS, _BETWEEN = 100, 0.1
"""A directory elsewhere is read behind: how often to look whether that is done, and the seconds between."""
MENDABLE = (
    *("send_failed", "sms_undelivered", "sms_outage", "sms_cap_reached", "sms_range_blocked"),
    *("sms_channel_failed", "number_suspected", "sms_lookup_failed", "certificate_failed"),
)
"""Events whose `mend` tells the operator what to do (docs/logging.md)."""


def certificates(config: Config, now: float) -> Iterator[Symptom]:
    """Find certificates that have ended or end soon; `check` finds those that can't be read."""
    tls = config.server.tls
    # A certificate by ACME has its own lines: of readyz, of the metrics and of the audit log.
    files = {tls.cert_file} if tls is not None and tls.cert_file is not None else set()
    for file in files:
        try:
            ends = load_pem_x509_certificates(file.read_bytes())[0].not_valid_after_utc.timestamp()
        except (OSError, ValueError):
            continue
        if ends <= now:
            yield Symptom("server.tls", f"the certificate {file} has ended: browsers refuse it", "renew it")
        elif ends - now < SOON:
            problem = f"the certificate {file} ends in {(ends - now) / DAY:.0f} days"
            yield Symptom("server.tls", problem, "see why it was not renewed yet", wrong=False)


async def twilio(config: Config) -> list[Symptom]:
    """Ask Twilio whether it takes our account; sends nothing and costs nothing."""
    sms = config.sms
    if isinstance(sms, SmsTwilio):
        path = f"/2010-04-01/Accounts/{sms.account_sid}.json"
    elif isinstance(sms, SmsTwilioVerify):
        path = f"/v2/Services/{sms.service_sid}"
    else:
        return []
    pair = f"{sms.account_sid}:{sms.auth_token.get_secret_value()}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    limit, url = aiohttp.ClientTimeout(total=PATIENCE), str(sms.base_url).rstrip("/") + path
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, headers=headers) as client,
            client.get(url) as answer,
        ):
            body = await answer.json(content_type=None) if answer.status == 200 else {}
            return list(_of_twilio(answer.status, str(body.get("status", "active"))))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        problem = f"Twilio can't be reached: {type(error).__name__}"
        return [Symptom("sms.base_url", problem, "see that this machine may reach it (DNS, firewall, proxy)")]


def _of_twilio(status: int, account: str) -> Iterator[Symptom]:
    if status == 401:
        yield Symptom(
            "sms.auth_token", "Twilio refuses it (20003)", "copy account SID and token from its console"
        )
    elif status == 404:
        yield Symptom("sms", "Twilio knows no such account or service", "copy the SID from its console")
    elif status != 200:
        yield Symptom("sms", f"Twilio answers {status}", "see status.twilio.com", wrong=False)
    elif account != "active":
        yield Symptom(
            "sms.account_sid", f"the account at Twilio is {account}", "see its console: money, or a block"
        )


async def database(config: Config, now: float) -> list[Symptom]:
    """The schema, and what the audit log asked to be mended in the last day. Raises GatewayError."""
    engine = open_engine(config.storage.url)
    try:
        revision = await usable_revision(engine)
        if not revision:
            return [Symptom("storage.url", "the database is empty", "the first start fills it", wrong=False)]
        found = []
        if revision < newest_revision():
            problem = f"the database has schema {revision}, this version brings {newest_revision()}"
            found.append(
                Symptom(
                    "storage.url", problem, "restart the gateway: it was installed, not started", wrong=False
                )
            )
        else:
            found += await left_behind(config, engine, now)
        rows = await SqlAuditLog(engine).tail(_RECENT)
        return found + list(to_be_mended(rows, now))
    finally:
        await engine.dispose()


async def left_behind(config: Config, engine: AsyncEngine, now: float) -> list[Symptom]:
    """Count the users whom `sms.migration` refuses, or will. Raises GatewayError."""
    plan = config.sms.migration
    if plan.deadline is None or plan.after != "deny":
        return []
    people = build_directory(config, engine, PasswordHashing(config.passwords), lambda: now)
    wanted = UserQuery(factors="sms_alone", disabled=False, outside=plan.exempt_groups)
    try:
        found = await people.search.find(wanted, limit=1)
        for _ in range(_LOOKS):
            if found.complete:
                break
            await asyncio.sleep(_BETWEEN)
            found = await people.search.find(wanted, limit=1)
    finally:
        await people.close()
    if not found.total:
        return []
    least = "" if found.complete else "at least "
    verb = "refuses" if now >= begins(plan.deadline) else f"will refuse from {plan.deadline} on"
    return [
        Symptom(
            "sms.migration",
            f"the plan {verb} {least}{found.total} users who have SMS alone",
            "`auth-gateway sms report --all` names them: have them add an app or a passkey, or exempt a group",
            wrong=False,
        )
    ]


def to_be_mended(rows: Sequence[AuditRow], now: float) -> Iterator[Symptom]:
    """The newest event of each kind and cause with a mend, and how often it was there."""
    seen: dict[tuple[str, str], tuple[int, AuditRow]] = {}
    for row in rows:
        if row.event in MENDABLE and row.data.get("mend") and row.at > now - DAY:
            kind = (row.event, str(row.data.get("code") or row.data.get("cause") or ""))
            seen[kind] = (seen.get(kind, (0, row))[0] + 1, row)
    for (event, _), (count, row) in seen.items():
        cause = str(row.data.get("cause") or row.data.get("code") or event)
        times = "once" if count == 1 else f"{count} times"
        yield Symptom(
            f"audit: {event}", f"{cause} ({times} in the last day)", str(row.data["mend"]), wrong=False
        )
