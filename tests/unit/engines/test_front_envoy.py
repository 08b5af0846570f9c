"""The files that `serve` writes for Envoy: a golden file for one configuration, and what must always hold."""

import json
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

from gateway.config.schema import Config
from gateway.engines.carrying import carried, version_of
from gateway.engines.front_envoy import front_files
from gateway.engines.front_known import KEEP_FOR
from gateway.engines.front_place import CheckedBy, EnginePlace
from gateway.engines.front_watch import ASK_AGAIN_AFTER
from gateway.session.reading import SessionReader

GOLDEN = Path(__file__).parents[2] / "data" / "front_envoy.json"
PLACE = EnginePlace(
    folder=Path("/run/gateway"),
    socket="/run/gateway/workers-1.sock",
    addresses=(("0.0.0.0", 443), ("::", 443)),
    workers=2,
    certificate="CERTIFICATE",
    key="KEY",
)
CONFIG: dict[str, Any] = {
    "server": {
        "engine": "envoy",
        "listen": "0.0.0.0:443",
        "public_url": "https://login.example.com",
        "proxy_protocol": ["10.0.0.0/8"],
        "tls": {"cert_file": "chain.pem", "key_file": "key.pem"},
    },
    "routes": [
        {"host": "wiki.example.com", "upstream": "https://wiki.internal"},
        {"host": "api.example.com", "upstream": "h2c://127.0.0.1:50051", "policy": {"require": "one_factor"}},
        {
            "host": "blog.example.com",
            "path": "/blog",
            "strip_path": True,
            "upstream": "http://127.0.0.1:9000",
        },
    ],
}


def files() -> dict[str, Any]:
    config = Config.model_validate(CONFIG)
    text = json.dumps({name: json.loads(content) for name, content in front_files(config, PLACE).items()})
    for number, name in enumerate(carried(config), start=1):  # a digest of all that a route can say
        text = text.replace(name, f"app-of-route-{number}")
    text = text.replace(version_of(carried(config)), "version-of-all-routes")  # likewise
    made: dict[str, Any] = json.loads(text)
    for content in made.values():
        content.pop("version_info", None)
    return made


def test_the_files_are_as_in_the_golden_file() -> None:
    """Written anew by `python -m tests.unit.engines.test_front_envoy`; read what it changes."""
    assert files() == json.loads(GOLDEN.read_text())


def every(value: Any, key: str) -> list[Any]:
    """All that stands under a key, however deep."""
    if isinstance(value, dict):
        return [
            *([value[key]] if key in value else []),
            *(one for part in value.values() for one in every(part, key)),
        ]
    return [one for part in value for one in every(part, key)] if isinstance(value, list) else []


def test_the_admin_interface_is_no_tcp_port_and_keys_stand_in_one_file() -> None:
    made = files()
    assert made["envoy.json"]["admin"] == {
        "address": {"pipe": {"path": "/run/gateway/admin.sock", "mode": 0o600}}
    }
    assert [name for name, content in made.items() if "KEY" in json.dumps(content)] == ["secrets.json"]


def test_what_only_a_worker_may_say_is_taken_from_every_client() -> None:
    for listener in files()["listeners.json"]["resources"]:
        if listener["name"] in ("tcp", "quic"):
            (mutations,) = every(listener, "mutations")
            removed = {one["remove"] for one in mutations if "remove" in one}
            assert {
                "x-gateway-hop",
                "x-gateway-carry",
                "x-gateway-asks",
                "x-gateway-m-again",
                "x-gateway-certificate",
            } <= removed


def test_where_clients_are_asked_for_certificates_there_is_no_http_3_and_workers_are_told_by_whom() -> None:
    tls = {**CONFIG["server"]["tls"], "client_ca_file": "ca.pem"}
    config = Config.model_validate({**CONFIG, "server": {**CONFIG["server"], "tls": tls}})
    made = json.loads(front_files(config, replace(PLACE, authorities=CheckedBy("CA", 7)))["listeners.json"])
    assert [one["name"] for one in made["resources"]] == ["tcp", "app-0"]
    (checked,) = every(made, "validation_context")
    assert checked == {"trusted_ca": {"inline_string": "CA"}}
    (mutations,) = every(made, "mutations")
    told = [one["append"]["header"] for one in mutations if "append" in one]
    assert {"key": "x-gateway-certificate", "value": "7 %DOWNSTREAM_PEER_CERT%"} in told


def test_a_request_goes_to_the_workers_unless_it_carries_a_name() -> None:
    """The last ways are for everything, and an app is reached by name alone."""
    (routes,) = every(files()["routes.json"], "routes")
    assert [route["route"]["cluster"] for route in routes[-2:]] == ["gateway", "gateway"]
    assert [route["match"] for route in routes[-2:]] == [{"prefix": "/"}, {"path": "*"}]
    for route in routes:
        if "direct_response" in route:  # of a name that Envoy does not know
            assert route["match"]["headers"] == [{"name": "x-gateway-carry", "present_match": True}]
            assert route["direct_response"]["status"] == 503
        elif route["route"]["cluster"] != "gateway":
            (header,) = route["match"]["headers"]
            assert header["name"] == "x-gateway-carry"
            assert header["string_match"] == {"exact": route["route"]["cluster"]}


def test_no_app_and_no_worker_is_behind_envoys_own_limits() -> None:
    for cluster in files()["clusters.json"]["resources"]:
        (limits,) = every(cluster, "thresholds")[0]
        assert set(limits) == {"max_connections", "max_pending_requests", "max_requests", "max_retries"}
        assert min(limits.values()) >= 1_000_000


def test_what_envoy_keeps_and_what_a_worker_has_not_heard_yet_stay_below_two_seconds() -> None:
    """A revocation counts within 2 s. An answer under way is asked about once a second, at the workers' store."""
    heard = signature(SessionReader.follow_changes).parameters["interval"].default
    assert 2 * heard + KEEP_FOR / 1000 < 2
    assert (KEEP_FOR + ASK_AGAIN_AFTER) / 1000 < 2


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(files(), indent=1) + "\n")
