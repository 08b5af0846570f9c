"""`auth-gateway serve` whose sweep comes round after a second instead of some minutes."""

from gateway.cli import main
from gateway.server import background

background.sweep.__defaults__ = (1.0,)
main()
