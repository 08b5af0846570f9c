"""Sessions: from the cookie to the stored record to the principal.

`cookie` seals and opens the cookie; `cache` keeps the sessions that were read and knows when one expires; `sessions`
loads, starts, raises and ends them. The store has the last word on expiry, revocation and what was proven.
"""

from gateway.session.cache import Granted, Visit
from gateway.session.sessions import Sessions

__all__ = ["Granted", "Sessions", "Visit"]
