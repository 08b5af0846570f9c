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
from gateway.server.process.engine_authorities import number_in


def engine_side(
    sockets: Sequence[socket.socket], health: Health, fast: FastPath, access: AccessLog, services: Services
) -> tuple[CarriedRequests, CarriedLog]:
    """Make them for the Envoy to which these sockets belong; `readyz` speaks of it from now on."""
    folder, tls = folder_of(sockets), services.config.server.tls
    health.also("engine", Readiness(folder))
    asked = CarriedRequests(
        config=services.config,
        fast=fast,
        access=access,
        routes=services.routes,
        sessions=services.sessions,
        pages=services.pages,
        ended=folder / ENDED,
        authorities=number_in(folder) if tls is not None and tls.client_ca_file is not None else None,
    )
    return asked, CarriedLog(folder=folder, access=access)
