"""What the cookie stands for: cookie <-> session record <-> principal.

`cookie` seals and opens the cookie, `cache` remembers the sessions that were read and knows when one ends by itself,
and `sessions` judges, raises and ends them. The truth (both expiries, revocation, what was proven) is in the
SessionStore.
"""

from gateway.session.sessions import Granted, Sessions, Visit

__all__ = ["Granted", "Sessions", "Visit"]
