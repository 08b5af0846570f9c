"""Sessions: from the cookie to the stored record to the principal.

`cookie` seals and opens the cookie; `reading` says whom it stands for and knows when a session expires, mostly from
what `cache` remembers; `sessions` starts, raises and ends them. The store has the last word on expiry, revocation and
what was proven.
"""

from gateway.session.cookie import Visit
from gateway.session.reading import Granted
from gateway.session.sessions import Sessions

__all__ = ["Granted", "Sessions", "Visit"]
