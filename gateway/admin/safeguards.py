"""Refuses what would lock an administrator out: the actor, or the last one. Pure."""

from collections.abc import Iterable, Sequence

from gateway.admin.actor import Actor
from gateway.errors import GatewayError
from gateway.i18n.text import N_, Text
from gateway.model import User

OWN_ACCOUNT = N_("You can’t disable or delete your own account. Ask another administrator.")
OWN_GROUP = N_("You can’t take yourself out of the administrators. Ask another administrator.")
OWN_FACTORS = N_("Change your own second factors and password on your account page.")
LAST = N_("This is the last administrator. Make somebody else one first.")


class Locked(GatewayError):
    """The change would lock an administrator out."""

    status = 409

    def __init__(self, reason: Text) -> None:
        super().__init__(str(reason), public=reason)


def is_admin(user: User, groups: Sequence[str]) -> bool:
    return not user.disabled and not set(groups).isdisjoint(user.groups)


def check(
    actor: Actor, before: User, after: User | None, admins: Iterable[User], groups: Sequence[str]
) -> None:
    """Raise Locked if the change would lock somebody out. `after` is None for deleting.

    Of `admins`, two are enough: one of them may be `before`.
    """
    own = actor.name == before.username
    gone = after is None or after.disabled
    if own and gone:
        raise Locked(OWN_ACCOUNT)
    if not is_admin(before, groups) or (after is not None and is_admin(after, groups)):
        return
    if own:
        raise Locked(OWN_GROUP)
    if not any(is_admin(one, groups) for one in admins if one.username != before.username):
        raise Locked(LAST)


def check_own_factors(actor: Actor, user: User) -> None:
    """An administrator without second factors could add one with the password alone. Raises Locked."""
    if actor.name == user.username:
        raise Locked(OWN_FACTORS)
