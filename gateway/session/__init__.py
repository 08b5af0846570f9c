"""What the cookie stands for: cookie <-> session record <-> principal.

`cookie` seals and opens the cookie, `cache` remembers the sessions that were read, `expiry` says when one ends by
itself, and `layer` judges, raises and ends them. The truth (both expiries, revocation, what was proven) is in the
Sessions store.
"""

from gateway.session.sessions import Granted, SessionLayer, Visit

__all__ = ["Granted", "SessionLayer", "Visit"]
