"""The recipes for Envoy Gateway, Traefik and ingress-nginx ask as the exported engines do, and remove what they do."""

import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from gateway.config.schema import Config
from gateway.engines.headers import identity_names, removed_families, removed_names
from gateway.forwardauth import route_key
from tests import kubernetes_recipes as made

FILES = sorted(made.RECIPES.glob("*.yaml"))
ROUTE = Config.model_validate(made.CONFIG).routes[0]
TOLD = list(identity_names(ROUTE).values())
ANNOTATION = "nginx.ingress.kubernetes.io/"


@cache
def objects(file: str) -> dict[tuple[str, str], Any]:
    """The objects of a recipe by kind and name. A large file is read once."""
    documents = yaml.safe_load_all((made.RECIPES / f"{file}.yaml").read_text())
    return {(found["kind"], found["metadata"]["name"]): found for found in documents}


def one(file: str, kind: str, name: str) -> Any:
    found = objects(file)[kind, name]
    return found.get("spec") or found


def ingress(name: str) -> tuple[dict[str, str], Any]:
    """Its annotations without their common beginning, and its rules."""
    found = objects("ingress-nginx")["Ingress", name]
    words = found["metadata"].get("annotations", {})
    return {key.removeprefix(ANNOTATION): value for key, value in words.items()}, found["spec"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_lists_are_those_of_the_exports(file: Path) -> None:
    text = file.read_text()
    assert made.BLOCK.search(text)
    assert text == made.written(text), "python -m tests.kubernetes_recipes writes them anew"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_object_has_a_kind_a_name_and_a_namespace(file: Path) -> None:
    for found in objects(file.stem).values():
        assert {"apiVersion", "kind", "metadata"} <= set(found)
        assert {"name", "namespace"} <= set(found["metadata"])


def test_each_recipe_copies_what_the_gateway_tells_and_nothing_else() -> None:
    asked = one("envoy-gateway", "SecurityPolicy", "app")["extAuth"]
    assert asked["http"]["headersToBackend"] == [name.lower() for name in TOLD]
    assert one("traefik", "Middleware", "auth-gateway-ask")["forwardAuth"]["authResponseHeaders"] == TOLD
    assert ingress("app")[0]["auth-response-headers"].split(",") == TOLD


def test_envoy_gateway_fails_closed_and_asks_with_the_cookie_alone() -> None:
    asked = one("envoy-gateway", "SecurityPolicy", "app")["extAuth"]
    assert asked["failOpen"] is False
    assert asked["http"]["path"] == "/_auth/forward"
    assert {"cookie", "x-forwarded-for", "x-forwarded-proto", "sec-websocket-key"} <= set(
        asked["headersToExtAuth"]
    )
    assert not {"authorization", "x-gateway-consumes"} & set(asked["headersToExtAuth"])
    dialects = ("x-original-url", "x-original-method", "x-forwarded-uri", "x-forwarded-method")
    assert not set(dialects) & set(asked["headersToExtAuth"])


def envoy_removes(name: str) -> bool:
    steps = one("envoy-gateway", "ClientTrafficPolicy", "auth-gateway")["headers"]["earlyRequestHeaders"]
    return any(re.fullmatch(step["value"], name) for step in steps["removeOnMatch"])


def test_envoy_gateway_removes_every_name_in_every_spelling_and_no_other() -> None:
    for name in set(removed_names(ROUTE)) - made.HOP_OF_ENVOY:
        for sign in "-_.!~":
            assert envoy_removes(name.replace("-", sign)), name
    for family in removed_families(ROUTE):
        assert envoy_removes(f"{family}anything")
    for name in ("host", "cookie", "authorization", "accept", "content-type", "te", "origin", "x-custom"):
        assert not envoy_removes(name)


def test_envoy_gateway_takes_patterns_of_this_length_and_number() -> None:
    steps = one("envoy-gateway", "ClientTrafficPolicy", "auth-gateway")["headers"]["earlyRequestHeaders"]
    assert len(steps["removeOnMatch"]) <= 64
    assert all(len(step["value"]) <= 1024 for step in steps["removeOnMatch"])


def test_traefik_removes_first_asks_then_and_switches_to_websockets_only() -> None:
    routes = one("traefik", "IngressRoute", "app")["routes"]
    names = [
        [step["name"].removeprefix("auth-gateway-") for step in route["middlewares"]] for route in routes
    ]
    assert names == [["strip", "ask", "websocket"], ["strip", "ask", "no-upgrade"]]
    assert routes[0]["priority"] > routes[1]["priority"]
    assert "`(?i)^websocket$`" in routes[0]["match"]
    exported = made.exported_traefik()
    for name in ("websocket", "no-upgrade"):
        assert one("traefik", "Middleware", f"auth-gateway-{name}") == exported[name]
    assert one("traefik", "Middleware", "auth-gateway-ask")["forwardAuth"]["trustForwardHeader"] is False


def test_traefik_removes_names_with_dashes_and_underscores() -> None:
    gone = one("traefik", "Middleware", "auth-gateway-strip")["headers"]["customRequestHeaders"]
    assert set(gone.values()) == {""}
    assert {"remote-user", "remote_user", "x-webauth_user", "x_original_url", "x-gateway-consumes"} <= set(
        gone
    )
    assert set(map(str.lower, TOLD)) <= set(gone)


def test_ingress_nginx_removes_what_it_neither_writes_nor_is_told() -> None:
    gone = one("ingress-nginx", "ConfigMap", "auth-gateway-strip")["data"]
    assert set(gone.values()) == {""}
    left = set(removed_names(ROUTE)) - set(gone) - {name.lower() for name in TOLD}
    assert left <= made.BY_INGRESS_NGINX
    controller = one("ingress-nginx", "ConfigMap", "ingress-nginx-controller")["data"]
    assert controller["proxy-set-headers"] == "ingress-nginx/auth-gateway-strip"
    assert controller["enable-underscores-in-headers"] == "false"
    assert controller["use-forwarded-headers"] == "false"


def test_no_client_speaks_in_the_question_of_ingress_nginx() -> None:
    name = ingress("app")[0]["auth-proxy-set-headers"].removeprefix("apps/")
    empty = one("ingress-nginx", "ConfigMap", name)["data"]
    assert set(empty.values()) == {""}
    assert {"x-forwarded-uri", "x-forwarded-method", "x-forwarded-host", "x-gateway-consumes"} <= set(empty)
    assert not {"x-original-url", "x-original-method", "x-forwarded-for"} & set(empty)


def test_ingress_nginx_lets_no_app_switch_protocols_and_runs_no_snippets() -> None:
    words, _ = ingress("app")
    assert words["connection-proxy-header"] == "keep-alive"
    text = (made.RECIPES / "ingress-nginx.yaml").read_text()
    assert "-snippet:" not in text


def test_the_question_names_the_route_so_that_paths_read_in_two_ways_get_no_verdict() -> None:
    addresses = [
        one("traefik", "Middleware", "auth-gateway-ask")["forwardAuth"]["address"],
        ingress("app")[0]["auth-url"],
    ]
    for address in addresses:
        parts = urlsplit(address)
        assert parts.path == "/_auth/forward"
        assert parse_qs(parts.query) == {"route": [route_key(ROUTE)]}


def test_clients_reach_the_place_of_questions_through_no_recipe() -> None:
    portal = one("envoy-gateway", "HTTPRoute", "auth-gateway")["rules"]
    hidden, rest = portal
    assert hidden["matches"] == [{"path": {"type": "PathPrefix", "value": "/_auth/forward"}}]
    assert "backendRefs" not in hidden
    assert rest["backendRefs"] == [{"name": "auth-gateway", "port": 80}]
    assert one("envoy-gateway", "HTTPRouteFilter", "auth-gateway-hidden") == {
        "directResponse": {"statusCode": 404}
    }
    (route,) = one("traefik", "IngressRoute", "auth-gateway")["routes"]
    assert "!PathRegexp(`^/_auth/forward(?:/|$)`)" in route["match"]
    words, spec = ingress("auth-gateway-hidden")
    assert words == {"denylist-source-range": "0.0.0.0/0,::/0"}
    assert spec["rules"][0]["http"]["paths"][0]["path"] == "/_auth/forward"
