"""Programs that speak SCIM, for tests: the standard's own checker over a real connection, and single calls."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import requests
from scim2_client import BaseSyncSCIMClient

from tests.rig import Rig

SCIM = "/_auth/scim/v2"


class BlockingClient(BaseSyncSCIMClient):
    """The checker's client."""

    def __init__(self, base: str, headers: Mapping[str, str]) -> None:
        super().__init__()
        self._base, self._headers = base, headers

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return not endpoint.startswith(("http:", "https:", "//")) or endpoint.startswith(self._base)

    def _parse_json(self, response: Any) -> Any:
        return response.json()

    def request(self, method: str, url: str, **more: Any) -> Any:
        address = url if url.startswith("http") else self._base + url
        headers = {**self._headers, **dict(more.pop("headers", None) or {})}
        return requests.request(method, address, headers=headers, timeout=60, **more)


class Program:
    """A directory elsewhere, as it calls us."""

    def __init__(self, rig: Rig, headers: Mapping[str, str]) -> None:
        self._rig, self._headers = rig, headers

    async def call(self, method: str, path: str, body: object = None, **query: str) -> tuple[int, Any]:
        """Return the status and the JSON of the answer."""
        headers = {**self._headers, "Content-Type": "application/scim+json"}
        address = self._rig.url + SCIM + path
        async with (
            aiohttp.ClientSession() as client,
            client.request(method, address, json=body, params=query, headers=headers) as response,
        ):
            text = await response.text()
            return response.status, json.loads(text) if text else None


USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


def user(name: str, /, **facts: Any) -> dict[str, Any]:
    return {"schemas": [USER], "userName": name, **facts}


def group(name: str, /, **facts: Any) -> dict[str, Any]:
    return {"schemas": [GROUP], "displayName": name, **facts}


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)}
