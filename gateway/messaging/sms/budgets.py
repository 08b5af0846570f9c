"""Counts messages against the budgets of user, number, address, range and all (docs/sms.md)."""

from collections.abc import Iterator, Sequence

from gateway.config.sections.sms_budgets import SmsBudgets
from gateway.errors import SendFailed
from gateway.messaging.addresses import range_of
from gateway.observability import metrics
from gateway.rate_limits import Budget, BudgetSpent, RateLimits, network_of
from gateway.stores.protocols.ledger import Hit, Value

Counted = Sequence[tuple[Budget, str]]
"""Budgets and the subjects that they were spent for."""
_HOUR, _DAY = 3600.0, 86400.0
_SHARED = frozenset({"ip_hourly", "ip_daily", "prefix_hourly", "prefix_daily"})
_ABOUT = {"user": "user", "number": "number", "ip": "address"}


async def spend_budgets(
    limits: RateLimits, config: SmsBudgets, *, username: str, phone: str, ip: str, known: bool = False
) -> Counted:
    """Count one message against all budgets, those of its address and range only if its user is not `known`.

    Returns what was counted, for `give_back`.

    Raises SendFailed (code "budget"), with nothing counted, when one is spent.
    """
    spends = _counting(config, username, phone, ip, known)
    counted = [(budget, subject) for budget, _, subject in spends]
    try:
        await limits.spend_all(counted)
    except BudgetSpent as spent:
        key = next(key for budget, key, _ in spends if budget == spent.budget)
        metrics.sms_refused.labels(key).inc()
        raise SendFailed(
            f"SMS budget {spent.budget.name} is spent",
            code="budget",
            mend=f"wait {spent.retry_after} s, or raise sms.budgets.{key}; see `auth-gateway sms status`",
        ) from spent
    return counted


async def spend_with_money(
    limits: RateLimits,
    config: SmsBudgets,
    money: Hit,
    keep: Value | None,
    *,
    username: str,
    phone: str,
    ip: str,
    known: bool = False,
) -> tuple[Counted, int] | None:
    """Count one message as `spend_budgets` does, with its `money` and storing `keep`, in one step.

    Returns what was counted and the money so far; None if anything was full, and then nothing is counted or stored.
    """
    counted = [(budget, subject) for budget, _, subject in _counting(config, username, phone, ip, known)]
    counts = await limits.count_all(counted, money, keep=keep)
    return None if counts is None else (counted, counts[-1])


async def give_back(limits: RateLimits, counted: Counted) -> None:
    """The message that was counted did not go out."""
    await limits.settle(back=counted, forget=())


def _counting(
    config: SmsBudgets, username: str, phone: str, ip: str, known: bool
) -> Sequence[tuple[Budget, str, str]]:
    return [one for one in _budgets(config, username, phone, ip) if not known or one[1] not in _SHARED]


def _budgets(config: SmsBudgets, username: str, phone: str, ip: str) -> Iterator[tuple[Budget, str, str]]:
    """The narrow ones first: who has spent their own must not use up everyone's."""
    subjects = (("user", username), ("number", phone), ("ip", network_of(ip)), ("prefix", range_of(phone)))
    for kind, subject in (*subjects, ("", "all")):
        for span, window in (("hourly", _HOUR), ("daily", _DAY)):
            key = f"{kind}_{span}".lstrip("_")
            name, about = f"sms-{kind or 'all'}-{span}", _ABOUT.get(kind, "")
            yield Budget(name=name, limit=getattr(config, key), window=window, about=about), key, subject
