"""Envoy's admin interface, on a unix socket in our private folder: what it serves, and how it is told to drain."""

import http.client
import json
import logging
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from gateway.engines.front_place import CLUSTERS, ENDPOINTS, GATEWAY, LISTENERS, ROUTES, STATS

log = logging.getLogger("gateway.engine")
PATIENCE = 2.0
"""Seconds for one answer."""
_VERSIONS = {
    LISTENERS: "listener_manager.lds.version_text",
    CLUSTERS: "cluster_manager.cds.version_text",
    ENDPOINTS: f"cluster.{GATEWAY}.version_text",
    ROUTES: f"http.{STATS}.rds.{STATS}.version_text",
}
_STATS = re.compile(r"^([\w.-]+): (.*)$", re.MULTILINE)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("admin", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class EnvoyAdmin:
    """Asks; whatever is not answered is as good as a no."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rejected = 0

    def mark(self) -> None:
        """New files are about to be written: `rejects` is about these."""
        self._rejected = self._rejections()

    def rejects(self) -> bool:
        """Whether Envoy has read what was written since, and does not take it."""
        return self._rejections() > self._rejected

    def _rejections(self) -> int:
        return sum(int(count) for count in self.stats(r"update_rejected$").values())

    def serves(self, files: Mapping[str, str]) -> bool:
        """Whether Envoy serves with these files."""
        status, _ = self._ask("GET", "/ready")
        if status != 200:
            return False
        found = self.stats(r"version_text$|warming|total_listeners_active")
        from gateway.engines.front_envoy import version_of  # not above: see Worker, on metrics

        wanted = {name: version_of(files[file]) for file, name in _VERSIONS.items()}
        listeners = len(json.loads(files[LISTENERS])["resources"])
        return (
            all(found.get(name, "").strip('"') == version for name, version in wanted.items())
            and found.get("cluster_manager.warming_clusters") == "0"
            and found.get("listener_manager.total_listeners_warming") == "0"
            and found.get("listener_manager.total_listeners_active") == str(listeners)
        )

    def requests_under_way(self) -> int:
        """Without WebSockets."""
        found = self.stats(rf"^http\.{STATS}\.downstream_(rq|cx_upgrades)_active$")
        requests, upgrades = (
            int(found.get(f"http.{STATS}.downstream_{what}_active", 0)) for what in ("rq", "cx_upgrades")
        )
        return requests - upgrades

    def post(self, path: str) -> None:
        status, _ = self._ask("POST", path)
        if status != 200:
            log.warning("Envoy does not take %s (%d)", path, status)

    def stats(self, pattern: str) -> dict[str, str]:
        """Return the numbers and texts whose names match; none if it does not answer."""
        _, body = self._ask("GET", f"/stats?filter={quote(pattern)}")
        return dict(_STATS.findall(body))

    def _ask(self, method: str, path: str) -> tuple[int, str]:
        connection = _UnixConnection(self._path)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()
