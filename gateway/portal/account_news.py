"""Tells of changes to an account: the audit log always, its owner by mail to the address from before the change."""

from gateway.audit import Audit
from gateway.model import User
from gateway.notices import Notices
from gateway.portal.signin import Client


class AccountNews:
    def __init__(self, audit: Audit, notices: Notices) -> None:
        self._audit, self._notices = audit, notices

    def tell(self, user: User, client: Client, event: str, sentence: str, **data: object) -> None:
        """`user` as it was before. Neither `sentence` nor `data` may hold a secret or a whole number."""
        self._audit.record(event, user.username, client.ip, **data)
        text = _LETTER.format(brand=self._notices.brand, sentence=sentence, ip=client.ip)
        self._notices.mail(user.username, user.email, "your account was changed", text, about=event)


_LETTER = """Your account at {brand} was changed (IP address {ip}):

{sentence}

If this was you, there is nothing to do. If not, tell your administrator at once.
"""
