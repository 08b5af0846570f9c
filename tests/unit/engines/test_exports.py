"""What is exported: golden files for the engines that can't run here, and invariants for all of them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.cli.export import ENGINES, export_files
from gateway.clock import system_clock
from gateway.config.schema import Config
from gateway.engines.headers import removed_names
from gateway.engines.plan import EnginePlan, plan
from gateway.errors import ConfigError
from gateway.forwardauth.engine_pass import is_settled
from gateway.keyring import KeyRing

GOLDEN = Path(__file__).parents[2] / "data" / "exports"


def planned(tmp_path: Path, **overrides: Any) -> EnginePlan:
    return plan(
        configured(tmp_path, **overrides),
        certificate=Path("/etc/tls/cert.pem"),
        key=Path("/etc/tls/key.pem"),
    )


def configured(tmp_path: Path, **overrides: Any) -> Config:
    routes = [
        {
            "host": "app.example.com",
            "path": "/api",
            "upstream": ["http://10.0.0.1:9000", "http://10.0.0.2:9000"],
            "strip_path": True,
            "policy": {"methods": ["GET"]},
        },
        {
            "host": "app.example.com",
            "upstream": "https://app.internal",
            "preserve_host": False,
            "headers": {"rename": {"Remote-User": "X-Who"}, "add": {"X-From": "gateway"}},
        },
        {"host": "*.example.com", "upstream": "http://10.0.0.3:80", "policy": {"require": "bypass"}},
    ]
    values = {
        "server": {
            "listen": "127.0.0.1:8080",
            "public_url": "https://login.example.com",
            "trusted_proxies": ["127.0.0.1/32"],
        },
        "session": {"keys_file": str(tmp_path / "session.keys")},
        "routes": routes,
    }
    KeyRing.load_or_create(tmp_path / "session.keys", system_clock)
    return Config.model_validate({**values, **overrides})


@pytest.mark.parametrize("engine", ["traefik", "envoy"])
def test_the_export_is_the_golden_file(engine: str, tmp_path: Path) -> None:
    what = planned(tmp_path)
    ((name, content),) = export_files(engine, what, what.config).items()
    assert content == (GOLDEN / name).read_text()
    assert isinstance(yaml.safe_load(content), dict)


def test_a_route_without_websockets_has_no_way_for_them_in_traefik(tmp_path: Path) -> None:
    what = planned(tmp_path, routes=[{"upstream": "http://10.0.0.1:1", "websocket": False}])
    routers = yaml.safe_load(export_files("traefik", what, what.config)["traefik.yaml"])["http"]["routers"]
    assert not any("websocket" in router["middlewares"] for router in routers.values())


@pytest.mark.parametrize(
    "word", ["websocket", "WebSocket", "h2c", "websockets", "webs", "xwebsocket", "websocket, h2c"]
)
def test_envoy_ignores_every_upgrade_but_one(word: str, tmp_path: Path) -> None:
    what = planned(tmp_path)
    document = yaml.safe_load(export_files("envoy", what, what.config)["envoy.yaml"])["static_resources"]
    manager = document["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    (ignored,) = manager["http_protocol_options"]["ignore_http_11_upgrade"]
    expected = word.lower() != "websocket"
    assert bool(re.fullmatch(ignored["safe_regex"]["regex"], word)) is expected


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_hides_the_door_for_proxies_and_strips_every_identity_header(
    engine: str, tmp_path: Path
) -> None:
    what = planned(tmp_path)
    text = next(iter(export_files(engine, what, what.config).values())).lower()
    assert "/_auth/forward" in text
    for route in what.routes:
        if engine == "haproxy" and not is_settled(route):
            continue  # the gateway itself carries it
        for name in set(removed_names(route)) - {"x-request-id"}:
            assert (
                name in text or name.replace("-", "[^a-z0-9]") in text or name.startswith("x-forwarded-")
            ), name


def test_middlewares_and_services_that_traefik_names_exist(tmp_path: Path) -> None:
    what = planned(tmp_path)
    http = yaml.safe_load(export_files("traefik", what, what.config)["traefik.yaml"])["http"]
    for router in http["routers"].values():
        assert router["service"] in http["services"]
        assert set(router["middlewares"]) <= set(http["middlewares"])
        assert router["middlewares"][0] == "strip"
        assert router["middlewares"][-1] in ("no-upgrade", "websocket")
        assert ("`Upgrade`" in router["rule"]) == (router["middlewares"][-1] == "websocket")
    guarded = [router for name, router in http["routers"].items() if name.startswith("route-")]
    assert guarded
    assert all(any(step.endswith("-auth") for step in router["middlewares"]) for router in guarded)


def test_envoy_asks_before_every_app_and_fails_closed(tmp_path: Path) -> None:
    what = planned(tmp_path)
    document = yaml.safe_load(export_files("envoy", what, what.config)["envoy.yaml"])["static_resources"]
    manager = document["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    assert [one["name"] for one in manager["http_filters"]] == ["strip", "ext_authz", "cookies", "router"]
    assert manager["http_filters"][1]["typed_config"]["failure_mode_allow"] is False
    clusters = {one["name"] for one in document["clusters"]}
    for host in manager["route_config"]["virtual_hosts"]:
        for route in host["routes"]:
            cluster = route.get("route", {}).get("cluster")
            assert cluster is None or cluster in clusters
            assert ("typed_per_filter_config" in route) == (cluster in (None, "gateway"))


def test_what_an_engine_can_not_be_told_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="would not believe the exported proxy"):
        planned(tmp_path, server={"public_url": "https://login.example.com"})
    with pytest.raises(ConfigError, match="has several base paths"):
        planned(tmp_path, routes=[{"upstream": ["http://10.0.0.1/base", "http://10.0.0.2/other"]}])


ANSWERED = [
    {"host": "app.test", "path": "/robots.txt", "respond": {"body": "x"}, "policy": {"require": "bypass"}},
    {"host": "app.test", "path": "/old", "redirect": {"to": "/new"}},
    {"host": "app.test", "upstream": "http://127.0.0.1:1"},
]


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine != "haproxy"])
def test_answers_of_the_gateway_itself_are_refused(engine: str, tmp_path: Path) -> None:
    config = replace_routes(planned(tmp_path).config)
    with pytest.raises(ConfigError) as caught:
        plan(config, engine=engine)
    assert (
        f"routes[0].respond: is an answer of the gateway itself, which can't be exported to {engine}"
        in str(caught.value)
    )
    assert "routes[1].redirect" in str(caught.value)


def test_haproxy_sends_them_to_the_gateway(tmp_path: Path) -> None:
    config = replace_routes(planned(tmp_path).config)
    what = plan(config, engine="haproxy", certificate=Path("/etc/tls/cert.pem"), key=Path("/etc/tls/key.pem"))
    text = export_files("haproxy", what, config)["haproxy.cfg"]
    assert "backend app_2" in text
    assert "app_0" not in text
    assert "app_1" not in text
    assert "str(ask) if site_0 { path -m reg '^/robots\\.txt(?:/|;|$)' }" in text


@pytest.mark.parametrize("engine", ENGINES)
def test_no_export_drops_a_protocol_that_a_route_switches_to(engine: str, tmp_path: Path) -> None:
    routes = [{"upstream": "http://127.0.0.1:1", "upgrades": ["websocket", "tcp"]}]
    problem = rf"routes\[0\].upgrades: names a protocol that the exported {engine}"
    with pytest.raises(ConfigError, match=problem):
        plan(replace_routes(planned(tmp_path).config, routes), engine=engine)


@pytest.mark.parametrize(("key", "value"), [("balance", "sticky"), ("weights", [2, 1])])
def test_no_export_forgets_how_the_load_is_shared(key: str, value: Any, tmp_path: Path) -> None:
    routes = [{"upstream": ["http://127.0.0.1:1", "http://127.0.0.1:2"], key: value}]
    with pytest.raises(ConfigError, match=f"{key}: is how the gateway itself shares the load"):
        plan(replace_routes(planned(tmp_path).config, routes), engine="haproxy")


def test_credentials_for_an_app_are_exported_to_nobody_but_by_way_of_the_gateway(tmp_path: Path) -> None:
    basic = {"username": "{user.username}", "password": "secret-word"}
    config = configured(tmp_path, routes=[{"upstream": "http://10.0.0.1:80", "headers": {"basic": basic}}])
    for engine in ("nginx", "caddy", "traefik", "envoy"):
        with pytest.raises(ConfigError, match="signs users in at the app"):
            plan(config, engine=engine)
    what = plan(config, engine="haproxy")
    assert "secret-word" not in str(export_files("haproxy", what, config))
    assert "use_backend app_0" not in str(export_files("haproxy", what, config))


def test_facts_of_the_user_are_taken_from_the_answer_and_never_written_out(tmp_path: Path) -> None:
    headers = {"add": {"X-Department": "{user.department}", "X-From": "here"}}
    what = plan(configured(tmp_path, routes=[{"upstream": "http://10.0.0.1:80", "headers": headers}]))
    for engine in ("nginx", "caddy", "traefik", "envoy"):
        text = str(export_files(engine, what, what.config))
        assert "{user" not in text, engine
        assert "x-department" in text.lower(), engine
        assert "here" in text, engine


def replace_routes(config: Config, routes: list[dict[str, Any]] = ANSWERED) -> Config:
    values = config.model_dump(exclude={"routes"}, exclude_unset=True)
    return Config.model_validate({**values, "routes": routes})


def test_traefik_probes_apps_and_speaks_h2c_to_those_that_do(tmp_path: Path) -> None:
    health = {"path": "/alive", "interval": "5s", "timeout": "40s"}
    upstream = ["h2c://10.0.0.1:50051/base", "h2c://10.0.0.2:50051/base"]
    what = plan(configured(tmp_path, routes=[{"upstream": upstream, "health": health}]), engine="traefik")
    services = yaml.safe_load(export_files("traefik", what, what.config)["traefik.yaml"])["http"]["services"]
    balancer = services["route-0"]["loadBalancer"]
    assert [one["url"] for one in balancer["servers"]] == ["h2c://10.0.0.1:50051", "h2c://10.0.0.2:50051"]
    assert balancer["healthCheck"] == {"path": "/base/alive", "interval": "5s", "timeout": "40s"}
    assert "healthCheck" not in services["gateway"]["loadBalancer"]


@pytest.mark.parametrize("engine", ["nginx", "haproxy", "caddy"])
def test_an_engine_that_can_not_speak_http_2_to_apps_is_not_exported_to(engine: str, tmp_path: Path) -> None:
    config = configured(tmp_path, routes=[{"upstream": "h2c://10.0.0.1:50051"}])
    with pytest.raises(ConfigError, match="speaks HTTP/2"):
        plan(config, engine=engine)
    for able in ("envoy", "traefik"):
        plan(config, engine=able)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_is_told_whole_paths(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks for others beside its configuration, or where it was started."""
    if engine == "traefik":
        pytest.skip("its export names no files of apps")
    monkeypatch.chdir(tmp_path)
    tls = {"ca_file": "ca.pem", "cert_file": "me.pem", "key_file": "me.key"}
    routes = [{"upstream": "https://app.internal", "tls": tls, "policy": {"require": "bypass"}}]
    config = configured(tmp_path, routes=routes)
    what = plan(config, certificate=Path("cert.pem"), key=Path("key.pem"))
    text = next(iter(export_files(engine, what, config).values()))
    for name in ("ca.pem", "me.pem", "cert.pem"):
        assert re.findall(rf"[^\s\"']*\b{name}", text), name
        assert all(one.startswith(str(tmp_path)) for one in re.findall(rf"[^\s\"':]*\b{name}", text)), name
