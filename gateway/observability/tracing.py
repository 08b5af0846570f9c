"""OpenTelemetry traces: a span for a request, one below it for the app's part, and the app is told (W3C Trace Context).

Spans hold what the access log holds: no query, no address of a user's choosing, no secret.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.config.sections.tracing import TracingSection as TracingConfig
from gateway.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

Attributes = Mapping[str, str | int]


class RequestSpan:
    """The span of one request, from when it is read to when it is answered."""

    def __init__(self, tracer: "Tracer", span: "Span") -> None:
        self._tracer, self._span = tracer, span

    @contextmanager
    def upstream(self, route: str, method: str) -> Iterator[str]:
        """A span for the app's part; gives the `traceparent` that tells the app about it."""
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

        child = self._tracer.start_span(
            f"{method} upstream", set_span_in_context(self._span), SpanKind.CLIENT, {"http.route": route}
        )
        try:
            yield traceparent(child)
        except BaseException as error:
            child.set_status(StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            child.end()

    def end(self, name: str, status: int, attributes: Attributes) -> None:
        """End the span, with what was found out about the request; a status of 500 and more is an error of ours."""
        from opentelemetry.trace import StatusCode

        self._span.update_name(name)
        self._span.set_attribute("http.response.status_code", status)
        for key, value in attributes.items():
            self._span.set_attribute(key, value)
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class RequestTracer:
    """One worker's. `chance` gives a number from 0 to 1 for each request."""

    def __init__(
        self, config: TracingConfig, exporter: "SpanExporter", chance: Callable[[], float] = random.random
    ) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._sample, self._chance = config.sample, chance
        self._provider = TracerProvider(resource=Resource.create({"service.name": config.service_name}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("auth-gateway")
        self._propagator = TraceContextTextMapPropagator()

    def chosen(self) -> bool:
        """Whether a request that nobody else traces is to be traced."""
        return self._chance() < self._sample

    def begin(self, headers: Mapping[str, str], *, trusted: bool, chosen: bool) -> RequestSpan | None:
        """A span if the request is chosen, or belongs to a trace that a trusted proxy records."""
        from opentelemetry.trace import SpanKind, get_current_span

        given = headers.get("traceparent", "") if trusted else ""
        context = self._propagator.extract({"traceparent": given}) if given else None
        if context is not None and (parent := get_current_span(context).get_span_context()).is_valid:
            chosen = parent.trace_flags.sampled
        if not chosen:
            return None
        return RequestSpan(self._tracer, self._tracer.start_span("request", context, SpanKind.SERVER))

    def close(self) -> None:
        """Send what waits, for up to a few seconds."""
        self._provider.shutdown()


def build_tracing(config: TracingConfig) -> RequestTracer | None:
    """Make the tracer; None where no endpoint is configured. Raises ConfigError."""
    if config.endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
            OTLPSpanExporter,  # an optional extra
        )
    except ModuleNotFoundError:
        mend = 'pip install "auth-gateway[otel]"'
        mistake = Mistake(
            file="configuration",
            line=0,
            key="tracing.endpoint",
            problem="OpenTelemetry is missing",
            mend=mend,
        )
        raise ConfigError([mistake]) from None
    return RequestTracer(config, OTLPSpanExporter(endpoint=config.endpoint, timeout=5))


def traceparent(span: "Span") -> str:
    """Return the header that names a span (W3C Trace Context §3.2)."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
