"""`auth-gateway serve` whose sweep comes round after a second instead of some minutes."""

from bench.scale.watched import watched
from gateway.cli import main
from gateway.server import background

watched()
background.sweep.__defaults__ = (1.0,)
main()
