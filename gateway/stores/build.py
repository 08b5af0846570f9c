"""Makes all stores of one worker on one database (and Redis, where `storage.state_url` names one)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.clock import Clock
from gateway.config.schema import Config
from gateway.keyring import KeyRing
from gateway.stores.audit_archive import AuditArchiveFolder
from gateway.stores.protocols.core import AuditLog, Changes, Credentials, DeviceKeys, SessionStore
from gateway.stores.protocols.ledger import Ledger, SpentBudgets
from gateway.stores.protocols.sms import SmsStores
from gateway.stores.sql.access_requests import SqlAccessRequests
from gateway.stores.sql.audit_log import SqlAuditLog
from gateway.stores.sql.audit_retention import AuditKept, AuditRetention
from gateway.stores.sql.audit_search import SqlAuditSearch
from gateway.stores.sql.credentials import SqlCredentials
from gateway.stores.sql.database_clock import DatabaseClock
from gateway.stores.sql.devices import SqlDevices
from gateway.stores.sql.federated_accounts import SqlFederatedAccounts
from gateway.stores.sql.key_names import claim_keys
from gateway.stores.sql.migrate import migrate
from gateway.stores.sql.oidc import SqlConsents, SqlGrants, SqlLogins
from gateway.stores.sql.places import SqlPlaces
from gateway.stores.sql.provider_sign_ins import SqlProviderSignIns
from gateway.stores.sql.purge import AUDIT_ROWS, Purge
from gateway.stores.sql.registrations import SqlRegistrations
from gateway.stores.sql.scim import SqlProvisionedNames
from gateway.stores.sql.session_search import SqlSessionSearch
from gateway.stores.sql.sessions import SqlChanges, SqlSessions
from gateway.stores.sql.sms import SqlPhoneChanges, SqlSmsBlocks, SqlSmsMessages
from gateway.stores.sql.spent_budgets import SqlSpentBudgets
from gateway.stores.sql.subjects import SqlSubjects
from gateway.stores.sql.tokens import SqlTokens
from gateway.stores.state import State, open_state

_ENDED_KEPT = 30 * 86400.0
"""Seconds for which access requests that are over stay readable; the audit log has them for longer."""
_NOTED_LATE = 60.0
"""Seconds by which the store may be late in knowing that a session was used."""
_UNTOLD = 3600.0
"""Changes of numbers are kept at least until the old number has heard of them."""


@dataclass(frozen=True, slots=True)
class Stores:
    """All stores of the gateway.

    `purges` drop what has expired; each is called now and then, with the time of `time`.
    """

    engine: AsyncEngine
    sessions: SessionStore
    device_keys: DeviceKeys
    state: State
    spent: SpentBudgets
    changes: Changes
    audit_log: AuditLog
    credentials: Credentials
    devices: SqlDevices
    places: SqlPlaces
    tokens: SqlTokens
    audit_search: SqlAuditSearch
    session_search: SqlSessionSearch
    access_requests: SqlAccessRequests
    registrations: SqlRegistrations
    provisioned: SqlProvisionedNames
    sms: SmsStores
    grants: SqlGrants
    consents: SqlConsents
    logins: SqlLogins
    subjects: SqlSubjects
    federated: SqlFederatedAccounts
    provider_sign_ins: SqlProviderSignIns
    time: DatabaseClock
    keys_file: Path
    key_ids: Callable[[], Sequence[str]]
    key_problem: Callable[[], str]
    purges: tuple[Purge, ...]

    @property
    def ledger(self) -> Ledger:
        return self.state.ledger

    async def try_writing(self) -> None:
        """Write what a sign-in would, to each place that it writes to. Raises StoreUnavailable."""
        await self.ledger.hit("readyz", 60.0)  # a full Redis still takes some commands, but no count
        await self.time.try_writing()

    async def start(self) -> None:
        """Bring the tables up to date and see that database and key ring belong together. Raises StoreUnavailable,
        SchemaTooNew and ConfigError.
        """
        await migrate(self.engine)
        await self.time.now()
        await claim_keys(self.engine, self.keys_file, self.key_ids())
        await self.state.start()

    async def close(self) -> None:
        await self.state.close()
        await self.engine.dispose()


def _retention(config: Config, engine: AsyncEngine, ledger: Ledger) -> AuditRetention:
    archive = config.audit.archive
    return AuditRetention(
        engine=engine,
        kept=AuditKept(age=config.audit_age, size=config.audit.keep.size),
        ledger=ledger,
        write=AuditArchiveFolder(archive.folder, archive.key_file).write if archive else None,
    )


def build_stores(config: Config, engine: AsyncEngine, ring: KeyRing, clock: Clock) -> Stores:
    """Make the stores; connects to nothing yet. Raises ConfigError."""
    idle = config.session.idle_timeout + _NOTED_LATE
    sessions, state, changes = (
        SqlSessions(engine, clock),
        open_state(config.storage, engine, clock),
        SqlChanges(engine),
    )
    grants, logins, tokens = SqlGrants(engine), SqlLogins(engine), SqlTokens(engine)
    audit_log, devices, places = SqlAuditLog(engine), SqlDevices(engine), SqlPlaces(engine)
    access_requests, registrations, spent = (
        SqlAccessRequests(engine),
        SqlRegistrations(engine),
        SqlSpentBudgets(engine=engine, clock=clock, seal=ring.seal, open=ring.open),
    )
    provider_sign_ins, lives = SqlProviderSignIns(engine), config.session.lifetimes
    longest = max(lives.absolute, lives.kept) + _NOTED_LATE
    messages, blocks, phones = SqlSmsMessages(engine), SqlSmsBlocks(engine), SqlPhoneChanges(engine)
    return Stores(
        engine=engine,
        sessions=sessions,
        device_keys=sessions,
        state=state,
        spent=spent,
        changes=changes,
        audit_log=audit_log,
        credentials=SqlCredentials(engine, ring.seal, ring.open),
        devices=devices,
        places=places,
        tokens=tokens,
        audit_search=SqlAuditSearch(engine),
        session_search=SqlSessionSearch(engine),
        access_requests=access_requests,
        registrations=registrations,
        provisioned=SqlProvisionedNames(engine),
        sms=SmsStores(messages=messages, reports=messages, blocks=blocks, changes=phones),
        grants=grants,
        consents=SqlConsents(engine),
        logins=logins,
        subjects=SqlSubjects(engine, clock),
        federated=SqlFederatedAccounts(engine),
        provider_sign_ins=provider_sign_ins,
        time=DatabaseClock(engine, clock),
        keys_file=Path(config.session.keys_file),
        key_ids=lambda: [key.id for key in ring.keys],
        key_problem=ring.problem,
        purges=(
            Purge("sessions", lambda now: sessions.purge(now, idle), lambda now: sessions.share(now, idle)),
            Purge("ledger", state.ledger.purge),
            Purge("spent budgets", spent.purge),
            Purge("changes", changes.purge),
            Purge(
                AUDIT_ROWS,
                _retention(config, engine, state.ledger).purge,
                lambda now: audit_log.share(now - config.audit_age),
            ),
            Purge("users' tokens", lambda now: tokens.purge_owned(now - _ENDED_KEPT)),
            Purge("remembered devices", devices.purge, devices.share),
            Purge("OpenID grants", grants.purge, grants.share),
            Purge("OpenID logins", logins.purge),
            Purge("sign-ins at providers", lambda now: provider_sign_ins.purge(now - longest)),
            Purge("places", lambda now: places.purge(now - config.risk.remembered)),
            Purge("access requests", lambda now: access_requests.purge(now - _ENDED_KEPT)),
            Purge("registrations", registrations.purge),
            Purge("SMS messages", lambda now: messages.purge(now - config.sms.messages_kept)),
            Purge("SMS blocks", lambda now: blocks.purge(now - config.sms.pumping.window)),
            Purge("changed numbers", lambda now: phones.purge(now - max(config.sms.cool_off, _UNTOLD))),
        ),
    )
