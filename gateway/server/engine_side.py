"""What a worker has for Envoy, our front door: an answer to its questions, a log of what it carries, a look at it."""

import socket
from collections.abc import Sequence

from gateway.engines.front_place import ENDED
from gateway.observability.access_log import AccessLog
from gateway.portal.health import Health
from gateway.portal.services import Services
from gateway.server.behind_engine import Readiness, folder_of
from gateway.server.carried import CarriedRequests
from gateway.server.carried_log import CarriedLog
from gateway.server.fastpath import FastPath


def engine_side(
    sockets: Sequence[socket.socket], health: Health, fast: FastPath, access: AccessLog, services: Services
) -> tuple[CarriedRequests, CarriedLog]:
    """Make them for the Envoy to which these sockets belong; `readyz` speaks of it from now on."""
    folder = folder_of(sockets)
    health.also("engine", Readiness(folder))
    asked = CarriedRequests(
        config=services.config,
        fast=fast,
        access=access,
        routes=services.routes,
        sessions=services.sessions,
        pages=services.pages,
        ended=folder / ENDED,
    )
    return asked, CarriedLog(folder=folder, access=access)
