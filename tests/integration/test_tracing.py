"""Traces as a collector gets them: OTLP over HTTP, read with OpenTelemetry's own protobuf."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.rig import Rig, running_gateway, running_upstream

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"


@dataclass
class Collector:
    spans: list[Any] = field(default_factory=list)
    services: set[str] = field(default_factory=set)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        message = ExportTraceServiceRequest.FromString(body)
        for resource in message.resource_spans:
            self.services |= {
                one.value.string_value for one in resource.resource.attributes if one.key == "service.name"
            }
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return web.Response(content_type="application/x-protobuf")


@asynccontextmanager
async def traced_rig(folder: Path, **more: Any) -> AsyncIterator[tuple[Rig, Collector]]:
    """Spans are sent at the latest when the gateway is drained."""
    collector = Collector()
    async with running_upstream(collector.handle) as server:
        tracing = {"endpoint": f"{server.url}/v1/traces", "sample": 1.0, **more.pop("tracing", {})}
        async with running_gateway(folder, tracing=tracing, **more) as rig:
            yield rig, collector


def facts(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


async def test_a_request_is_a_span_with_the_apps_part_below_it_and_the_app_is_told(tmp_path: Path) -> None:
    async with traced_rig(tmp_path) as (rig, collector), rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        answer = await browser.get("/wiki?token=hush", traceparent=PARENT + "1", tracestate="a=b")
        told = dict((await answer.json())["headers"])
    spans = {span.name: span for span in collector.spans if facts(span).get("url.path") in ("/wiki", None)}
    request, upstream = spans["GET */"], spans["GET upstream"]
    assert collector.services == {"auth-gateway"}
    assert upstream.parent_span_id == request.span_id
    assert told["traceparent"].startswith(f"00-{request.trace_id.hex()}-{upstream.span_id.hex()}-0")
    assert "tracestate" not in told
    assert PARENT[3:35] not in told["traceparent"], "a stranger's trace is not ours"
    known = facts(request)
    assert (known["http.response.status_code"], known["auth_gateway.verdict"]) == (200, "allow")
    assert known["auth_gateway.user"] == "alice"
    assert all("hush" not in str(span) for span in collector.spans)
    assert any(span.name == "POST portal" for span in collector.spans)


async def test_a_trusted_proxys_trace_goes_on_if_it_is_recorded(tmp_path: Path) -> None:
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"require": "bypass"}}]
    server = {"trusted_proxies": ["127.0.0.0/8"]}
    async with (
        traced_rig(tmp_path, routes=routes, server=server, tracing={"sample": 0.0}) as (rig, collector),
        rig.browser() as browser,
    ):
        for flags in ("0", "1", "0"):
            answer = await browser.get(f"/{flags}", traceparent=PARENT + flags)
            told = dict((await answer.json())["headers"])
            assert told["traceparent"].startswith(PARENT[:35])
        await browser.get("/own")
    assert [facts(span)["url.path"] for span in collector.spans if span.name == "GET */"] == ["/1"]
    (request,) = [span for span in collector.spans if span.name == "GET */"]
    assert request.trace_id.hex() == PARENT[3:35]
    assert request.parent_span_id.hex() == PARENT[36:52]


async def test_what_is_not_chosen_takes_the_fast_path_and_a_collector_that_is_away_hurts_nobody(
    tmp_path: Path,
) -> None:
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"require": "bypass"}}]
    tracing = {"endpoint": "http://127.0.0.1:9/v1/traces", "sample": 0.5}
    async with running_gateway(tmp_path, routes=routes, tracing=tracing) as rig, rig.browser() as browser:
        traced = 0
        for number in range(40):
            answer = await browser.get(f"/{number}")
            assert answer.status == 200
            traced += "traceparent" in {name.lower() for name, _ in (await answer.json())["headers"]}
        assert 0 < traced < 40  # one in 2^39 runs fails


async def test_an_app_that_fails_marks_both_spans(tmp_path: Path) -> None:
    routes = [{"host": "*", "path": "/", "upstream": "http://127.0.0.1:9", "policy": {"require": "bypass"}}]
    async with traced_rig(tmp_path, routes=routes) as (rig, collector), rig.browser() as browser:
        assert (await browser.get("/")).status == 502
    assert {span.name: span.status.code for span in collector.spans} == {"GET */": 2, "GET upstream": 2}
