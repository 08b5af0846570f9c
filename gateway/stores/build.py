"""Makes all stores of one worker on one database (and Redis, where `storage.state_url` names one)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.clock import Clock
from gateway.config.schema import Config
from gateway.keyring import KeyRing
from gateway.stores.protocols.core import AuditLog, Changes, Credentials, Ledger, SessionStore, SpentBudgets
from gateway.stores.protocols.sms import SmsStores
from gateway.stores.sql.access_requests import SqlAccessRequests
from gateway.stores.sql.audit_log import SqlAuditLog
from gateway.stores.sql.audit_search import SqlAuditSearch
from gateway.stores.sql.changes import SqlChanges
from gateway.stores.sql.credentials import SqlCredentials
from gateway.stores.sql.devices import SqlDevices
from gateway.stores.sql.federated_accounts import SqlFederatedAccounts
from gateway.stores.sql.migrate import migrate
from gateway.stores.sql.oidc import SqlConsents, SqlGrants, SqlLogins
from gateway.stores.sql.phone_changes import SqlPhoneChanges
from gateway.stores.sql.places import SqlPlaces
from gateway.stores.sql.sessions import SqlSessions
from gateway.stores.sql.sms_blocks import SqlSmsBlocks
from gateway.stores.sql.sms_messages import SqlSmsMessages
from gateway.stores.sql.spent_budgets import SqlSpentBudgets
from gateway.stores.sql.tokens import SqlTokens
from gateway.stores.state import State, open_state

_ENDED_KEPT = 30 * 86400.0
"""Seconds for which access requests that are over stay readable; the audit log has them for longer."""
_UNTOLD = 3600.0
"""Changes of numbers are kept at least until the old number has heard of them."""


@dataclass(frozen=True, slots=True)
class Stores:
    """`purges` drop what has expired; each is called now and then."""

    engine: AsyncEngine
    sessions: SessionStore
    state: State
    spent: SpentBudgets
    changes: Changes
    audit_log: AuditLog
    credentials: Credentials
    devices: SqlDevices
    places: SqlPlaces
    tokens: SqlTokens
    audit_search: SqlAuditSearch
    access_requests: SqlAccessRequests
    sms: SmsStores
    grants: SqlGrants
    consents: SqlConsents
    logins: SqlLogins
    federated: SqlFederatedAccounts
    purges: tuple[Callable[[], Awaitable[object]], ...]

    @property
    def ledger(self) -> Ledger:
        return self.state.ledger

    async def start(self) -> None:
        await migrate(self.engine)
        await self.state.start()

    async def close(self) -> None:
        await self.state.close()
        await self.engine.dispose()


def build_stores(config: Config, engine: AsyncEngine, ring: KeyRing, clock: Clock) -> Stores:
    """Connects to nothing yet. Raises ConfigError."""
    sessions, state, changes = (
        SqlSessions(engine, clock),
        open_state(config.storage, engine, clock),
        SqlChanges(engine),
    )
    grants, logins, tokens = SqlGrants(engine), SqlLogins(engine), SqlTokens(engine)
    audit_log, devices, places = SqlAuditLog(engine), SqlDevices(engine), SqlPlaces(engine)
    access_requests, spent = SqlAccessRequests(engine), SqlSpentBudgets(engine, clock, ring.seal, ring.open)
    messages, blocks, phones = SqlSmsMessages(engine), SqlSmsBlocks(engine), SqlPhoneChanges(engine)
    return Stores(
        engine,
        sessions,
        state,
        spent,
        changes,
        audit_log,
        SqlCredentials(engine, ring.seal, ring.open),
        devices,
        places,
        tokens,
        SqlAuditSearch(engine),
        access_requests,
        SmsStores(messages, messages, blocks, phones),
        grants,
        SqlConsents(engine),
        logins,
        SqlFederatedAccounts(engine),
        purges=(
            lambda: sessions.purge(clock(), config.session.idle_timeout),
            lambda: state.ledger.purge(clock()),
            spent.purge,
            lambda: changes.purge(clock()),
            lambda: audit_log.purge(clock() - config.log.audit_kept),
            lambda: tokens.purge_owned(clock() - _ENDED_KEPT),
            lambda: devices.purge(clock()),
            lambda: grants.purge(clock()),
            lambda: logins.purge(clock()),
            lambda: places.purge(clock() - config.risk.remembered),
            lambda: access_requests.purge(clock() - _ENDED_KEPT),
            lambda: messages.purge(clock() - config.sms.messages_kept),
            lambda: blocks.purge(clock() - config.sms.pumping.window),
            lambda: phones.purge(clock() - max(config.sms.cool_off, _UNTOLD)),
        ),
    )
